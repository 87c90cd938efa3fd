"""The change file: what turns the partner's last snapshot into this one.

Law: `apply(previous, diff(previous, current)) == current`. A row whose consent-based statement is no longer
backed is withdrawn and, where the record itself stands, inserted anew without it. One kind of withdrawal
serves revocation, seal and correction alike, and gives no reason (42 CFR 2.13(c)).
"""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl
import pyarrow as pa

from leadhub.identity.keyed import to_arrow

NO_INFORMATION = "NO_INFORMATION"


def diff(previous: pa.Table, current: pa.Table, *, key: Sequence[str], stated: Sequence[str]) -> pa.Table:
    """`op` (insert, update, withdraw) and the columns of `current`; sorted, withdrawals first.

    `stated`: columns whose value, other than NO_INFORMATION, rests on somebody's consent.
    """
    old, new = (pl.DataFrame(pl.from_arrow(t)).select(current.column_names) for t in (previous, current))
    keys = list(key)
    # null is a value of a key here: an event without a category is one event, not none
    same = {"on": keys, "nulls_equal": True}
    gone = old.join(new.select(keys), how="anti", **same)
    added = new.join(old.select(keys), how="anti", **same)
    content = {"on": new.columns, "nulls_equal": True}
    changed = new.join(old.select(keys), how="semi", **same).join(old, how="anti", **content)
    unbacked = changed.select(keys).clear()
    if stated:
        backed = pl.any_horizontal(pl.col(c) != NO_INFORMATION for c in stated)
        silent = pl.all_horizontal(pl.col(c) == NO_INFORMATION for c in stated)
        unbacked = (
            changed.filter(silent).select(keys).join(old.filter(backed).select(keys), how="semi", **same)
        )
    replaced = changed.join(unbacked, how="semi", **same)
    updated = changed.join(unbacked, how="anti", **same)
    withdrawn = pl.concat([gone.select(keys), unbacked])
    parts = [
        withdrawn.select(pl.lit("withdraw").alias("op"), *keys),
        pl.concat([added, replaced]).select(pl.lit("insert").alias("op"), pl.all()),
        updated.select(pl.lit("update").alias("op"), pl.all()),
    ]
    joined = pl.concat(parts, how="diagonal").select("op", *new.columns)
    order = pl.col("op").replace_strict(["withdraw", "insert", "update"], [0, 1, 2], return_dtype=pl.Int8)
    return to_arrow(joined.sort(order, *keys, nulls_last=True))


def apply(previous: pa.Table, changes: pa.Table, *, key: Sequence[str]) -> pa.Table:
    """What a recipient holds after loading a change file; sorted by key."""
    old, steps = pl.DataFrame(pl.from_arrow(previous)), pl.DataFrame(pl.from_arrow(changes))
    keys = list(key)
    kept = old.join(steps.select(keys), on=keys, how="anti", nulls_equal=True)
    fresh = steps.filter(pl.col("op") != "withdraw").drop("op")
    return to_arrow(pl.concat([kept, fresh]).sort(keys, nulls_last=True))
