"""Recalls of all partners: collecting their acknowledgements, and telling stewards which are overdue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from typing import Any

from leadhub.foundation import clock, files, ledger
from leadhub.foundation.errors import TerminalError
from leadhub.permission import licences
from leadhub.permission.agreements import Agreement
from leadhub.release import recalls
from leadhub.release.recalls import Recall
from leadhub.release.store import Store
from leadhub.steps import approvals
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site


def _approved(site: Site) -> tuple[list[Agreement], list[str]]:
    """Licences as two people approved them last: nothing was delivered by anything else. And of each of
    which that cannot be read back, why: the others go on, and stewards are told."""
    found, unread = [], []
    for name in site.licences:
        try:
            if approved := approvals.approved(site, name):
                found.append(approved.agreement)
        except TerminalError as error:
            unread.append(error.message)
    return found, unread


def _of_each(site: Site, agreements: Iterable[Agreement]) -> Iterator[tuple[Agreement, list[Recall]]]:
    for agreement in agreements:
        chain = Store(site.settings.var, agreement.partner, agreement.dataset).chain
        found = recalls.recalls(agreement.partner, ledger.entries(chain))
        yield agreement, [r for r in found if r.dataset == agreement.dataset]


def listed(site: Site) -> list[dict[str, Any]]:
    """Every recall: partner, dataset, sequence, rows, delivered_at, days, state (`open`, `overdue`, or the
    outcome of `recalls.OUTCOMES`), acknowledged_at."""
    return _listed(site, _approved(site)[0])


def _listed(site: Site, agreements: Iterable[Agreement]) -> list[dict[str, Any]]:
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    rows = []
    for agreement, found in _of_each(site, agreements):
        for recall in found:
            days = recall.days_open(today)
            late = days > agreement.acknowledge_within_days
            rows.append(
                {
                    "partner": recall.partner,
                    "dataset": recall.dataset,
                    "sequence": recall.sequence,
                    "rows": recall.withdrawn,
                    "delivered_at": recall.delivered_at,
                    "days": days,
                    "state": recall.outcome or ("overdue" if late else "open"),
                    "acknowledged_at": recall.acknowledged_at,
                }
            )
    return rows


def abandoned(site: Site) -> list[str]:
    """partner/dataset of what was delivered under an agreement whose file is gone. It has no task of its
    own where Airflow may not look at what was approved (`roles`): nothing is sure to be withdrawn there."""
    named = (licences.named(path.stem) for path in site.settings.agreements.glob("*.yaml"))
    known = {(licence.partner, licence.dataset) for licence in named if licence}
    delivered = {
        (chain.stem, str(entry.dataset))
        for chain in files.found(site.settings.var / "ledger", "*.jsonl")
        for entry in ledger.entries(chain)
        if entry.kind == "committed"
    }
    return [f"{partner}/{dataset}" for partner, dataset in sorted(delivered - known)]


def collect(site: Site) -> Receipt:
    """Take what partners acknowledge out of their outboxes into their ledgers. An answer that cannot be
    read stays where it is, and is told of.

    Receipt: `taken`, `refused` (file and rule), `overdue` (partner/dataset/sequence), `abandoned`, `text`
    for the stewards where something waits for them, or cannot be read. Raises: TransientError.
    """
    from connectors.sftp import Outbox

    taken, refused = 0, []
    agreements, unread = _approved(site)
    for agreement, found in _of_each(site, agreements):
        waiting = [r for r in found if not r.done]
        if not waiting:
            continue
        chain = Store(site.settings.var, agreement.partner, agreement.dataset).chain
        with Outbox(site.connect(agreement.recipient.connection)) as outbox:
            for recall in waiting:
                name = recalls.file_name(recall.dataset, recall.sequence)
                try:
                    data = outbox.read_answer(name)
                    if data is None:
                        continue
                    ledger.append(chain, recalls.entry(recall, recalls.read(data, recall)))
                except TerminalError as error:
                    if error.reason != "unreadable_file":
                        raise
                    refused.append(f"{recall.partner}: {error.message}")
                    continue
                outbox.remove_answer(name)
                taken += 1
    rows = _listed(site, agreements)
    overdue = [
        f"{r['partner']}/{r['dataset']}/{r['sequence']:06d}" for r in rows if r["state"] == "overdue"
    ]
    kept = [
        f"{r['partner']}/{r['dataset']}/{r['sequence']:06d}" for r in rows if r["state"] == "NOT_REMOVED"
    ]
    gone = abandoned(site)
    return {
        "status": "collected",
        "taken": taken,
        "refused": refused,
        "overdue": overdue,
        "abandoned": gone,
        "text": "\n".join(filter(None, (_text(refused, overdue, kept, gone), *unread))),
    }


def _text(refused: list[str], overdue: list[str], kept: list[str], gone: list[str]) -> str:
    told = {
        "recalls not acknowledged in time: {}. Ask the partner.": overdue,
        "recalls that a partner did not carry out: {}. Speak with it.": kept,
        "delivered, and the agreement's file is gone: {}. No revocation or seal is sure to reach that "
        "partner: put the file back, with a last day that is past if nothing more is to leave.": gone,
    }
    lines = [sentence.format(", ".join(which)) for sentence, which in told.items() if which]
    return "\n".join([*lines, *(f"an acknowledgement cannot be read: {r}" for r in refused)])
