"""The change file: what turns the partner's last snapshot into this one.

Law: `apply(previous, diff(previous, current)) == current`. A row whose consent-based statement is no longer
backed is withdrawn and, where the record itself stands, inserted anew without it. One kind of withdrawal
serves revocation, seal and correction alike, and gives no reason (42 CFR 2.13(c)).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import polars as pl
import pyarrow as pa

from leadhub.identity.keyed import to_arrow

NO_INFORMATION = "NO_INFORMATION"
#: in the order in which a recipient applies them
OPERATIONS = ("withdraw", "insert", "update")
_BEFORE = "\x1fbefore"


def diff(
    previous: pa.Table | None, current: pa.Table, *, key: Sequence[str], stated: Sequence[str]
) -> pa.Table:
    """`op` (of `OPERATIONS`) and the columns of `current`; of a withdrawn row its key alone. Sorted.

    `previous`: the rows last delivered, with the same columns; None or no rows: everything is new.
    `stated`: columns, not of the key, that rest on somebody's consent. A statement is no longer backed
    where one of them falls silent (NO_INFORMATION, or empty) or its date goes back to an earlier
    statement; one that is followed by a later statement is merely updated.
    """
    new = pl.DataFrame(pl.from_arrow(current))
    old = new.clear() if previous is None else pl.DataFrame(pl.from_arrow(previous)).select(new.columns)
    keys = list(key)
    # null is a value of a key here: an event without a category is one event, not none
    gone = old.join(new, on=keys, how="anti", nulls_equal=True)
    added = new.join(old, on=keys, how="anti", nulls_equal=True)
    both = new.join(old, on=keys, how="inner", nulls_equal=True, suffix=_BEFORE)
    rest = [c for c in new.columns if c not in keys]
    changed = both.filter(_any(pl.col(c).ne_missing(pl.col(c + _BEFORE)) for c in rest))
    unbacked = _any(_fell_back(c, new.schema[c]) for c in stated)
    replaced, updated = changed.filter(unbacked), changed.filter(~unbacked)
    parts = {
        "withdraw": [gone.select(keys), replaced.select(keys)],
        "insert": [added, replaced.select(new.columns)],
        "update": [updated.select(new.columns)],
    }
    steps = [
        frame.with_columns(op=pl.lit(op, pl.Enum(OPERATIONS)))
        for op, frames in parts.items()
        for frame in frames
    ]
    joined = pl.concat(steps, how="diagonal").select("op", *new.columns)
    ordered = joined.sort("op", *keys, nulls_last=True)
    return to_arrow(ordered.with_columns(pl.col("op").cast(pl.String)))


def withdrawals(
    previous: pa.Table, current: pa.Table, *, key: Sequence[str], stated: Sequence[str]
) -> pa.Table:
    """Keys of the rows that `diff` withdraws, whatever else it would tell. Sorted."""
    steps = pl.DataFrame(pl.from_arrow(diff(previous, current, key=key, stated=stated)))
    return to_arrow(steps.filter(pl.col("op") == "withdraw").select(list(key)))


def without(held: pa.Table, keys: pa.Table, *, key: Sequence[str]) -> pa.Table:
    """The rows of other keys, in their order and layout."""
    rows = pl.DataFrame(pl.from_arrow(held)).with_row_index("\x1frow")
    stay = rows.join(pl.DataFrame(pl.from_arrow(keys)), on=list(key), how="anti", nulls_equal=True)
    return held.take(stay.get_column("\x1frow").sort().to_arrow())


def _any(conditions: Iterable[pl.Expr]) -> pl.Expr:
    return pl.any_horizontal(pl.lit(value=False), *conditions)


def _fell_back(column: str, dtype: pl.DataType) -> pl.Expr:
    was, is_now = pl.col(column + _BEFORE), pl.col(column)
    if dtype == pl.String:
        was, is_now = was.replace(NO_INFORMATION, None), is_now.replace(NO_INFORMATION, None)
    silent = was.is_not_null() & is_now.is_null()
    return silent | (is_now < was).fill_null(value=False) if dtype.is_temporal() else silent


def apply(previous: pa.Table | None, changes: pa.Table, *, key: Sequence[str]) -> pa.Table:
    """What a recipient holds after loading a change file; sorted by key."""
    steps = pl.DataFrame(pl.from_arrow(changes))
    fresh = steps.filter(pl.col("op") != "withdraw").drop("op")
    keys = list(key)
    held = fresh.clear() if previous is None else pl.DataFrame(pl.from_arrow(previous))
    kept = held.join(steps, on=keys, how="anti", nulls_equal=True)
    return to_arrow(pl.concat([kept, fresh]).sort(keys, nulls_last=True))
