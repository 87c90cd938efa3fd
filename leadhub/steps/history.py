"""What became of person ids: merges, splits and reversals, who decided them, and what had gone out before.

A delivery of an earlier night told of persons as they were then. The next one of the same dataset is made
from the persons as they are now and replaces it whole: the correction. Partners know a person by keys of
their own; which person ids stood in which delivery is in the accounting that each release keeps inside.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import polars as pl

from leadhub.foundation import clock
from leadhub.foundation.errors import TerminalError
from leadhub.release import accounting
from leadhub.steps import review
from leadhub.steps.site import Site

KINDS = ("merge", "split", "reversal")
_SAID = ("number", "pair", "verdict", "by", "why", "at")


def history(
    site: Site, person: str | None = None, *, since: str | None = None, night: str | None = None
) -> list[dict[str, Any]]:
    """The events that moved records from one person id to another, the latest first.

    `person`: only those of a person, by the beginning of its id. `since`, `night`: from that night on, of
    that night. Each: night, kind, from, to, records, decision (`_SAID`; None where no steward caused it),
    deliveries (partner, dataset, sequence, night, status; those of earlier nights that told of either
    person), corrections (partner, dataset → sequence and night of the first delivery since; None: the
    partner still holds the earlier one).

    Raises: TerminalError `night_incomplete` before the first night, `night_invalid`, `ledger_broken`.
    """
    moved = _events(site).filter(pl.col("event").is_in(KINDS))
    if person is not None:
        of_person = (pl.col(c).str.starts_with(person) for c in ("person_id", "other_person_id"))
        moved = moved.filter(pl.any_horizontal(*of_person))
    if since is not None:
        moved = moved.filter(pl.col("night") >= clock.check_night(since))
    if night is not None:
        moved = moved.filter(pl.col("night") == clock.check_night(night))
    ordered = moved.sort("night", "event", "person_id", "other_person_id", descending=[True] + 3 * [False])
    decided = {d["number"]: {k: d[k] for k in _SAID} for d in review.made(site)}
    found = [
        {
            "night": row["night"],
            "kind": row["event"],
            "from": row["other_person_id"],
            "to": row["person_id"],
            "records": row["records"],
            "decision": decided.get(row["decision"]),
            "deliveries": [],
            "corrections": [],
        }
        for row in ordered.to_dicts()
    ]
    _trace(site, found)
    return found


def _events(site: Site) -> pl.DataFrame:
    nights = site.lake.nights()
    if not nights:
        raise TerminalError("night_incomplete", "no night is committed yet; nothing has become of anybody")
    tables = (site.lake.night(nights[-1]) or {})["tables"]
    events = pl.DataFrame(pl.from_arrow(site.lake.read("crosswalk_events", tables["crosswalk_events"])))
    if "decision" not in events.columns:
        events = events.with_columns(decision=pl.lit(None, pl.Int64))
    return events


def _trace(site: Site, found: list[dict[str, Any]]) -> None:
    """Which deliveries each event concerns; each release's accounting is read once."""
    concerned = defaultdict(list)
    for event in found:
        for person in (event["from"], event["to"]):
            concerned[person].append(event)
    shipped = defaultdict(list)
    for head, persons in accounting.deliveries(site.settings.var) if found else ():
        delivery = {k: head[k] for k in ("partner", "dataset", "sequence", "night", "status")}
        shipped[head["partner"], head["dataset"]].append(delivery)
        for person in sorted(persons & concerned.keys()):
            for event in concerned[person]:
                if delivery["night"] < event["night"] and delivery not in event["deliveries"]:
                    event["deliveries"].append(delivery)
    for event in found:
        for partner, dataset in sorted({(d["partner"], d["dataset"]) for d in event["deliveries"]}):
            since = (
                {k: d[k] for k in ("sequence", "night")}
                for d in shipped[partner, dataset]
                if d["night"] >= event["night"] and d["status"] == accounting.COMMITTED
            )
            by = next(since, None)
            event["corrections"].append({"partner": partner, "dataset": dataset, "by": by})
