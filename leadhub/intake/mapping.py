"""From an agency's columns and codes to the contract's, typed. Nothing is inferred or guessed.

Text becomes date, timestamp, integer or boolean by stated rules; what does not follow them becomes null
and a fault. Three rules deserve their reason:

* A placeholder date (1900-01-01, 9999-12-31) is refused as `out_of_range`, not turned into null: what an
  absent date means is for the agency to say, by leaving the cell empty.
* A timestamp states its offset. Local time is ambiguous for one hour each autumn.
* Text that a spreadsheet would run as a formula, or that one has damaged (`1.23E+11`, `4-Mar`,
  `#REF!`), is refused as `bad_format` (OWASP, CSV injection). A telephone number may begin with `+`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import ColumnFacts, TableFacts
from leadhub.intake.feeds import TableMapping
from leadhub.intake.tabular import ROW, Parsed

TRUE, FALSE = ("Y", "true", "t", "1"), ("N", "false", "f", "0")
BOOLEANS = dict.fromkeys(TRUE, True) | dict.fromkeys(FALSE, False)
DTYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "date": pl.Date(),
    "timestamp": pl.Datetime("us", "UTC"),
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
}
EARLIEST, LATEST = date(1900, 1, 2), date(2199, 12, 31)

_ISO_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_ISO_TIMESTAMP = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
    r"(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)$"
)
_INTEGER = r"^-?[0-9]{1,18}$"
_FORMULA = r"^'?[=+\-@]"
_PHONE = r"^\+?[(0-9][0-9 ().x/\-]*$"
_DAMAGED = (
    r"^#(?:REF!|N/A|VALUE!|NAME\?|NUM!|NULL!|DIV/0!|#+)$"
    r"|^[0-9](?:\.[0-9]+)?[Ee]\+[0-9]+$"
    r"|^[0-9]{1,2}-(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)(?:-[0-9]{2,4})?$"
)
_NAME_KINDS = ("last_name", "first_name", "middle_name")


@dataclass(frozen=True)
class Mapped:
    """`frame`: contract columns, typed, and `_row`. `faults` (see `tabular.FAULTS`) name contract columns.

    A faulty cell is null in `frame`. `read` counts the rows read, those that never reached `frame` too.
    """

    frame: pl.DataFrame = field(repr=False)
    faults: pl.DataFrame
    read: int


def apply(parsed: Parsed, facts: TableFacts, mapping: TableMapping, *, name: str) -> Mapped:
    """Contract columns of one parsed member; `name` is what messages call it.

    A nullable contract column that the mapping does not name is null throughout. Columns may stand in
    any order. A column under `ignore` may be there or not.

    Raises: TerminalError `schema_drift` (columns at the source are new, lost or renamed) or
    `feed_invalid` (the mapping does not fit the contract).
    """
    _check_mapping(facts, mapping, name)
    source = pl.DataFrame(parsed.table)
    if parsed.read == 0 and source.width == 1:
        # pages without any row name no columns
        source = source.with_columns(pl.lit(None, pl.String).alias(s) for s in mapping.columns.values())
    _check_columns(source.columns, mapping, name)
    typed = source.lazy().select(ROW, *_columns(facts, mapping)).collect()
    faults = [_renamed(parsed.faults, mapping)]
    for column in facts.columns:
        reasons = typed[_reason(column.name)]
        if reasons.null_count() < typed.height:
            found = typed.select(
                pl.col(ROW).alias("row"), pl.lit(column.name).alias("column"), reasons.alias("reason")
            )
            faults.append(found.drop_nulls("reason"))
    values = typed.select(
        ROW,
        *(pl.when(pl.col(_reason(c.name)).is_null()).then(pl.col(c.name)) for c in facts.columns),
    )
    return Mapped(values, pl.concat(faults), parsed.read)


def keys(parsed: Parsed, facts: TableFacts, mapping: TableMapping, *, name: str) -> pa.Table:
    """Key columns of a `keys` member (every row that the source holds), under their contract names.

    A row whose key cannot be read is left out: it is not one that a row of ours could name.

    Raises: as `apply`.
    """
    wanted = set(facts.key)
    narrow = dataclasses.replace(
        facts, columns=tuple(c for c in facts.columns if c.name in wanted), references=()
    )
    only = mapping.model_copy(
        update={
            "columns": {c: s for c, s in mapping.columns.items() if c in wanted},
            "formats": {c: f for c, f in mapping.formats.items() if c in wanted},
            "codes": {c: m for c, m in mapping.codes.items() if c in wanted},
            "ignore": [*mapping.ignore, *mapping.columns.values()],
        }
    )
    frame = apply(parsed, narrow, only, name=name).frame
    return to_arrow(frame.select(facts.key).drop_nulls(), narrow)


def to_arrow(frame: pl.DataFrame, facts: TableFacts) -> pa.Table:
    """The frame in the plain Arrow types of the spec: string, date32, timestamp[us, UTC], int64, bool."""
    types = {
        "string": pa.string(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", "UTC"),
        "integer": pa.int64(),
        "boolean": pa.bool_(),
    }
    wanted = {c.name: types[c.type] for c in facts.columns} | {ROW: pa.int32()}
    return frame.to_arrow().cast(pa.schema([(n, wanted[n]) for n in frame.columns]))


def _reason(column: str) -> str:
    return f"{column} reason"


def _renamed(faults: pl.DataFrame, mapping: TableMapping) -> pl.DataFrame:
    """Faults under contract names. Those of columns that are not taken are dropped with the column."""
    names = pl.DataFrame(
        {"contract": list(mapping.columns), "column": list(mapping.columns.values())},
        schema={"contract": pl.String, "column": pl.String},
    )
    cells = faults.join(names, on="column", how="inner")
    whole_rows = faults.filter(pl.col("column").is_null())
    return pl.concat([whole_rows, cells.select("row", pl.col("contract").alias("column"), "reason")])


def _check_mapping(facts: TableFacts, mapping: TableMapping, name: str) -> None:
    by_name = {c.name: c for c in facts.columns}
    problems = [f"column [{c}] is none of the contract's" for c in mapping.columns if c not in by_name]
    problems += [
        f"column [{c.name}] is required and not mapped"
        for c in facts.columns
        if not c.nullable and c.name not in mapping.columns
    ]
    for column, form in mapping.formats.items():
        kind = by_name[column].type if column in by_name else None
        if kind not in ("date", "timestamp"):
            problems.append(f"[{column}] has a format and is no date or timestamp")
        elif kind == "timestamp" and not re.search(r"%[:#]*z", form):
            problems.append(f"the format of [{column}] has no offset (%z)")
    for column, codes in mapping.codes.items():
        facts_of = by_name.get(column)
        allowed = _codes_of(facts_of) if facts_of else ()
        wrong = sorted({target for target in codes.values() if target not in allowed})
        problems += [f"[{column}] maps to [{target}], which the contract has not" for target in wrong]
    if problems:
        raise TerminalError(
            "feed_invalid", f"mapping of table [{facts.name}] for [{name}]: {'; '.join(problems)}"
        )


def _codes_of(column: ColumnFacts) -> Iterable[str]:
    return BOOLEANS if column.type == "boolean" else column.codes or ()


def _check_columns(present: list[str], mapping: TableMapping, name: str) -> None:
    """Expected columns are named. Found ones only where the header is one beyond doubt: where a header
    is missing, what stands in its place is somebody's data."""
    expected = set(mapping.columns.values())
    found = [c for c in present if c != ROW]
    lost = sorted(expected - set(found))
    new = [(i, c) for i, c in enumerate(found, 1) if c not in expected and c not in mapping.ignore]
    if not lost and not new:
        return
    told = []
    if lost:
        told.append("lost " + ", ".join(f"[{c}]" for c in lost))
    if len(lost) * 2 > len(expected):
        told.append("most columns are lost: the header is missing, or it is another table's")
        new = []
    for position, column in new:
        plain = _plain(column)
        same = next((c for c in lost if _plain(c) == plain), None)
        near = difflib.get_close_matches(plain, lost, n=1)
        shown = f" [{column}]" if re.fullmatch(r"[A-Za-z][A-Za-z0-9_. -]{0,62}", column) else ""
        hint = ""
        if same:
            hint = f" (this is [{same}] but for case, spaces or invisible characters)"
        elif near:
            hint = f" (renamed from [{near[0]}]?)"
        told.append(f"new column {position}{shown}{hint}")
    raise TerminalError(
        "schema_drift",
        f"[{name}]: {'; '.join(told)}; send the agreed columns, or agree on new ones and change the feed",
    )


