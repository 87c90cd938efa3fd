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
        return run("upkeep.keep_feeds")

    @task(trigger_rule="all_done")
    def purge_linkage():
        return run("upkeep.keep_linkage")

    @task(trigger_rule="all_done")
    def purge_casework():
        return run("upkeep.keep_casework")

    @task
    def warn_of_endings():
        return tell_of_endings()

    @task
    def collect_acknowledgements():
        return tell_of_recalls()

    destroy_expired() >> purge_linkage() >> purge_casework()
    warn_of_endings()
    collect_acknowledgements()
