# One image for every leadhub service; the command chooses which.
FROM docker.io/library/python:3.11-slim-bookworm
RUN useradd --create-home --uid 10001 leadhub
WORKDIR /opt/leadhub
COPY bootstrap.lock requirements.lock ./
RUN pip install --no-cache-dir --require-hashes -r bootstrap.lock \
 && uv pip install --system --no-cache --require-hashes -r requirements.lock
COPY pyproject.toml README.md ./
COPY leadhub leadhub
COPY connectors connectors
COPY schemas schemas
COPY feeds feeds
COPY agreements agreements
COPY expectations expectations
COPY dags dags
COPY plugins plugins
COPY airflow.cfg ./
RUN uv pip install --system --no-deps --no-build-isolation -e . \
 && install -d -o leadhub -g leadhub /var/lib/leadhub /var/lib/airflow
USER leadhub
ENV AIRFLOW_HOME=/var/lib/airflow \
    AIRFLOW_CONFIG=/opt/leadhub/airflow.cfg \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/leadhub/dags \
    LEADHUB_VAR=/var/lib/leadhub
CMD ["airflow", "version"]