def _plain(column: str) -> str:
    return re.sub(r"[^0-9a-z]+", "_", column.casefold()).strip("_")


def _columns(facts: TableFacts, mapping: TableMapping) -> Iterable[pl.Expr]:
    """For each contract column its value, and the reason (null where good) under its `_reason` name."""
    for column in facts.columns:
        if column.name not in mapping.columns:
            yield pl.lit(None, DTYPES[column.type]).alias(column.name)
            yield pl.lit(None, pl.String).alias(_reason(column.name))
            continue
        text = pl.col(mapping.columns[column.name])
        form, codes = mapping.formats.get(column.name), mapping.codes.get(column.name, {})
        if column.type == "date":
            value, reason = _date(text, form)
        elif column.type == "timestamp":
            value, reason = _timestamp(text, form)
        elif column.type == "integer":
            value = pl.when(text.str.contains(_INTEGER)).then(text).cast(pl.Int64, strict=False)
            reason = _unparsed(text, value, "unparsable_number")
        elif column.type == "boolean":
            meaning = BOOLEANS | {source: BOOLEANS[target] for source, target in codes.items()}
            value = text.replace_strict(meaning, default=None, return_dtype=pl.Boolean)
            reason = _unparsed(text, value, "unparsable_boolean")
        elif column.codes is not None:
            value = text.replace(codes) if codes else text
            reason = pl.when(~value.is_in(list(column.codes))).then(pl.lit("unknown_code"))
        else:
            value, reason = text, _bad_text(text, column.kind)
        yield value.alias(column.name)
        yield reason.alias(_reason(column.name))


