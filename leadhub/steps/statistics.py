"""Tables of counts: made once, kept for ever, and what their readers get is read from here alone.

::

    var/statistics/<dataset>/<period>.json     what is shown of a period, and nothing else

Outside table history and retention, as the register of seals: a table that was made anew from later data
could be subtracted from the one that had left.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.casework import referred
from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lease import lease
from leadhub.identity.keyed import to_arrow
from leadhub.permission import small_cells, statistics
from leadhub.permission.small_cells import Shown, Table
from leadhub.permission.statistics import Period, Statistic
from leadhub.steps import tables
from leadhub.steps.site import Site

#: dataset → what counts it, from a night's tables: first and last day
_Counts = Callable[[pl.DataFrame, pl.DataFrame, pl.DataFrame, date, date], pl.DataFrame]
_COUNTED: dict[str, _Counts] = {"referred_persons": referred.persons_referred}


def _path(site: Site, dataset: str, period: str) -> Path:
    return site.settings.var / "statistics" / dataset / f"{period}.json"


def made(site: Site, manifest: dict[str, Any], dataset: str) -> list[dict[str, Any]]:
    """Each table of a dataset that a committed night allows and that is not there yet; nothing is kept.

    For whoever needs it first, and not within the night itself: what is wrong with a table keeps nothing
    else from leaving. Raises: TerminalError `agreement_invalid`, `small_cell_exposed`.
    """
    facts = statistics.load(site.settings.agreements, dataset)
    if dataset not in _COUNTED:
        raise TerminalError("agreement_invalid", f"nothing in the hub counts [{dataset}]")
    due = _due(site, facts, {feed: said["as_of"] for feed, said in manifest["feeds"].items()})
    if not due:
        return []
    referrals, persons = (_of_police(site, manifest, name) for name in ("referrals", "persons"))
    held = site.lake.read("diversions", manifest["tables"]["diversions"])
    diversions = pl.DataFrame(pl.from_arrow(held))
    return [
        _table(
            site,
            manifest["night"],
            facts,
            period,
            _COUNTED[dataset](referrals, persons, diversions, period.first, period.last),
        )
        for period in due
    ]


def keep(site: Site, tables: list[dict[str, Any]]) -> None:
    """For ever; one that was kept first, for another, stays. Raises: TransientError `lease_held`."""
    if not tables:
        return
    with lease(site.leases, "statistics"):
        for table in tables:
            path = _path(site, table["dataset"], table["period"])
            if not path.exists():
                files.write_json(path, table)


def _due(site: Site, facts: Statistic, as_of: dict[str, str | None]) -> list[Period]:
    told = [as_of.get(feed) for feed in facts.inputs]
    if None in told:
        return []
    oldest = min(date.fromisoformat(night) for night in told if night)
    return [p for p in facts.closed(oldest) if not _path(site, facts.dataset, p.name).exists()]


def _of_police(site: Site, manifest: dict[str, Any], name: str) -> pl.DataFrame:
    """A state table over all police feeds, with a `feed` column."""
    parts = []
    for feed_id, receipt in manifest["feeds"].items():
        if site.feeds[feed_id].contract == "police":
            table = tables.read(site, feed_id, name, receipt["tables"][name]["version"])
            parts.append(pl.DataFrame(pl.from_arrow(table)).with_columns(feed=pl.lit(feed_id)))
    return pl.concat(parts)


def _table(
    site: Site, night: str, facts: Statistic, period: Period, counted: pl.DataFrame
) -> dict[str, Any]:
    """What may be shown of a period's counts."""
    axes = _axes(facts.dataset)
    counts = {tuple(row[:-1]): row[-1] for row in counted.select(*axes, "persons").iter_rows()}
    table = Table(tuple(axes.values()), counts)
    secret = site.keys.derive(f"statistics:{facts.dataset}|{period.name}")
    shown = small_cells.shown(table, least=facts.shown_from, secret=secret)
    if small_cells.exposed(table, shown, least=facts.shown_from):
        raise TerminalError(
            "small_cell_exposed",
            f"the table [{facts.dataset}] of {period.name} would give a small count away; it was not made; "
            "tell those who maintain the hub",
        )
    rows = _rows(period, axes, table, shown)
    return {"dataset": facts.dataset, "period": period.name, "night": night, "rows": rows}


def _axes(dataset: str) -> dict[str, tuple[str, ...]]:
    """Column → codes without ALL, of the columns over which a dataset counts."""
    from schemas.contract import facts
    from schemas.releases import RELEASES

    contract = facts(RELEASES[dataset])
    return {
        c.name: tuple(code for code in c.codes if code != small_cells.ALL)
        for c in contract.columns
        if c.name in contract.key and c.codes
    }


def _rows(period: Period, axes: dict[str, Any], table: Table, shown: Shown) -> list[dict[str, Any]]:
    return [
        {"period": period.name, **dict(zip(axes, cell, strict=True)), "persons": shown.cells.get(cell)}
        for cell in table.cells
    ]


def published(site: Site, dataset: str, columns: list[str], tables: list[dict[str, Any]]) -> pa.Table:
    """Every table of a dataset so far, with those of `made` that are not kept, a row a cell; `persons` is
    null where a count is not shown."""
    kept = [files.read_json(path) for path in files.found(_path(site, dataset, "any").parent, "*.json")]
    there = {table["period"] for table in kept}
    every = sorted([*kept, *(t for t in tables if t["period"] not in there)], key=lambda t: t["period"])
    schema = {name: pl.Int64 if name == "persons" else pl.String for name in columns}
    rows = [{name: row[name] for name in columns} for table in every for row in table["rows"]]
    return to_arrow(pl.DataFrame(rows, schema=schema, orient="row"))
