"""The only file that imports Airflow: a step becomes a task, an error becomes retry or failure.

Transient errors are raised as they are, and Airflow retries with backoff; terminal ones become
AirflowFailException, and nobody retries what only a person can mend. Neither carries a value.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import (
    Asset,
    AsyncCallback,
    Connection,
    CronPartitionTimetable,
    DeadlineAlert,
    DeadlineReference,
    PokeReturnValue,
)
from airflow.sdk.exceptions import AirflowFailException

from connectors import base
from leadhub.foundation import settings as site_settings
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import CLOSING_POOL as CLOSING_POOL
from leadhub.intake import feeds as feed_facts
from leadhub.intake.feeds import Feed
from leadhub.permission import licences as licence_names
from leadhub.permission.licences import LicenceId

SETTINGS = site_settings.load()
#: site time at which a night begins
NIGHT_BEGINS = (2, 0)
#: minutes after the last cut-off by which every partner must have been served
PUBLISH_WITHIN = timedelta(hours=2)

#: for every task: transient errors are tried again; a failure tells the stewards
TASK_DEFAULTS: dict[str, Any] = {
    "retries": 4,
    "retry_delay": timedelta(seconds=20),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(minutes=10),
    "on_failure_callback": lambda context: tell_stewards(_failure(context)),
}


def feeds() -> dict[str, Feed]:
    return feed_facts.load_all(SETTINGS.feeds)


def licences() -> list[LicenceId]:
    """All, in order of partners: also one whose file cannot be read keeps its tasks, which say so."""
    return licence_names.known(SETTINGS.agreements, SETTINGS.approved)


def feed_asset(feed_id: str) -> Asset:
    """One partition a night: the feed's receipt, complete or not."""
    return Asset(name=f"feed_{feed_id}", uri=f"leadhub://feed/{feed_id}")


NIGHT_ASSET = Asset(name="reconciled_night", uri="leadhub://night")


def release_asset(agreement_id: str) -> Asset:
    return Asset(name=f"release_{agreement_id}", uri=f"leadhub://release/{agreement_id}")


def nightly() -> CronPartitionTimetable:
    """Every night in the site's time zone; the partition key is the night's date."""
    hour, minute = NIGHT_BEGINS
    return CronPartitionTimetable(
        f"{minute} {hour} * * *", timezone=SETTINGS.time_zone, key_format="%Y-%m-%d"
    )


def first_night() -> datetime:
    """Midnight, site time, of the first night that the schedule starts by itself."""
    zone = ZoneInfo(SETTINGS.time_zone)
    return datetime.combine(SETTINGS.first_night, datetime.min.time(), zone)


def night_of(dag_run: Any) -> str:
    """The night is the partition key, never a run's logical date."""
    return date.fromisoformat(dag_run.partition_key[:10]).isoformat()


def _connect(name: str) -> base.Connection:
    found = Connection.get(name)
    return base.Connection(
        host=found.host or "",
        port=found.port or 0,
        login=found.login or "",
        password=found.password or "",
        schema=found.schema or "",
        extra=found.extra_dejson,
    )


def _act(step: str, *arguments: Any, **named: Any) -> dict[str, Any]:
    from leadhub.steps import acting
    from leadhub.steps.site import open_site

    if SETTINGS.role_command:
        return acting.as_role(SETTINGS.role_command, step, list(arguments), named)
    return acting.act(open_site(_connect, SETTINGS), step, list(arguments), named)


def run(step: str, *arguments: Any) -> dict[str, Any]:
    """Run `module.function` of `leadhub.steps`, here or as the user of its role; returns its receipt.

    Raises: AirflowFailException for what needs a person; TransientError as it is.
    """
    try:
        return _act(step, *arguments)
    except TerminalError as error:
        raise AirflowFailException(str(error)) from None


def poke(step: str, *arguments: str) -> PokeReturnValue:
    """`run` for a step that may have to wait: it says so with status `waiting`.

    File names stay out of Airflow's database: a stranger may have put a person's name into one.
    """
    receipt = run(step, *arguments)
    told = {name: value for name, value in receipt.items() if name != "arrivals"}
    return PokeReturnValue(is_done=receipt["status"] != "waiting", xcom_value=told)


# approvals ----------------------------------------------------------------------------------------

#: a question of one night ends before the next night asks it anew
ANSWER_WITHIN = timedelta(hours=20)
_REFUSE = "Refuse"
#: which preview a person saw, and of which documents
_SEEN = ("preview_sha256", "subject_sha256")
_OPTIONS = {"proposed": "Propose", "approved": "Approve"}


