"""Tables become drops: files in their agency's form, and proof of completeness."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import polars as pl

from simulation.agencies.forms import Form

Encrypt = Callable[[bytes], bytes]


@dataclass(frozen=True)
class AgencyDrop:
    """Files in the order in which the agency uploads them to its SFTP `account`."""

    account: str
    feed: str
    files: list[tuple[str, bytes]] = field(repr=False)


def source(tables: dict[str, pl.DataFrame], form: Form) -> dict[str, pl.DataFrame]:
    """The tables as text in the agency's own words."""
    return {
        table: tables[table].select(
            _text(tables[table], column, form).alias(name) for column, name in columns.items()
        )
        for table, columns in form.columns.items()
    }


def _text(frame: pl.DataFrame, column: str, form: Form) -> pl.Expr:
    dtype = frame.schema[column]
    if column in form.codes:
        return pl.col(column).replace_strict(form.codes[column], default=None, return_dtype=pl.String)
    if dtype == pl.Date:
        return pl.col(column).dt.strftime(form.date)
    if isinstance(dtype, pl.Datetime):
        local = pl.col(column).dt.convert_time_zone("America/New_York")
        return (local if "%z" in form.moment else pl.col(column)).dt.strftime(form.moment)
    return pl.col(column).cast(pl.String)


def write(frame: pl.DataFrame, form: Form, long_rows: list[int]) -> bytes:
    """The CSV file; rows numbered in `long_rows` get a cell too many."""
    text = frame.write_csv(separator=form.delimiter, line_terminator=form.line_end)
    if long_rows:
        lines = text.split(form.line_end)
        for row in long_rows:
            lines[row + 1] += f"{form.delimiter}see file"
        text = form.line_end.join(lines)
    return text.encode(form.encoding)


def with_manifest(
    account: str,
    feed: str,
    night: date,
    sequence: int,
    members: dict[str, tuple[bytes, int]],
    *,
    mode: str = "FULL",
    supersedes: int | None = None,
) -> AgencyDrop:
    """Plain files, then a manifest that says what must be there. `members`: table → content, rows."""
    stem = f"{night:%Y%m%d}_{sequence:02d}"
    files = [(f"{table}_{stem}.csv", data) for table, (data, _) in members.items()]
    manifest = {
        "feed": feed,
        "night": night.isoformat(),
        "sequence": sequence,
        "mode": mode,
        "generated_at": f"{night.isoformat()}T05:{10 + sequence}:00Z",
        "supersedes": supersedes,
        "files": [
            {
                "name": f"{table}_{stem}.csv",
                "table": table,
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "rows": rows,
            }
            for table, (data, rows) in members.items()
        ],
    }
    text = json.dumps(manifest, indent=1).encode()
    return AgencyDrop(account, feed, [*files, (f"{feed}_{stem}.manifest.json", text)])


def with_sidecars(
    account: str, feed: str, night: date, sequence: int, members: dict[str, bytes], encrypt: Encrypt
) -> AgencyDrop:
    """Encrypted files, each followed by `<sha256>  <name>` of what was uploaded."""
    files = []
    for table, data in members.items():
        name, sealed = f"{table}_{night:%Y%m%d}_{sequence:02d}.csv.pgp", encrypt(data)
        digest = hashlib.sha256(sealed).hexdigest()
        files += [(name, sealed), (f"{name}.sha256", f"{digest}  {name}\n".encode())]
    return AgencyDrop(account, feed, files)
