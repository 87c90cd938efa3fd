# One image for every leadhub service; the command chooses which.
FROM docker.io/library/python:3.11-slim-bookworm
# Airflow's user is in no group of the hub's: it cannot read the state
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends sudo \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --create-home --uid 10001 airflow \
 && groupadd --gid 10010 leadhub \
 && useradd --create-home --uid 10011 --groups leadhub leadhub-landing \
 && useradd --create-home --uid 10012 --groups leadhub leadhub-linking \
 && useradd --create-home --uid 10013 --groups leadhub leadhub-publishing
COPY --chmod=440 deploy/roles/sudoers /etc/sudoers.d/leadhub
WORKDIR /opt/leadhub
COPY bootstrap.lock requirements.lock pyproject.toml ./
# what leadhub itself needs, as the lock pins it: no test tool, no simulated agency. Compiled here, since no role may
# write bytecode, and a step is a process of its own
RUN pip install --no-cache-dir --require-hashes -r bootstrap.lock \
 && uv pip install --system --no-cache --compile-bytecode --require-hashes \
    -r pyproject.toml --group build -c requirements.lock
COPY README.md airflow.cfg ./
COPY deploy/airflow/healthy deploy/airflow/migrate /usr/local/bin/
COPY leadhub leadhub
COPY connectors connectors
COPY schemas schemas
COPY feeds feeds
COPY agreements agreements
COPY expectations expectations
COPY dags dags
COPY plugins plugins
RUN uv pip install --system --no-cache --no-deps --no-build-isolation -e . \
 && python -m compileall -q leadhub connectors schemas \
 && install -d -m 700 -o airflow -g airflow /var/lib/airflow \
 && install -d /var/lib/leadhub
USER airflow
ENV AIRFLOW_HOME=/var/lib/airflow \
    AIRFLOW_CONFIG=/opt/leadhub/airflow.cfg \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/leadhub/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/leadhub/plugins \
    LEADHUB_VAR=/var/lib/leadhub
CMD ["airflow", "version"]
