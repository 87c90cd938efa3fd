"""Airflow reads this at start: the scheduler imports once what every task would import for itself.

Tasks of the LocalExecutor are forks of the scheduler, so they inherit these modules; without them each
task spends a second or more on imports, `validate` some seconds. Nothing is used here, only imported: a
fork must not inherit half a thread pool. With roles each step is a process of another user: it imports for
itself.
"""

import os
import sys

if sys.argv[1:2] == ["scheduler"]:
    from importlib import import_module

    names = ["airflow.sdk.execution_time.task_runner", "leadhub.airflow_adapter"]
    steps = [
        "connectors.postgresql",
        "connectors.rest",
        "connectors.sftp",
        "connectors.sql",
        "deltalake",
        "great_expectations",
        "leadhub.steps.ingest",
        "leadhub.steps.judgement",
        "leadhub.steps.night",
        "leadhub.steps.publish",
        "leadhub.steps.state",
        "pandera.backends.polars.builtin_checks",
        "pandera.polars",
        "pyarrow.dataset",
        "schemas.releases",
    ]
    for name in names + ([] if os.environ.get("LEADHUB_ROLE_COMMAND") else steps):
        import_module(name)
