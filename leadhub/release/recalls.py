"""Recalls: what a partner was told to remove, and its word that it has.

Every delivery that withdraws rows is a recall until the partner acknowledges it, by a small file in its
outbox that names the delivery. Revocation, seal and correction are one kind of recall here too: nothing in
it says why (42 CFR 2.13(c)). Saying of a delivery that its rows are removed says it of all before it: who
loaded that one has applied the others. That rows are not removed is said of one delivery, and stands until
the partner says otherwise.
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
_DONE = ("REMOVED", "REMOVED_BUT_PASSED_ON")
_KEYS = {"format", "dataset", "sequence", "manifest_sha256", "outcome"}


@dataclass(frozen=True)
class Recall:
    """One delivery that withdrew `withdrawn` rows; `outcome` once it is acknowledged, the latest word."""

    partner: str
    dataset: str
    sequence: int
    withdrawn: int
    manifest_sha256: str
    delivered_at: str
    acknowledged_at: str | None = None
    outcome: str | None = None

    @property
    def done(self) -> bool:
        """Nothing more is awaited of the partner."""
        return self.outcome in _DONE

    def days_open(self, today: date) -> int:
        """Whole days since delivery, until the acknowledgement came."""
        until = datetime.fromisoformat(self.acknowledged_at).date() if self.acknowledged_at else today
        return (until - datetime.fromisoformat(self.delivered_at).date()).days


def file_name(dataset: str, sequence: int) -> str:
    """Of the acknowledgement, in the partner's outbox."""
    return f"acknowledged_{dataset}_{sequence:06d}.json"


def recalls(partner: str, entries: Iterable[Entry]) -> list[Recall]:
    """All recalls of a partner, the oldest first, from its ledger."""
    told = list(entries)
    said = [e for e in told if e.kind == "acknowledged"]
    found = []
    for entry in (e for e in told if e.kind == "committed" and e.withdrawn):
        answers = [a for a in said if _speaks_for(a, entry)]
        answer = answers[-1] if answers else None
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


def _speaks_for(answer: Entry, delivered: Entry) -> bool:
    if answer.dataset != delivered.dataset:
        return False
    same = _number(answer) == _number(delivered)
    return same or (answer.note in _DONE and _number(answer) > _number(delivered))


def read(data: bytes, recall: Recall) -> str:
    """The outcome that a partner's file states. It says what it says in full, or nothing.

    Raises: TerminalError `unreadable_file` naming the file and the rule, never what it holds.
    """
    name = file_name(recall.dataset, recall.sequence)
    try:
        said: Any = json.loads(data, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise _refused(name, "is no JSON in UTF-8") from None
    if not isinstance(said, dict) or said.keys() != _KEYS:
        raise _refused(name, f"must have exactly the keys {sorted(_KEYS)}")
    stated = (said["format"], said["dataset"], said["sequence"])
    if stated != (FORMAT, recall.dataset, recall.sequence) or type(said["sequence"]) is not int:
        raise _refused(name, f"must state format {FORMAT}, and the dataset and number of its own name")
    if said["manifest_sha256"] != recall.manifest_sha256:
        raise _refused(name, "must state the SHA-256 of that delivery's manifest.json")
    if not isinstance(said["outcome"], str) or said["outcome"] not in OUTCOMES:
        raise _refused(name, f"must state an outcome of {sorted(OUTCOMES)}")
    return said["outcome"]


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError
    return dict(pairs)


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
