"""`publish_<partner>`: what each of its agreements allows, staged, accounted, delivered."""

from itertools import groupby
from operator import attrgetter

from airflow.sdk import DAG, PartitionedAssetTimetable, task

from leadhub.airflow_adapter import (
    NIGHT_ASSET,
    TASK_DEFAULTS,
    agreements,
    night_of,
    publish_deadline,
    release_asset,
    run,
)

in_order = sorted(agreements().values(), key=attrgetter("partner", "id"))
for partner, held in groupby(in_order, key=attrgetter("partner")):
    with DAG(
        dag_id=f"publish_{partner}",
        schedule=PartitionedAssetTimetable(assets=NIGHT_ASSET),
        catchup=False,
        max_active_runs=1,
        default_args=TASK_DEFAULTS,
        deadline=publish_deadline(partner),
        doc_md=__doc__,
        tags=["publish"],
    ) as dag:
        for agreement in held:

            @task(task_id=f"stage_{agreement.dataset}")
            def stage(agreement_id: str, dag_run=None):
                return run("publish.stage", agreement_id, night_of(dag_run))

            @task(task_id=f"deliver_{agreement.dataset}", outlets=[release_asset(agreement.id)])
            def deliver(agreement_id: str, dag_run=None):
                return run("publish.deliver", agreement_id, night_of(dag_run))

            stage(agreement.id) >> deliver(agreement.id)

    globals()[dag.dag_id] = dag
