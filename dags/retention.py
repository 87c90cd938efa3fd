"""`retention`: keys of drops past their day are destroyed, with a certificate; old versions purged.

Acknowledgements of recalls are collected; stewards are told of those that are overdue, and of agreements
that end soon.
"""

from airflow.sdk import DAG, CronTriggerTimetable, task

from leadhub.airflow_adapter import SETTINGS, TASK_DEFAULTS, run, tell_of_endings, tell_of_recalls

with DAG(
    dag_id="retention",
    schedule=CronTriggerTimetable("0 12 * * *", timezone=SETTINGS.time_zone),
    catchup=False,
    max_active_runs=1,
    default_args=TASK_DEFAULTS,
    doc_md=__doc__,
    tags=["upkeep"],
) as dag:

    @task
    def destroy_expired():
        return run("upkeep.retention")

    @task
    def warn_of_endings():
        return tell_of_endings()

    @task
    def collect_acknowledgements():
        return tell_of_recalls()

    destroy_expired()
    warn_of_endings()
    collect_acknowledgements()
