"""`ingest_<feed>`: one agency's night, from its system to closed tables. One DAG a feed, all independent.

land → validate → pseudonymise → close, and an acknowledgement to the agency beside it. `close` runs in any
case and says `complete`, `missing` or `stopped`, so that linking runs once and says what was missing.
"""

from airflow.sdk import DAG, task

from leadhub.airflow_adapter import (
    CLOSING_POOL,
    TASK_DEFAULTS,
    feed_asset,
    feed_deadline,
    feeds,
    first_night,
    night_of,
    nightly,
    poke,
    run,
)

for feed in feeds().values():
    with DAG(
        dag_id=f"ingest_{feed.id}",
        schedule=nightly(),
        start_date=first_night(),
        catchup=False,
        max_active_runs=1,
        default_args=TASK_DEFAULTS,
        deadline=feed_deadline(feed),
        doc_md=f"**{feed.title}**: cut-off {feed.cutoff}, connector {feed.connector}.\n\n{__doc__}",
        tags=["ingest", feed.contract],
    ) as dag:

        @task.sensor(mode="reschedule", poke_interval=300, timeout=86_400)
        def land(feed_id: str, dag_run=None):
            return poke("ingest.land", feed_id, night_of(dag_run))

        @task
        def validate(feed_id: str, dag_run=None):
            return run("ingest.validate", feed_id, night_of(dag_run))

        @task
        def acknowledge(feed_id: str, dag_run=None):
            return run("ingest.acknowledge", feed_id, night_of(dag_run))

        @task
        def pseudonymise(feed_id: str, dag_run=None):
            return run("state.pseudonymise", feed_id, night_of(dag_run))

        @task(trigger_rule="all_done", outlets=[feed_asset(feed.id)], pool=CLOSING_POOL)
        def close(feed_id: str, dag_run=None):
            return run("state.close", feed_id, night_of(dag_run))

        validated = validate(feed.id)
        land(feed.id) >> validated >> [acknowledge(feed.id), (done := pseudonymise(feed.id))]
        done >> close(feed.id)

    globals()[dag.dag_id] = dag
