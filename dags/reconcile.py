"""`reconcile`: who is who, what the agencies say together, and the night's commit.

Runs once a night, when every feed has closed that night, complete or not.
"""

from functools import reduce
from operator import and_

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from leadhub.airflow_adapter import NIGHT_ASSET, TASK_DEFAULTS, feed_asset, feeds, night_of, run

with DAG(
    dag_id="reconcile",
    schedule=PartitionedAssetTimetable(assets=reduce(and_, [feed_asset(f) for f in feeds()])),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["night"],
) as dag:

    @task
    def link(dag_run=None):
        return run("linking.link", night_of(dag_run))

    @task
    def reconcile(dag_run=None):
        return run("night.reconcile", night_of(dag_run))

    @task(outlets=[NIGHT_ASSET])
    def commit(dag_run=None):
        return run("night.commit", night_of(dag_run))

    link() >> reconcile() >> commit()
