"""One plain idempotent function per task: "already done? return the receipt".

`ingest` and `state` (a feed's night) → `linking` and
`night` (reconcile, commit) → `publish` (one agreement), and
`upkeep` (retention). Airflow calls them through `leadhub.airflow_adapter`, people through `leadhub.cli`.
Receipts are small and hold no value of any row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from leadhub.foundation.errors import TerminalError

if TYPE_CHECKING:
    from leadhub.steps.site import Site


def run_night(site: Site, night: str, say: Callable[[str], None] = lambda _: None) -> None:
    """Every step of a night in the order of the DAGs, in this process.

    A feed that stops does not stop the others: its state is carried forward, as the DAGs would. Nor does
    a dataset that waits for its approval.
    Raises: TransientError; TerminalError of a step over all feeds, or of the first agreement that stopped.
    """
    from leadhub.steps import approvals, ingest, linking, publish, state
    from leadhub.steps import night as whole

    for feed in site.feeds:
        try:
            for step in (ingest.land, ingest.validate, state.pseudonymise, ingest.acknowledge):
                say(f"{step.__name__} {feed}")
                step(site, feed, night)
        except TerminalError as error:
            say(f"{feed}: {error}")
        state.close(site, feed, night)
    for over_all in (linking.link, whole.reconcile, whole.commit):
        say(over_all.__name__)
        over_all(site, night)
    stopped = []
    for agreement in site.licences:
        say(f"publish {agreement}")
        try:
            if publish.stage(site, agreement, night)["status"] == approvals.AWAITING:
                say(f"{agreement} waits for two people: `leadhub release pending`; nothing left under it")
            else:
                publish.deliver(site, agreement, night)
        except TerminalError as error:
            say(f"{agreement}: {error}")
            stopped.append(error)
    if stopped:
        raise stopped[0]
