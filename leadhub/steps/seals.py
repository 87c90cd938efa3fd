"""The register of seals: what was ever sealed stays sealed, whatever a source forgets or sends again.

::

    var/seals/<night>.json      seals first stated that night: ids and numbers as keyed tokens
    var/seals/lifted/<n>.json   a steward's word that a seal was entered by mistake
    var/seals/vacated/<night>.json  seals by orders that the office said that night are vacated
    var/seals/rotated/          every rotation of keys: ids here may be of the newest version
    var/seals/outcomes/         how many sealed cases had ended how; nobody is named, no night told apart
    var/seals/consents/         consents that are over (`past_consents`)

Files are only ever added, outside table history and retention: a backup that is put back leaves them alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.casework import outcomes
from leadhub.casework.seals import COLUMNS
from leadhub.foundation import clock, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lease import lease
from leadhub.steps import tables
from leadhub.steps.site import Site

_SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])


def _folder(site: Site) -> Path:
    return site.settings.var / "seals"


def _lifted(site: Site) -> list[dict[str, Any]]:
    return [files.read_json(path) for path in files.found(_folder(site) / "lifted", "*.json")]


def _vacated(site: Site) -> list[dict[str, Any]]:
    nights = [files.read_json(path) for path in files.found(_folder(site) / "vacated", "*.json")]
    return [seal for night in nights for seal in night["seals"]]


def known(site: Site) -> list[dict[str, Any]]:
    """Every seal that stands, the oldest first: `COLUMNS`, night, seal (its id)."""
    nights = [files.read_json(path) for path in files.found(_folder(site), "*.json")]
    every = [seal for night in nights for seal in night["seals"]]
    gone = {(ended["seal"], ended["night"]) for ended in (*_lifted(site), *_vacated(site))}
    standing = [s for s in every if (s["seal"], s["night"]) not in gone]
    current = tables.brought_up(site, "seal_orders", standing, COLUMNS)
    return [s | ids for s, ids in zip(standing, current, strict=True)]


def register(site: Site) -> pa.Table:
    """`COLUMNS` of the seals that stand."""
    return pa.Table.from_pylist([{c: s[c] for c in COLUMNS} for s in known(site)], _SCHEMA)


def remember(site: Site, night: str, found: pa.Table) -> list[dict[str, Any]]:
    """Seals that the register does not have yet; returns those that are new. Run again, the same."""
    have = {_what(s) for s in known(site) if s["night"] != night}
    new = [s for s in found.to_pylist() if _what(s) not in have]
    if new:
        named = [{"seal": _id(s), "night": night, **s} for s in new]
        files.write_json(_folder(site) / f"{night}.json", {"night": night, "seals": named})
    return new


def vacate(site: Site, night: str, orders: pl.DataFrame) -> None:
    """The seals by these orders (feed, order_id) stand no longer, also once the office drops the rows that
    say so. Sealed anew, it is another seal. Run again, the same."""
    named = set(orders.select("feed", "order_id").rows())
    ended = [s for s in known(site) if (s["feed"], s["order_id"]) in named]
    if ended:
        path = _folder(site) / "vacated" / f"{night}.json"
        before = files.read_json(path)["seals"] if path.exists() else []
        told = [*before, *({"seal": s["seal"], "night": s["night"]} for s in ended)]
        files.write_json(path, {"night": night, "seals": told})


def count(site: Site, night: str, counted: pl.DataFrame) -> None:
    """Add a night's `casework.outcomes.counted` to the counter, once. No night's own counts are kept: with
    the register beside them they would say how a single case had ended."""
    told = _counter(site)
    if night not in told["nights"]:
        for row in counted.to_dicts():
            cell = f"{row['year']}|{'referred' if row['referred'] else 'not_referred'}|{row['outcome']}"
            told["cases"][cell] = told["cases"].get(cell, 0) + row["cases"]
        told["nights"].append(night)
        told["shown"] = outcomes.shown(told["shown"], told["cases"])
        files.write_json(_folder(site) / "outcomes" / "counter.json", told)


def _counter(site: Site) -> dict[str, Any]:
    path = _folder(site) / "outcomes" / "counter.json"
    return files.read_json(path) if path.exists() else {"cases": {}, "nights": [], "shown": {}}


def counted_outcomes(site: Site) -> dict[str, Any]:
    """`cells`: year, referred, outcome, cases (None: fewer than `outcomes.SHOWN_FROM`); `bias`. As they
    stood when `outcomes.shown` last renewed them. No totals: a total would give the small cells away."""
    cells = []
    for cell, cases in sorted(_counter(site)["shown"].items()):
        year, referred, outcome = cell.split("|")
        shown = cases if cases >= outcomes.SHOWN_FROM else None
        cells.append({"year": int(year), "referred": referred, "outcome": outcome, "cases": shown})
    return {"cells": cells, "bias": outcomes.BIAS}


def _id(seal: dict[str, Any]) -> str:
    what = "|".join(part or "" for part in _what(seal))
    return files.sha256_bytes(what.encode())[:12]


def _what(seal: dict[str, Any]) -> tuple[str | None, ...]:
    names = ("feed", "scope", "order_id", "da_case_no", "charge_seq", "sealed_under")
    return tuple(seal[name] for name in names)


def lift(site: Site, seal: str, *, by: str, why: str) -> dict[str, Any]:
    """A seal was entered by mistake: from the next night on it stands only where the office states it.

    Raises: TerminalError `state_invalid` where no seal, or more than one, begins so, or name or reason are
    missing.
    """
    with lease(site.leases, "night"):
        found = [s for s in known(site) if s["seal"].startswith(seal)]
        if len(found) != 1 or not by.strip() or not why.strip():
            raise TerminalError(
                "state_invalid",
                f"{len(found)} seals begin with [{seal}], see `leadhub seals list`; say --by and --why",
            )
        said = {"seal": found[0]["seal"], "night": found[0]["night"], "by": by.strip(), "why": why.strip()}
        said["at"] = clock.stamp(clock.now())
        number = len(_lifted(site)) + 1
        files.write_json(_folder(site) / "lifted" / f"{number:04d}.json", said)
    return said
