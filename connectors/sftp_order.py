"""Where a drop stands among those that came before: a repetition, in its place, or to be held."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from connectors.sftp_drops import Candidate
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop, Member


def same_rows(candidate: Candidate, members: Sequence[Member], earlier: Sequence[Drop]) -> Drop | None:
    """An earlier full drop of the same date with the same rows, sent again under another name or manifest.

    The same rows under another date are news: that nothing changed.
    """
    if candidate.mode != "full":
        return None
    rows, all_of_it = _hashes(members, rows=True), _hashes(members)
    return next(
        (
            d
            for d in earlier
            if d.mode == "full"
            and d.sequence // 100 == candidate.number // 100
            and _hashes(d.members, rows=True) == rows
            and _hashes(d.members) != all_of_it
        ),
        None,
    )


def _hashes(members: Sequence[Member], *, rows: bool = False) -> list[tuple[str, str]]:
    return sorted((m.table or "", m.sha256) for m in members if m.role == "rows" or not rows)


def out_of_place(
    feed: Feed, drop: Drop, earlier: Sequence[Drop], applied: Sequence[Drop], *, new: bool
) -> tuple[str, str] | None:
    """Reason and message if the drop must be held: a person decides.

    `earlier` are the drops in landing, `applied` those of them that are not held. `new` is False where the
    drop itself is among them, brought by a run that did not finish: then only what came before it counts.
    """
    before = [d for d in earlier if new or _order(d) < _order(drop)]
    counted = [d for d in applied if d in before]
    if (
        feed.drop
        and feed.drop.resubmission == "refuse"
        and any(d.sequence == drop.sequence for d in before)
    ):
        return (
            "conflicting_resubmission",
            "a drop of this date and sequence came before with other content; decide which one holds, "
            "or ask for a new sequence number",
        )
    # drops of one night are applied together, in order
    if any(d.night != drop.night and d.sequence > drop.sequence for d in counted):
        return (
            "out_of_order",
            "a later drop has been taken already; release this one only if it must be applied after it",
        )
    if drop.mode == "delta" and not _follows(feed, drop, counted):
        return (
            "out_of_order",
            "changes came without the drop before them; ask for it or for a FULL drop",
        )
    return None


def _order(drop: Drop) -> tuple[str, str, int]:
    return drop.landed_at, drop.night, drop.sequence


def _follows(feed: Feed, drop: Drop, counted: Sequence[Drop]) -> bool:
    """Changes apply to the state that the sender had in mind: the drop before must be there."""
    if drop.sequence % 100 > 1:
        return any(d.sequence == drop.sequence - 1 for d in counted)
    if feed.cadence == "irregular":
        return True
    day = datetime.strptime(str(drop.sequence // 100), "%Y%m%d").date()  # noqa: DTZ007
    eve = int(f"{day - timedelta(days=1):%Y%m%d}")
    return any(d.sequence // 100 == eve for d in counted)