class Question(HITLOperator):
    """Asks one of two people whether a dataset may leave; the partner's ledger keeps the answer.

    `role`: `proposed` for the first, `approved` for the second. Airflow only asks: `publish.deliver` reads
    the ledger, so a question that went lost there, or that the command line answered, changes nothing.
    """

    def __init__(self, *, agreement_id: str, role: str, **named: Any) -> None:
        self.agreement_id, self.role = agreement_id, role
        super().__init__(
            # a list of questions shows but the first words
            subject=f"{agreement_id}: {_OPTIONS[role].lower()} what leaves?",
            options=[_OPTIONS[role], _REFUSE],
            response_timeout=ANSWER_WITHIN,
            **named,
        )

    def execute(self, context: Any) -> Any:
        shown = run("approvals.preview", self.agreement_id, night_of(context["dag_run"]))
        if shown["state"] in (self.role, "approved"):
            return shown["state"]
        self.body = shown["markdown"]
        for name in _SEEN:
            context["ti"].xcom_push(name, shown[name])
        tell_stewards(f"{self.subject}\nAnswer in Airflow, 'Required Actions'.")
        return super().execute(context)

    def execute_complete(self, context: Any, event: dict[str, Any]) -> Any:
        answer = super().execute_complete(context, event)
        by = (answer["responded_by_user"] or {}).get("name") or ""
        refused = answer["chosen_options"] == [_REFUSE]
        seen = {name: context["ti"].xcom_pull(task_ids=self.task_id, key=name) for name in _SEEN}
        try:
            _act(
                "approvals.answer",
                self.agreement_id,
                "refused" if refused else self.role,
                by=by,
                **seen,
            )
        except TerminalError as error:
            if error.reason != "approval_refused":
                raise AirflowFailException(str(error)) from None
            self.log.warning("asked again: %s", error)
            return self.execute(context)
        if refused:
            raise AirflowFailException(
                f"[{self.agreement_id}] was refused by {by}; its last delivery stands"
            )
        return self.role

    def process_trigger_event_error(self, event: dict[str, Any]) -> None:
        raise AirflowFailException(
            f"[{self.agreement_id}] was not answered in {ANSWER_WITHIN}; the next night asks again"
        )


def follows(receipt: dict[str, Any], dataset: str) -> str:
    """The task that comes after staging: delivery, or the first of two people."""
    from leadhub.steps.approvals import AWAITING

    return f"propose_{dataset}" if receipt["status"] == AWAITING else f"deliver_{dataset}"


# alerts -------------------------------------------------------------------------------------------


def _failure(context: Any) -> str:
    instance = context["task_instance"]
    night = context["dag_run"].partition_key
    return (
        f"{instance.dag_id}.{instance.task_id} stopped on night {night}: {context.get('exception')}\n"
        "What to do: docs/runbook.md, by the reason code."
    )


def _notifiers(text: str) -> list[Any]:
    """The notifiers that this site has set up (`LEADHUB_ALERT_EMAIL`, `LEADHUB_ALERT_WEBHOOK`)."""
    chosen: list[Any] = []
    subject = f"leadhub: {text.splitlines()[0]}"[:200]
    if SETTINGS.alert_email:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        chosen.append(
            SmtpNotifier(
                to=SETTINGS.alert_email,
                from_email=SETTINGS.steward_contact,
                subject=subject,
                html_content=f"<pre>{text}</pre>",
                smtp_conn_id="alert_smtp",
            )
        )
    if SETTINGS.alert_webhook:
        from airflow.providers.http.notifications import HttpNotifier

        chosen.append(HttpNotifier(http_conn_id=SETTINGS.alert_webhook, json={"text": text}))
    return chosen


def tell_stewards(text: str) -> None:
    for notifier in _notifiers(text):
        notifier.notify({})


def tell_of_endings() -> dict[str, Any]:
    """Each agreement that ends soon is told of once at each threshold, marked only when it was; what is
    broken or overdue, every day."""
    said = run("endings.due")
    if said["text"]:
        tell_stewards(said["text"])
    if said["due"]:
        run("endings.told", said["due"])
    return said


def tell_of_recalls() -> dict[str, Any]:
    """Acknowledgements are collected; stewards hear every day of what is overdue, refused or not done."""
    said = run("recalls.collect")
    if said["text"]:
        tell_stewards(said["text"])
    return said


async def tell_stewards_late(what: str) -> None:
    """Deadline callback, run by the triggerer while the night is still waiting."""
    text = f"{what} is late: nothing complete by its cut-off.\nWhat to do: docs/runbook.md, 'a late feed'."
    for notifier in _notifiers(text):
        await notifier.async_notify({})


def _minutes(clock: str) -> int:
    moment = datetime.strptime(clock, "%H:%M")  # noqa: DTZ007
    return moment.hour * 60 + moment.minute


def _after_begin(clock: str) -> timedelta:
    begins = NIGHT_BEGINS[0] * 60 + NIGHT_BEGINS[1]
    return timedelta(minutes=max(_minutes(clock) - begins, 1))


def feed_deadline(feed: Feed) -> DeadlineAlert:
    """An alert when the feed's night is not closed by its cut-off."""
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=_after_begin(feed.cutoff),
        callback=AsyncCallback(tell_stewards_late, {"what": f"feed {feed.id}"}),
        name=f"{feed.id} by {feed.cutoff}",
    )


def publish_deadline(partner: str) -> DeadlineAlert:
    return DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=PUBLISH_WITHIN,
        callback=AsyncCallback(tell_stewards_late, {"what": f"delivery to {partner}"}),
        name=f"delivery to {partner}",
    )
