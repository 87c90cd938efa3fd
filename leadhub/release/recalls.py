"""Recalls: what a partner was told to remove, and its word that it has.

Every delivery that withdraws rows is a recall until the partner acknowledges it, by a small file in its
inbox that names the delivery. Revocation, seal and correction are one kind of recall here too: nothing in
it says why (42 CFR 2.13(c)). Acknowledging a delivery acknowledges all before it: who loaded that one has
applied the others.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.ledger import Entry

FORMAT = "leadhub-acknowledgement/1"
#: what a partner may answer
OUTCOMES: dict[str, str] = {
    "REMOVED": "every row was removed, also from what was derived from it",
    "REMOVED_BUT_PASSED_ON": "removed here; copies had gone to others, who were told",
    "NOT_REMOVED": "rows are still there or were used; the stewards must speak with the partner",
}
_KEYS = {"format", "dataset", "sequence", "manifest_sha256", "outcome"}


@dataclass(frozen=True)
class Recall:
    """One delivery that withdrew `withdrawn` rows; `outcome` once it is acknowledged."""

    partner: str
    dataset: str
    sequence: int
    withdrawn: int
    manifest_sha256: str
    delivered_at: str
    acknowledged_at: str | None = None
    outcome: str | None = None

    def days_open(self, today: date) -> int:
        """Whole days since delivery, until the acknowledgement came."""
        until = datetime.fromisoformat(self.acknowledged_at).date() if self.acknowledged_at else today
        return (until - datetime.fromisoformat(self.delivered_at).date()).days


def file_name(dataset: str, sequence: int) -> str:
    """Of the acknowledgement, in the partner's inbox."""
    return f"acknowledged_{dataset}_{sequence:06d}.json"


def recalls(partner: str, entries: Iterable[Entry]) -> list[Recall]:
    """All recalls of a partner, the oldest first, from its ledger."""
    told = list(entries)
    said = [e for e in told if e.kind == "acknowledged"]
    found = []
    for entry in (e for e in told if e.kind == "committed" and e.withdrawn):
        answers = [
            a for a in said if a.dataset == entry.dataset and (a.sequence or 0) >= (entry.sequence or 0)
        ]
        answer = answers[0] if answers else None
        found.append(
            Recall(
                partner,
                entry.dataset or "",
                _number(entry),
                entry.withdrawn or 0,
                entry.manifest_sha256 or "",
                entry.at,
                answer.at if answer else None,
                answer.note if answer else None,
            )
        )
    return found


def _number(entry: Entry) -> int:
    return entry.sequence or 0


def read(data: bytes, recall: Recall) -> str:
    """The outcome that a partner's file states. It says what it says in full, or nothing.

    Raises: TerminalError `unreadable_file` naming the file and the rule, never what it holds.
    """
    name = file_name(recall.dataset, recall.sequence)
    try:
        said: Any = json.loads(data)
    except ValueError:
        raise _refused(name, "is no JSON in UTF-8") from None
    if not isinstance(said, dict) or said.keys() != _KEYS:
        raise _refused(name, f"must have exactly the keys {sorted(_KEYS)}")
    if said["format"] != FORMAT or said["dataset"] != recall.dataset or said["sequence"] != recall.sequence:
        raise _refused(name, f"must state format {FORMAT}, and the dataset and number of its own name")
    if said["manifest_sha256"] != recall.manifest_sha256:
        raise _refused(name, "must state the SHA-256 of that delivery's manifest.json")
    if said["outcome"] not in OUTCOMES:
        raise _refused(name, f"must state an outcome of {sorted(OUTCOMES)}")
    return str(said["outcome"])


def _refused(name: str, rule: str) -> TerminalError:
    return TerminalError("unreadable_file", f"[{name}] {rule}; ask the partner for another")


def entry(recall: Recall, outcome: str) -> Entry:
    """What the ledger keeps of an acknowledgement."""
    return Entry(
        "acknowledged",
        dataset=recall.dataset,
        sequence=recall.sequence,
        manifest_sha256=recall.manifest_sha256,
        note=outcome,
    )
