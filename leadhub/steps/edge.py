"""What runs at an agency that sends no names: its file of people, read strictly, becomes a token file.

A row that cannot be used is counted by rule and named, with its row and column, in a report that stays at
the agency. Rules:

| rule | the row |
|---|---|
| `wrong_field_count`, `blank_line`, `control_character`, `too_long` | is left out (`intake.tabular`) |
| `missing_value` | has no row id and is left out |
| `duplicate_key` | has another's row id; of identical rows one is taken, of differing ones none |
| `no_token` | says too little of a person to make any token and is left out |
| `unparsable_date`, `not_usable` | is taken; the value (say, a fill-in) counts as missing |
"""

from __future__ import annotations

import functools
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from leadhub.foundation import clock, files, keys, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import exchange, normalise, token_file
from leadhub.identity.linkage.schema import LinkageSchema, Tier
from leadhub.intake import tabular
from leadhub.steps import labelled

_ROW_FAULTS = {"row": pl.Int64, "column": pl.String, "rule": pl.String}


@dataclass(frozen=True)
class People:
    """An agency's file. `rows`: `_row` (as a spreadsheet counts, header = 1; in Parquet from 1), `_id`
    (the agency's row id) and columns named by identifier kind. `columns`: kind → the file's columns.
    `left_out`, `unread`: row, column, rule of rows not in `rows`, and of values that count as missing."""

    rows: pl.DataFrame = field(repr=False)
    columns: dict[str, list[str]]
    read: int
    left_out: pl.DataFrame
    unread: pl.DataFrame


@dataclass(frozen=True)
class Done:
    """What `tokenise` did, in counts. `missing`: kind → rows without a usable value."""

    header: token_file.Header
    read: int
    rules: dict[str, int]
    missing: dict[str, int]
    columns: dict[str, list[str]]
    hub_fingerprint: str
    size: int
    new_row_key: bool


def columns_of(
    names: Sequence[str], mapping: dict[str, list[str]], id_column: str | None
) -> dict[str, list[str]]:
    """Kind → columns: `mapping`, or where it is empty, by usual names."""
    if mapping:
        return mapping
    by_name = {n.strip().lower(): n for n in reversed(names) if n != id_column}
    usual = {kind: (kind, *labelled.USUAL_NAMES[kind]) for kind in IDENTIFIER_KINDS}
    found = {kind: [by_name[n] for n in called if n in by_name][:1] for kind, called in usual.items()}
    return {kind: columns for kind, columns in found.items() if columns}


def read(path: Path, mapping: dict[str, list[str]], id_column: str) -> People:
    """A CSV or Parquet file of people, whose `id_column` tells rows apart.

    Raises: TerminalError `linkage_input_invalid` (a column is not there), `unreadable_file`,
    `schema_drift` (as `tabular.parse`).
    """
    names, faults, first, read = _sound(path)
    columns = columns_of(names, mapping, id_column)
    used = {id_column, *(c for several in columns.values() for c in several)}
    absent = sorted(used - set(names))
    if absent:
        # its own are not told: where the header is missing, they are somebody's data
        raise TerminalError(
            "linkage_input_invalid", f"[{path.name}]: its header names no columns {absent}; see --id, --map"
        )
    source = labelled.read(path, columns, keep=sorted(used), prefix="")
    if read not in (None, source.others.height):
        raise TerminalError(
            "unreadable_file",
            f"[{path.name}]: its quotes can be understood in two ways; quote cells with doubled quotes "
            "(RFC 4180)",
        )
    faults = faults.filter(pl.col("column").is_null() | pl.col("column").is_in(list(used)))
    rows = source.identifiers.with_columns(
        pl.col("record_id").cast(pl.Int64).add(first).alias("_row"),
        source.others.get_column(id_column).alias("_id"),
    ).drop("record_id")
    rows = rows.join(faults, left_on="_row", right_on="row", how="anti", maintain_order="left")
    rows, unkeyed = _keyed(rows, id_column)
    return People(
        rows,
        columns,
        source.others.height,
        pl.concat([faults, unkeyed]),
        _unread(rows, source, columns, first),
    )


