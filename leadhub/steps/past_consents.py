"""The register of consents that are over: what was revoked or ended stays so, whatever a source forgets.

::

    var/seals/consents/<night>.json    seen first that night: lines by record id, clients and dockets sealed

Beside the register of seals, and kept as it is: lines are only ever added, outside table history and
retention; a backup that is put back leaves them alone.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from leadhub.foundation import files
from leadhub.permission.consent_ends import PAST
from leadhub.steps import tables
from leadhub.steps.site import Site

_MOMENTS = ("revoked_at", "ended_on")


def _folder(site: Site) -> Path:
    return site.settings.var / "seals" / "consents"


def _known(site: Site) -> list[dict[str, Any]]:
    """`PAST` of each, as text, with ids of the newest key version."""
    told = [files.read_json(path)["over"] for path in files.found(_folder(site), "*.json")]
    return tables.brought_up(site, "consents", [line for night in told for line in night], PAST)


def register(site: Site) -> pl.DataFrame:
    """`consent_ends.PAST` of all that was ever seen."""
    moments = {name: pl.String for name in _MOMENTS}
    known = pl.DataFrame(_known(site), PAST | moments, orient="row")
    return known.with_columns(
        pl.col("revoked_at").str.to_datetime(time_unit="us", time_zone="UTC"),
        pl.col("ended_on").str.to_date(),
    )


def remember(site: Site, night: str, found: pl.DataFrame) -> int:
    """`PAST` that the register does not have yet, as of this night; how many lines. Run again, none."""
    have = {tuple(line.values()) for line in _known(site)}
    new = [line for line in map(_text, found.select(*PAST).to_dicts()) if tuple(line.values()) not in have]
    if new:
        path = _folder(site) / f"{night}.json"
        before = files.read_json(path)["over"] if path.exists() else []
        files.write_json(path, {"night": night, "over": [*before, *new]})
    return len(new)


def _text(line: dict[str, Any]) -> dict[str, str | None]:
    return line | {name: line[name] and _iso(line[name]) for name in _MOMENTS}


def _iso(moment: Any) -> str:
    return moment.isoformat(timespec="microseconds") if isinstance(moment, datetime) else moment.isoformat()
