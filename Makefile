# Two commands matter: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3.11
BIN := .venv/bin
PERSONS ?= 5000
# a night is many short processes: without bytecode each compiles its imports again (some seconds)
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup spark demo up test guarantees lint bench bench-night bench-linkage bench-linkage-speed bench-linkage-nights bench-privacy audit docs clean
help:            ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

setup: .venv/ready   ## a virtual environment from the hash-pinned lock
.venv/ready: requirements.lock bootstrap.lock pyproject.toml
	@echo "leadhub: setting up .venv (a minute or two, once)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --require-hashes -r bootstrap.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(BIN)/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

spark: .venv/spark   ## besides, what the tests against Spark and spindle-token need
.venv/spark: .venv/ready spark.lock
	@echo "leadhub: adding Spark (a minute, once; Java 17 must be there to run it)"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r spark.lock
	@touch $@

demo: setup      ## two nights of a synthetic county through real servers (PERSONS=5000)
	@$(BIN)/python -m simulation.demo --persons $(PERSONS)

up: setup        ## the same, kept running, with Airflow's UI on loopback
	@$(BIN)/python -m simulation.demo --persons $(PERSONS) --keep-running

test: spark      ## the whole suite, three files at a time on two cores, since nights wait; nights first
	@$(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder --durations 20

guarantees: spark  ## what is promised, and which tests prove it: docs/guarantees.md
	@$(BIN)/python -m pytest -n 2 --dist loadfile -k "test_t1_ or test_t2_ or test_t3_ or test_t4_ or test_t5_ or test_t6_ or test_t7_ or test_t8_ or test_t9_ or test_t10_" --guarantees=docs/guarantees.md tests

lint: setup      ## style, types, import directions
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

bench: bench-night bench-linkage   ## every benchmark

bench-night: setup   ## one full night of 200,000 persons beside its floor
	@$(BIN)/python -m benchmarks.night

bench-linkage: setup .venv-bench/ready   ## linkage beside Splink on clear text, in one run (some minutes)
	@.venv-bench/bin/python -m benchmarks.linkage

bench-linkage-speed: setup .venv-bench/ready   ## linkage's times and memory beside its peers (half an hour)
	@.venv-bench/bin/python -m benchmarks.linkage.speed --wait 10

bench-linkage-nights: setup .venv-bench/ready   ## do person ids last? thirty nights with known truth (a minute)
	@$(BIN)/python -m benchmarks.linkage.nights

.venv-bench/ready: benchmarks/linkage/requirements.lock .venv/ready
	@$(PYTHON) -m venv .venv-bench
	@$(BIN)/uv pip sync --quiet --python .venv-bench/bin/python --require-hashes benchmarks/linkage/requirements.lock
	@touch $@

bench-privacy: setup .venv-bench/ready   ## attacks on what linkage stores, each beside its quality (a quarter of an hour)
	@$(BIN)/python -m benchmarks.privacy

audit: setup .venv-audit/ready   ## a bill of materials (CycloneDX), and known vulnerabilities of what we pin (asks an advisory service)
	@mkdir -p var/audit
	@.venv-audit/bin/cyclonedx-py environment --of JSON -o var/audit/sbom.cdx.json --pyproject pyproject.toml $(BIN)/python
	@echo "bill of materials: var/audit/sbom.cdx.json"
	@.venv-audit/bin/pip-audit --strict --require-hashes --disable-pip -r requirements.lock --progress-spinner off
.venv-audit/ready: deploy/audit.lock .venv/ready
	@$(PYTHON) -m venv .venv-audit
	@$(BIN)/uv pip sync --quiet --python .venv-audit/bin/python --require-hashes deploy/audit.lock
	@touch $@

docs: setup      ## JSON Schemas of feeds and agreements, and the data dictionary, from the code
	@$(BIN)/leadhub docs

clean:           ## runtime state (not the environment)
	rm -rf var