def is_parquet(path: Path) -> bool:
    return path.suffix.lower() in (".parquet", ".pq")


def verbatim(path: Path) -> pl.DataFrame:
    """All columns as text, as they stand; in CSV, an empty cell is null.

    Raises: TerminalError `linkage_input_invalid`.
    """
    try:
        if is_parquet(path):
            return pl.read_parquet(path).select(pl.all().cast(pl.String))
        return pl.read_csv(path, infer_schema=False)
    except FileNotFoundError:
        raise TerminalError("linkage_input_invalid", f"[{path.name}] is missing") from None
    except (pl.exceptions.PolarsError, OSError):
        raise TerminalError(
            "linkage_input_invalid", f"[{path.name}] is neither CSV (UTF-8, with a header line) nor Parquet"
        ) from None


def _sound(path: Path) -> tuple[list[str], pl.DataFrame, int, int | None]:
    """Column names; rows whose cells cannot be told apart, and cells that hold what none may; the number
    of the first row; how many rows a strict reader sees."""
    if is_parquet(path):
        return verbatim(path).columns, pl.DataFrame(schema=_ROW_FAULTS), 1, None
    try:
        parsed = tabular.parse(path.read_bytes(), "csv", name=path.name)
    except FileNotFoundError:
        raise TerminalError("linkage_input_invalid", f"[{path.name}] is missing") from None
    faults = parsed.faults.select(pl.col("row").cast(pl.Int64), "column", pl.col("reason").alias("rule"))
    return parsed.table.column_names[:-1], faults, 2, parsed.read


