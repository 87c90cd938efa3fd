"""`publish_<partner>`: what each of its agreements allows, staged, accounted, delivered.

A licence that is new or was changed waits for two people; the partner's other datasets do not. One whose
documents cannot be read stops at `stage`, which says why; what must be withdrawn leaves all the same.
"""

from itertools import groupby
from operator import attrgetter

from airflow.sdk import DAG, PartitionedAssetTimetable, TriggerRule, task

from leadhub.airflow_adapter import (
    NIGHT_ASSET,
    TASK_DEFAULTS,
    Question,
    follows,
    licences,
    night_of,
    publish_deadline,
    release_asset,
    run,
)

for partner, held in groupby(licences(), key=attrgetter("partner")):
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
        for licence in held:
            name = licence.dataset

            @task.branch(task_id=f"stage_{name}")
            def stage(agreement_id: str, dataset: str, dag_run=None):
                return follows(run("publish.stage", agreement_id, night_of(dag_run)), dataset)

            @task(
                task_id=f"deliver_{name}",
                outlets=[release_asset(licence.id)],
                trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
            )
            def deliver(agreement_id: str, dag_run=None):
                return run("publish.deliver", agreement_id, night_of(dag_run))

            propose = Question(task_id=f"propose_{name}", agreement_id=licence.id, role="proposed")
            approve = Question(task_id=f"approve_{name}", agreement_id=licence.id, role="approved")
            staged, delivered = stage(licence.id, name), deliver(licence.id)
            staged >> [propose, approve, delivered]
            propose >> approve >> delivered

    globals()[dag.dag_id] = dag
