"""Who was told what of whom: a participant's request, and who stood in a delivery that was lost.

42 CFR 2.24 and 2.25 and 45 CFR 164.528 give a person an accounting of disclosures. The hub's tables name
nobody: the way in, and out, is an agency's own number for a person.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation import clock
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import Sensitivity
from leadhub.identity import sealing
from leadhub.release import accounting
from leadhub.release.store import Store
from leadhub.steps import tables
from leadhub.steps.site import Site

#: 42 CFR 2.25(a) and 45 CFR 164.528 as amended for electronic records: three years, a leap year among them
REACH = timedelta(days=3 * 365 + 1)


def accounting_of(site: Site, agency: str, local_id: str) -> dict[str, Any]:
    """What was, or may have been, disclosed in the last three years of whom `agency` calls `local_id`.

    `disclosures`, oldest first: at, night, partner, dataset, delivery, status, purpose, legal_basis,
    columns, agreement, version, consent (the agency's own number of it; "of another provider"; None where
    it rests on none), `certain` (False: told under an id from which records were parted since; it may
    concern somebody else, and a steward must look before it goes out).

    Raises: TerminalError `state_invalid` where the agency has no such person, `ledger_broken`.
    """
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    since = (today - REACH).isoformat()
    told = []
    events = _table(site, next(_manifests(site)), "crosswalk_events").to_dicts()
    for person_id, borne in bore(_persons(site, agency, local_id), events).items():
        for line in accounting.disclosures(site.settings.var, person_id):
            night = str(line["night"])
            if str(line["at"]) >= since and (borne.until is None or night < borne.until):
                told.append(_told(site, agency, line) | {"certain": night >= borne.certain_from})
    told.sort(key=lambda d: (d["at"], d["partner"], d["dataset"], d["delivery"]))
    return {"agency": agency, "asked_on": today.isoformat(), "since": since, "disclosures": told}


def breach(site: Site, partner: str, dataset: str, sequence: int, agency: str = "") -> dict[str, Any]:
    """Who stood in a delivery: `persons`, their ids, and with `agency` `own_ids`, the agency's numbers of
    those of whom it may be told: all, where the delivery was its own; else those whose row rests on a
    consent that it holds. Of the others it would learn here that they are in the programme.

    Raises: TerminalError `state_invalid` where there was no such delivery, `ledger_broken`.
    """
    store = Store(site.settings.var, partner, dataset)
    found = [e for kind in ("committed", "intent") for e in store.entries(kind) if e.sequence == sequence]
    if not found:
        raise TerminalError(
            "state_invalid", f"[{partner}] never got delivery {sequence} of [{dataset}]; see var/ledger"
        )
    entry = found[0]
    lines = accounting.read(store.release(entry) / "inside" / accounting.FILE, entry.accounting_sha256)
    rows = pl.DataFrame(pl.from_arrow(lines))
    said = {
        "partner": partner,
        "dataset": dataset,
        "sequence": sequence,
        "night": entry.night,
        "status": accounting.COMMITTED if entry.kind == "committed" else accounting.POSSIBLE,
        "rows": entry.rows,
        "columns": rows["columns"][0].to_list() if rows.height else [],
        "persons": sorted(set(rows["person_id"])),
    }
    if agency:
        mine = [agency == partner or _opened(site, agency, c) is not None for c in rows["consent_id"]]
        said |= {
            "own_ids": _own_ids(
                site, agency, set(rows.filter(pl.Series(mine, dtype=pl.Boolean))["person_id"])
            )
        }
    return said


def _told(site: Site, agency: str, line: dict[str, Any]) -> dict[str, Any]:
    same = ("at", "night", "partner", "dataset", "status", "purpose", "legal_basis", "columns", "agreement")
    consent = line["consent_id"]
    if consent is not None:
        consent = _opened(site, agency, consent) or "of another provider"
    return {name: line[name] for name in same} | {
        "delivery": line["sequence"],
        "version": line["agreement_version"],
        "consent": consent,
    }


def _opened(site: Site, agency: str, sealed: str | None) -> str | None:
    """An id that was sealed for the agency; None for another's."""
    try:
        return sealing.open_sealed(pa.array([sealed], pa.string()), agency, site.keys)[0].as_py()
    except TerminalError:
        return None


