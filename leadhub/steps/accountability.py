"""Who was told what of whom: a participant's request, and who stood in a delivery that was lost.

42 CFR 2.24 and 2.25 and 45 CFR 164.528 give a person an accounting of disclosures. The hub's tables name
nobody: the way in, and out, is an agency's own number for a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation import clock
from leadhub.foundation.errors import TerminalError
from leadhub.identity import sealing
from leadhub.release import accounting
from leadhub.release.store import Store
from leadhub.steps import departed
from leadhub.steps.site import Site


def accounting_of(site: Site, agency: str, local_id: str) -> dict[str, Any]:
    """What was, or may have been, disclosed in the last three years of whom `agency` calls `local_id`.

    `disclosures`, oldest first: at, night, partner, dataset, delivery, status, purpose, legal_basis,
    columns, agreement, version, consent (the agency's own number of it; "of another provider"; None where
    it rests on none), `certain` (False: told under an id from which records were parted since; it may
    concern somebody else, and a steward must look before it goes out).

    Raises: TerminalError `state_invalid` where the agency had no such person in that time, `ledger_broken`.
    """
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    since = (today - departed.REACH).isoformat()
    told, manifest = [], _last(site)
    events = _table(site, manifest, "crosswalk_events").to_dicts()
    for person_id, borne in bore(_persons(site, manifest, agency, local_id), events).items():
        for line in accounting.disclosures(site.settings.var, person_id):
            night = str(line["night"])
            if str(line["at"]) >= since and (borne.until is None or night < borne.until):
                told.append(_told(site, agency, line) | {"certain": night >= borne.certain_from})
    told.sort(key=lambda d: (d["at"], d["partner"], d["dataset"], d["delivery"]))
    return {"agency": agency, "asked_on": today.isoformat(), "since": since, "disclosures": told}


def breach(site: Site, partner: str, dataset: str, sequence: int, agency: str = "") -> dict[str, Any]:
    """Who stood in a delivery: `persons`, their ids, and with `agency` `own_ids`, the agency's numbers of
    those of whom it may be told: all, where the delivery was its own; else those whose row rests on a
    consent that it holds. Of the others it would learn here that they are in the programme. Whoever was
    merged or parted since is found under every id; `without_number` says of how many persons the agency
    has named none in the last three years.

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
        "status": accounting.standing(entry),
        "rows": entry.rows,
        "columns": rows["columns"][0].to_list() if rows.height else [],
        "persons": sorted(set(rows["person_id"])),
    }
    if agency:
        mine = [agency == partner or _opened(site, agency, c) is not None for c in rows["consent_id"]]
        told = set(rows.filter(pl.Series(mine, dtype=pl.Boolean))["person_id"])
        said |= _own_ids(site, agency, told, str(entry.night))
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


def _last(site: Site) -> dict[str, Any]:
    """Raises: TerminalError `night_incomplete` before the first night."""
    nights = site.lake.nights()
    if not nights:
        raise TerminalError("night_incomplete", "no night is committed yet; nothing was told of anybody")
    return site.lake.night(nights[-1]) or {}


def _persons(site: Site, manifest: dict[str, Any], agency: str, local_id: str) -> dict[str, str]:
    """Person ids whom the agency gave the number → the night on which it was gone (empty: it is there)."""
    sealed = sealing.seal(pa.array([local_id]), agency, site.keys)[0].as_py()
    records: set[str] = set()
    for _, table in departed.numbered(site, manifest["feeds"], agency):
        records |= set(table.filter(pl.col("number") == sealed)["record_id"])
    known = _table(site, manifest, "crosswalk").filter(pl.col("record_id").is_in(list(records)))
    gone = departed.of_agency(site, manifest, agency).filter(pl.col("number") == local_id).sort("until")
    found = dict(gone.select("person_id", "until").iter_rows()) | dict.fromkeys(known["person_id"], "")
    if not found:
        raise TerminalError(
            "state_invalid",
            f"[{agency}] named no person by that number in the last three years; agencies are named in "
            "feeds/*.yaml",
        )
    return found


@dataclass(frozen=True)
class Borne:
    """How long records of a person stood under an id: what was told under it before the night `until`
    (None: to this day) was told of them; before `certain_from` perhaps of others, who stood there too."""

    until: str | None = None
    certain_from: str = ""


#: after every night
_NEVER = "9999-12-31"


def bore(persons: Mapping[str, str], events: list[dict[str, Any]]) -> dict[str, Borne]:
    """Every id under which the records of `persons` stood, by the crosswalk's events, the oldest first.

    `persons`: person id → the night on which the record asked about was gone (empty: it is there). Of a
    person who fell apart later nobody knows any more to which part it belonged: then nothing is certain.
    """
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
    ids = {
        person: Borne(None, _NEVER if gone and parted.get(person, "") >= gone else parted.get(person, ""))
        for person, gone in sorted(persons.items())
    }
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


def _own_ids(site: Site, agency: str, persons: set[str], since: str) -> dict[str, Any]:
    """`own_ids`: the agency's numbers of persons as they were on the night `since`; `without_number`: of
    how many it has none."""
    manifest = _last(site)
    events = _table(site, manifest, "crosswalk_events").filter(pl.col("night") > since).to_dicts()
    now = {person: became(person, events) for person in persons}
    walk = _table(site, manifest, "crosswalk").select("record_id", "person_id")
    named = [departed.of_agency(site, manifest, agency).select("person_id", "number")]
    for _, table in departed.numbered(site, manifest["feeds"], agency):
        met = table.join(walk.filter(pl.col("person_id").is_in(set().union(*now.values()))), on="record_id")
        opened = sealing.open_sealed(met["number"].to_arrow(), agency, site.keys).to_pylist()
        named.append(met.select("person_id", number=pl.Series(opened, dtype=pl.String)))
    numbers = dict(pl.concat(named).group_by("person_id").agg("number").iter_rows())
    found = {person: {n for i in ids for n in numbers.get(i, ())} for person, ids in now.items()}
    return {
        "own_ids": sorted(set().union(*found.values())),
        "without_number": sum(not given for given in found.values()),
    }


def became(person: str, events: list[dict[str, Any]]) -> set[str]:
    """The ids under which a person's records stand after `events` (the crosswalk's, the oldest first): all
    to whom any of them went."""
    ids = {person}
    for event in events:
        if event["event"] in ("merge", "split", "reversal") and event["other_person_id"] in ids:
            ids.add(event["person_id"])
    return ids


def _table(site: Site, manifest: dict[str, Any], name: str) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(site.lake.read(name, manifest["tables"][name])))
