"""Airflow reads this at start: the scheduler imports once what every task would import for itself.

Tasks of the LocalExecutor are forks of the scheduler, so they inherit these modules; without them each
task spends a second or more on imports, `validate` some seconds. Nothing is used here, only imported: a
fork must not inherit half a thread pool.
"""

import sys

if sys.argv[1:2] == ["scheduler"]:
    from importlib import import_module

    for name in (
        "airflow.sdk.execution_time.task_runner",
        "connectors.postgresql",
        "connectors.rest",
        "connectors.sftp",
        "connectors.sql",
        "deltalake",
        "great_expectations",
        "leadhub.airflow_adapter",
        "leadhub.steps.ingest",
        "leadhub.steps.judgement",
        "leadhub.steps.night",
        "leadhub.steps.publish",
        "leadhub.steps.state",
        "pandera.backends.polars.builtin_checks",
        "pandera.polars",
        "pyarrow.dataset",
        "schemas.releases",
    ):
        import_module(name)