def _manifests(site: Site) -> Iterator[dict[str, Any]]:
    """The kept nights, the last first."""
    for night in reversed(site.lake.nights()):
        yield site.lake.night(night) or {}


def _person_tables(site: Site, manifest: dict[str, Any], agency: str) -> Iterator[tuple[str, pl.DataFrame]]:
    """The agency's tables of persons, each with the name of the column that numbers them."""
    for feed in site.feeds.values():
        held = manifest["feeds"].get(feed.id, {}).get("tables", {}) if feed.agency == agency else {}
        for name, facts in site.facts(feed).items():
            own = [c.name for c in facts.of(Sensitivity.LOCAL_ID) if c.name in facts.key]
            if name in held and facts.holds_persons and own:
                columns = ["record_id", *own]
                table = tables.read(site, feed.id, name, held[name]["version"], columns)
                yield own[0], pl.DataFrame(pl.from_arrow(table))


def _persons(site: Site, agency: str, local_id: str) -> set[str]:
    """Person ids on the last night that knows the number: what an agency took away stays accounted for."""
    sealed = sealing.seal(pa.array([local_id]), agency, site.keys)[0].as_py()
    for manifest in _manifests(site):
        records: set[str] = set()
        for column, table in _person_tables(site, manifest, agency):
            records |= set(table.filter(pl.col(column) == sealed)["record_id"])
        if records:
            known = _table(site, manifest, "crosswalk")
            return set(known.filter(pl.col("record_id").is_in(list(records)))["person_id"])
    raise TerminalError(
        "state_invalid",
        f"no person of [{agency}] has that number in a kept night; agencies are named in feeds/*.yaml",
    )


@dataclass(frozen=True)
class Borne:
    """How long records of a person stood under an id: what was told under it before the night `until`
    (None: to this day) was told of them; before `certain_from` perhaps of others, who stood there too."""

    until: str | None = None
    certain_from: str = ""


def bore(persons: set[str], events: list[dict[str, Any]]) -> dict[str, Borne]:
    """Every id under which the records of `persons` stood, by the crosswalk's events, the oldest first."""
    parted: dict[str, str] = {}
    undone: dict[tuple[str, str], str] = {}
    for event in events:
        one, other = event["person_id"], event["other_person_id"]
        if event["event"] in ("split", "reversal"):
            parted[other] = event["night"]
        if event["event"] == "reversal":
            undone[other, one] = event["night"]
        elif event["event"] == "merge":
            undone.pop((one, other), None)
    ids = {person: Borne(None, parted.get(person, "")) for person in sorted(persons)}
    open_ = list(ids)
    while open_:
        into = open_.pop()
        for event in events:
            other = event["other_person_id"]
            if event["person_id"] == into and other is not None and other not in ids:
                whole = event["event"] == "merge" and ids[into].until is None
                # what was merged and went again left nothing certain; nor is what came by a split
                until = undone.get((into, other)) if whole else event["night"]
                ids[other] = Borne(until, until or parted.get(other, ""))
                open_.append(other)
    return ids


def _own_ids(site: Site, agency: str, persons: set[str]) -> list[str]:
    manifest = next(_manifests(site))
    known = _table(site, manifest, "crosswalk").filter(pl.col("person_id").is_in(list(persons)))
    found: set[str] = set()
    for column, table in _person_tables(site, manifest, agency):
        sealed = table.join(known, on="record_id", how="semi").get_column(column)
        found |= set(sealing.open_sealed(sealed.to_arrow(), agency, site.keys).to_pylist())
    return sorted(found)


def _table(site: Site, manifest: dict[str, Any], name: str) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(site.lake.read(name, manifest["tables"][name])))
