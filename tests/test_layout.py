"""The house: names resolve here, imports run one way, a DAG file is a sentence."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from leadhub.foundation.settings import REPOSITORY


@pytest.mark.parametrize("name", ["leadhub", "connectors", "schemas"])
def test_generic_import_names_resolve_into_this_repository(name):
    module = __import__(name)
    assert Path(module.__file__).is_relative_to(REPOSITORY)


def test_imports_run_one_way():
    tool = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([tool], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_import_contracts_can_break(tmp_path):
    """An arrow against the direction is found (the contracts are not vacuous)."""
    config = (REPOSITORY / ".importlinter").read_text()
    broken = config.replace(
        "    leadhub.intake\n    leadhub.foundation\n\n",
        "    leadhub.foundation\n    leadhub.intake\n\n",
        1,
    )
    assert broken != config
    (tmp_path / "contracts").write_text(broken)
    tool = Path(sys.executable).with_name("lint-imports")
    command = [tool, "--config", str(tmp_path / "contracts"), "--no-cache"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode != 0


@pytest.mark.parametrize("path", sorted((REPOSITORY / "dags").glob("*.py")), ids=lambda p: p.name)
def test_a_dag_file_is_a_sentence(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 80
    allowed = {"airflow.sdk", "leadhub.airflow_adapter", "functools", "itertools", "operator"}
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.If)
        if isinstance(node, ast.ImportFrom):
            assert node.module in allowed


def test_dag_files_parse_without_the_heavy_libraries():
    script = (
        "import sys, runpy, pathlib\n"
        "for path in sorted(pathlib.Path('dags').glob('*.py')): runpy.run_path(str(path))\n"
        "heavy = {'great_expectations', 'pandera', 'pandas', 'polars', 'deltalake'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "heavy: []"


def test_no_registry_host_in_the_lock():
    for name in ("requirements.lock", "bootstrap.lock"):
        text = (REPOSITORY / name).read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text