def _unparsed(text: pl.Expr, value: pl.Expr, reason: str) -> pl.Expr:
    return pl.when(text.is_not_null() & value.is_null()).then(pl.lit(reason))


def _date(text: pl.Expr, form: str | None) -> tuple[pl.Expr, pl.Expr]:
    if form is None:
        value = pl.when(text.str.contains(_ISO_DATE)).then(text).str.to_date("%Y-%m-%d", strict=False)
    else:
        value = text.str.to_date(form, strict=False)
    outside = pl.when(~value.is_between(EARLIEST, LATEST)).then(pl.lit("out_of_range"))
    return value, pl.coalesce(_unparsed(text, value, "unparsable_date"), outside)


def _timestamp(text: pl.Expr, form: str | None) -> tuple[pl.Expr, pl.Expr]:
    if form is None:
        iso = pl.when(text.str.contains(_ISO_TIMESTAMP)).then(text.str.replace(" ", "T", literal=True))
        value = iso.str.to_datetime("%Y-%m-%dT%H:%M:%S%.f%#z", time_unit="us", strict=False)
    else:
        value = text.str.to_datetime(form, time_unit="us", strict=False)
    value = value.cast(DTYPES["timestamp"])
    first = datetime(EARLIEST.year, EARLIEST.month, EARLIEST.day, tzinfo=UTC)
    last = datetime(LATEST.year, LATEST.month, LATEST.day, tzinfo=UTC)
    outside = pl.when(~value.is_between(first, last)).then(pl.lit("out_of_range"))
    return value, pl.coalesce(_unparsed(text, value, "unparsable_timestamp"), outside)


def _bad_text(text: pl.Expr, kind: str | None) -> pl.Expr:
    bad = text.str.contains(_FORMULA) | text.str.contains(_DAMAGED)
    if kind == "phone":
        bad = bad & ~text.str.contains(_PHONE)
    if kind in _NAME_KINDS:
        bad = bad | ~text.str.contains(r"\p{L}") | text.str.contains(r"[<>]")
    return pl.when(bad).then(pl.lit("bad_format"))