def _keyed(rows: pl.DataFrame, id_column: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Rows with an id that stands once, and the others as faults."""
    content = [c for c in rows.columns if c != "_row"]
    alike = rows.filter(pl.col("_id").is_not_null())
    once = alike.unique(content, keep="first", maintain_order=True)
    kept = once.filter(pl.col("_id").is_unique())
    repeated = alike.join(kept, on="_row", how="anti")
    faults = [
        frame.select(
            pl.col("_row").alias("row"), pl.lit(id_column).alias("column"), pl.lit(rule).alias("rule")
        )
        for frame, rule in (
            (rows.filter(pl.col("_id").is_null()), "missing_value"),
            (repeated, "duplicate_key"),
        )
    ]
    return kept, pl.concat(faults)


def _unread(
    rows: pl.DataFrame, source: labelled.Source, columns: dict[str, list[str]], first: int
) -> pl.DataFrame:
    """Values that were given and cannot be used."""
    given = source.others.with_columns(
        pl.int_range(first, first + source.others.height, dtype=pl.Int64).alias("_row")
    ).join(rows.select("_row"), on="_row", how="semi", maintain_order="left")
    known = normalise.normalise(rows.select(k for k in IDENTIFIER_KINDS if k in rows.columns))
    found = [pl.DataFrame(schema=_ROW_FAULTS)]
    for kind, several in columns.items():
        stands = given.select(pl.any_horizontal(pl.col(several).is_not_null())).to_series()
        unusable = known.get_column(kind).is_null() & stands
        rule = pl.Series(["not_usable"]).new_from_index(0, rows.height)
        if kind == "date_of_birth":
            rule = rule.set(rows.get_column(kind).is_null(), "unparsable_date")
        found.append(
            pl.DataFrame({"row": rows.get_column("_row"), "rule": rule})
            .with_columns(pl.lit("+".join(several)).alias("column"))
            .filter(unusable)
            .select(*_ROW_FAULTS)
        )
    return pl.concat(found)


def tokenise(
    path: Path,
    *,
    mapping: dict[str, list[str]],
    id_column: str,
    key: exchange.ExchangeKey,
    hub_certificate: bytes,
    feed: str,
    schema: LinkageSchema,
    tier: Tier,
    row_key_file: Path,
    out: Path,
    report: Path,
) -> Done:
    """Write the encrypted token file `out`, and the `report` of rows and values that could not be used.

    A row key is made where there is none. Files appear whole or not at all, in mode 600.

    Raises: TerminalError `linkage_input_invalid` (also where no row can be used), `unreadable_file`,
    `schema_drift`, `unsafe_name`, `wrong_key` (of the row key), `recipient_key_mismatch`.
    """
    exchange.check_name(feed, "a feed")
    hub_fingerprint = openpgp.fingerprint(hub_certificate)
    people = read(path, mapping, id_column)
    new_row_key = not row_key_file.exists()
    sealed = exchange.seal_ids(
        people.rows.get_column("_id").to_arrow(), feed, keys.load(row_key_file, create=True)
    )
    rows = people.rows.with_columns(pl.Series("record_id", pl.from_arrow(sealed)))
    kinds = [kind for kind in IDENTIFIER_KINDS if kind in rows.columns]
    table = exchange.tokenise(
        rows.select("record_id", *kinds).to_arrow(), key=key, feed=feed, schema=schema, tier=tier
    )
    table = table.filter(_has_token(table))
    taken = rows.join(pl.DataFrame({"record_id": table.column("record_id")}), on="record_id", how="semi")
    faults = _faults(people, rows.join(taken, on="_row", how="anti"))
    _write_report(report, faults)
    if not table.num_rows:
        raise TerminalError(
            "linkage_input_invalid",
            f"[{path.name}]: no row can be used; see each row's rule in [{report.name}], and --map",
        )
    header = token_file.header_of(
        table, key=key, feed=feed, schema=schema, tier=tier, made_at=clock.stamp(clock.now())
    )
    message = openpgp.encrypt(token_file.pack(table, header), hub_certificate)
    files.write_bytes(out, message)
    known = normalise.normalise(taken.select(kinds))
    return Done(
        header=header,
        read=people.read,
        rules=dict(sorted(Counter(faults.get_column("rule").to_list()).items())),
        missing={kind: known.get_column(kind).null_count() for kind in people.columns},
        columns=people.columns,
        hub_fingerprint=hub_fingerprint,
        size=len(message),
        new_row_key=new_row_key,
    )


def _has_token(table: pa.Table) -> pa.ChunkedArray:
    found = [table.column(c).is_valid() for c in table.column_names if c.startswith(("k_", "p_", "nysid"))]
    return functools.reduce(pc.or_, found)


def _faults(people: People, without_token: pl.DataFrame) -> pl.DataFrame:
    nothing = without_token.select(
        pl.col("_row").alias("row"),
        pl.lit(None, pl.String).alias("column"),
        pl.lit("no_token").alias("rule"),
    )
    return pl.concat([people.left_out, nothing, people.unread]).sort("row", "rule", "column")


def _write_report(path: Path, faults: pl.DataFrame) -> None:
    sink = io.BytesIO()
    faults.write_csv(sink)
    files.write_bytes(path, sink.getvalue())


def own_rows(path: Path, *, feed: str, row_key_file: Path, out: Path) -> int:
    """A table with a column `record_id` as CSV with the agency's own row ids in it; how many rows.

    Raises: TerminalError `linkage_input_invalid`, `key_missing`, `wrong_key`.
    """
    if not row_key_file.exists():
        raise TerminalError(
            "key_missing", f"no row key at [{row_key_file.name}]; restore it from its backup"
        )
    given = verbatim(path)
    if "record_id" not in given.columns:
        raise TerminalError("linkage_input_invalid", f"[{path.name}] has no column [record_id]")
    ids = exchange.open_ids(given.get_column("record_id").to_arrow(), feed, keys.load(row_key_file))
    named = given.with_columns(pl.Series("record_id", pl.from_arrow(ids)))
    sink = io.BytesIO()
    named.write_csv(sink)
    files.write_bytes(out, sink.getvalue())
    return named.height
