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
from leadhub.casework.frames import Frames
from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.identity.keyed import to_arrow
from leadhub.permission import small_cells, statistics
from leadhub.permission.small_cells import Shown, Table
from leadhub.permission.statistics import Period
from leadhub.steps.site import Site

#: dataset → what counts it: frames, diversions, first and last day
_COUNTED: dict[str, Callable[[Frames, pl.DataFrame, date, date], pl.DataFrame]] = {
    "referred_persons": referred.persons_referred
}


def _path(site: Site, dataset: str, period: str) -> Path:
    return site.settings.var / "statistics" / dataset / f"{period}.json"


def due(site: Site, as_of: dict[str, str | None]) -> list[tuple[str, Period]]:
    """Dataset and period of each table that can be made from feeds `as_of` these nights, and is not yet."""
    found = []
    for dataset, facts in statistics.load_all(site.settings.agreements).items():
        told = [as_of.get(feed) for feed in facts.inputs]
        if None not in told:
            oldest = min(date.fromisoformat(night) for night in told if night)
            found += [
                (dataset, p) for p in facts.closed(oldest) if not _path(site, dataset, p.name).exists()
            ]
    return found


def make(
    site: Site, night: str, dataset: str, period: Period, frames: Frames, diversions: pa.Table
) -> None:
    """Count a period, and keep what may be shown of it. Raises: TerminalError `small_cell_exposed`."""
    facts, axes = statistics.load_all(site.settings.agreements)[dataset], _axes(dataset)
    counted = _COUNTED[dataset](frames, pl.DataFrame(pl.from_arrow(diversions)), period.first, period.last)
    counts = {tuple(row[:-1]): row[-1] for row in counted.select(*axes, "persons").iter_rows()}
    table = Table(tuple(axes.values()), counts)
    shown = small_cells.shown(table, least=facts.shown_from)
    if small_cells.exposed(table, shown, least=facts.shown_from):
        raise TerminalError(
            "small_cell_exposed",
            f"the table [{dataset}] of {period.name} would give a small count away; it was not made; tell "
            "those who maintain the hub",
        )
    kept = {
        "dataset": dataset,
        "period": period.name,
        "night": night,
        "rows": _rows(period, axes, table, shown),
    }
    files.write_json(_path(site, dataset, period.name), kept)


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


def published(site: Site, dataset: str, columns: list[str]) -> pa.Table:
    """Every table of a dataset so far, a row a cell; `persons` is null where a count is not shown."""
    kept = [files.read_json(path) for path in sorted(_path(site, dataset, "any").parent.glob("*.json"))]
    schema = {name: pl.Int64 if name == "persons" else pl.String for name in columns}
    rows = [{name: row[name] for name in columns} for table in kept for row in table["rows"]]
    return to_arrow(pl.DataFrame(rows, schema=schema, orient="row"))
