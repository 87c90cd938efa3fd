"""Quarantine: which refused rows are still open. Pointers only (drop, row, column, reason), no values.

The values stay in landing, under the drop's own key. A row is open until a later drop of its feed shows
that it is not wrong any more, or a steward dismisses it.

A refused row of `RESTRICTIONS` may be a revocation, an end of treatment or a seal that nobody could read.
Of these it is kept whose they are, as sealed ids and keyed tokens: what it may take back is withheld while
it is open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import polars as pl
import pyarrow as pa

from leadhub.intake.landing import Drop
from leadhub.intake.validation import Judged

#: tables whose rows may take back what was given, and the columns that say whose it is
RESTRICTIONS: Mapping[str, tuple[str, ...]] = {
    "consents": ("client_id",),
    "dispositions": ("da_case_no",),
    "seal_orders": ("da_case_no", "arrest_no", "cjtn"),
    "episodes": ("client_id",),
}
#: of such tables whose rows take back by these columns alone: where they are plainly empty, nothing
TAKE_BACK: Mapping[str, tuple[str, ...]] = {"episodes": ("exited_on", "exit_reason")}
#: of a refused row of these, its ids as state tables hold them, null where they cannot be read
NAMED = ("client_id", "da_case_no", "arrest_no", "arrest_no_token", "cjtn", "cjtn_token")
#: `row` counts as in `tabular.Parsed`; `column` is null where the row as a whole is wrong; `record_id` is
#: the keyed token of the key columns, null where the key cannot be read; `opened_on` is a night;
#: `names_nobody`: a row of `RESTRICTIONS` that does not say whose it is, or gives a number nobody has
SCHEMA = pa.schema(
    [
        ("feed", pa.string()),
        ("table", pa.string()),
        ("night", pa.string()),
        ("drop_id", pa.string()),
        ("row", pa.int32()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("record_id", pa.string()),
        ("opened_on", pa.string()),
        *((name, pa.string()) for name in NAMED),
        ("names_nobody", pa.bool_()),
    ]
)
_FAULT = ["table", "record_id", "column", "reason"]
_DOUBT = [*_FAULT, *NAMED, "names_nobody"]


@dataclass(frozen=True)
class Quarantine:
    """`open`: every refused row still wrong, all feeds. `cleared`: those that this drop put right, or
    that it replaced without our being able to tell. Both follow `SCHEMA` and are sorted."""

    open: pa.Table
    cleared: pa.Table


def refresh(
    previous: pa.Table | None,
    *,
    drop: Drop,
    judged: Mapping[str, Judged],
    record_ids: Mapping[str, pa.Table],
    mode: Literal["full", "delta"],
    whole: Collection[str],
    accepted_ids: Mapping[str, pa.Array | pa.ChunkedArray],
    named: Mapping[str, pa.Table],
) -> Quarantine:
    """The open rows after one more drop of a feed; the same drop again changes nothing.

    A full drop replaces whatever was open from earlier drops of its feed, in the tables of which it tells
    all keys (`whole`). Any other replaces what concerns the records that it holds, accepted or refused: as
    the state keeps a record that it does not tell to be gone, so the doubt about it stays. A row whose key
    could not be read waits for the next drop that is `whole`, or for the same fault of the same people in a
    full one. A fault that stands again keeps the night on which it was first seen.

    `record_ids`: by table, columns `row` and `record_id` of (at least) the refused rows. `accepted_ids`:
    by table, the record ids that the drop accepted. `named`: of each table of `RESTRICTIONS`, `row`, some
    of `NAMED` and `names_nobody` of its refused rows.
    """
    before = pl.DataFrame(previous if previous is not None else SCHEMA.empty_table())
    own = before.filter(pl.col("feed") == drop.feed)
    opened = _opened(drop, judged, record_ids, named).join(
        own.drop_nulls("record_id").group_by(_FAULT).agg(since=pl.col("opened_on").min()),
        on=_FAULT,
        how="left",
        nulls_equal=True,
    )
    opened = opened.with_columns(
        pl.min_horizontal(pl.coalesce("since", "opened_on"), "opened_on").alias("opened_on")
    ).drop("since")
    replaced = pl.col("drop_id") == drop.drop_id
    # nulls_equal stays off: an unreadable key is no record that could be found again
    seen = pl.concat([_ids(accepted_ids), opened.select("table", "record_id")]).drop_nulls().unique()
    own = own.join(seen.with_columns(seen=True), on=["table", "record_id"], how="left")
    replaced = replaced | pl.col("seen").fill_null(False)
    if mode == "full":
        unread = opened.filter(pl.col("record_id").is_null()).select(_DOUBT).unique()
        own = own.join(unread.with_columns(stands=True), on=_DOUBT, how="left", nulls_equal=True)
        replaced = replaced | pl.col("table").is_in(list(whole)) | pl.col("stands").fill_null(False)
    kept = own.filter(~replaced)
    gone = own.filter(replaced & (pl.col("drop_id") != drop.drop_id))
    cleared = gone.join(opened.drop_nulls("record_id"), on=_FAULT, how="anti", nulls_equal=True)
    others = before.filter(pl.col("feed") != drop.feed)
    return Quarantine(open=_table(others, kept, opened), cleared=_table(cleared))


def without(opened: pa.Table, dismissed: Collection[tuple[str, str, int]]) -> pa.Table:
    """Less the rows (drop_id, table, row) that stewards dismissed."""
    schema = {"drop_id": pl.String, "table": pl.String, "row": pl.Int32}
    gone = pl.DataFrame(list(dismissed), schema, orient="row")
    return _table(pl.DataFrame(opened).join(gone, on=list(schema), how="anti"))


def rows_of(opened: pa.Table | None, drop: Drop, table: str) -> set[int]:
    """The rows of one table of a drop that are still open."""
    if opened is None:
        return set()
    own = (pl.col("drop_id") == drop.drop_id) & (pl.col("table") == table)
    return set(pl.DataFrame(opened).filter(own)["row"].to_list())


def _opened(
    drop: Drop,
    judged: Mapping[str, Judged],
    record_ids: Mapping[str, pa.Table],
    named: Mapping[str, pa.Table],
) -> pl.DataFrame:
    parts = [pl.DataFrame(SCHEMA.empty_table())]
    for table, result in judged.items():
        rows = pl.DataFrame(result.refused)
        if table in record_ids:
            ids = pl.DataFrame(record_ids[table]).select(pl.col("row").cast(pl.Int32), "record_id")
        else:
            ids = pl.DataFrame(schema={"row": pl.Int32, "record_id": pl.String})
        rows = rows.join(ids, on="row", how="left")
        if table in named:
            rows = rows.join(pl.DataFrame(named[table]), on="row", how="left")
        rows = rows.with_columns(
            feed=pl.lit(drop.feed),
            table=pl.lit(table),
            night=pl.lit(drop.night),
            drop_id=pl.lit(drop.drop_id),
            opened_on=pl.lit(drop.night),
        )
        parts.append(rows)
    every = pl.concat(parts, how="diagonal").select(SCHEMA.names)
    return every.with_columns(pl.col("names_nobody").fill_null(value=False))


def _ids(by_table: Mapping[str, pa.Array | pa.ChunkedArray]) -> pl.DataFrame:
    parts = [pl.DataFrame(schema={"table": pl.String, "record_id": pl.String})]
    for table, ids in by_table.items():
        parts.append(
            pl.DataFrame({"record_id": pl.Series(ids, dtype=pl.String)}).select(
                pl.lit(table).alias("table"), "record_id"
            )
        )
    return pl.concat(parts)


def _table(*frames: pl.DataFrame) -> pa.Table:
    rows = pl.concat([f.select(SCHEMA.names) for f in frames])
    rows = rows.sort("feed", "table", "night", "drop_id", "row", "column", "reason")
    return rows.to_arrow().cast(SCHEMA)
