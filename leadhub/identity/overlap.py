"""Two versions of the linkage key side by side, for as long as records have only the older one's tokens.

After a rotation nobody has what the tokens of a record were made of whose drop is destroyed. It keeps them,
for a while. Tokens are compared for equality alone, so it is enough to know which newer token stands for
the same value: any record that was tokenised under both says so (`versions`). An older token of which no
record said so keeps to itself: of 64 bits each, those of two keys do not meet by chance. So linking sees
one table (`brought_up`), and finds what it would find had every record been made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import polars as pl
import pyarrow as pa

from leadhub.identity import keyed

#: a token column, a token in it under the older key, and the one that stands for the same value now
VERSIONS = {"column": pl.String, "older": pl.UInt64, "newer": pl.UInt64}
_ABOUT = ("record_id", "feed", "marker")


def versions(older: pa.Table, newer: pa.Table) -> pa.Table:
    """`VERSIONS` of the values of records that stand in both token tables.

    A token that would be two others is left out: its record has changed between the two.
    """
    both = _frame(older).join(_frame(newer), on="record_id", suffix="_newer")
    found = [pl.DataFrame(schema=VERSIONS)]
    for column in _tokens(both):
        other = f"{column}_newer"
        if other not in both.columns:
            continue
        said = both.select(older=column, newer=other).drop_nulls()
        if isinstance(said.schema["older"], pl.List):
            alike = pl.col("older").list.len() == pl.col("newer").list.len()
            said = said.filter(alike).explode("older", "newer").drop_nulls()
        found.append(said.select(pl.lit(column).alias("column"), "older", "newer").unique())
    return _known(pl.concat(found))


def wanted(known: Iterable[pa.Table], records: pa.Table) -> pa.Table:
    """Of `VERSIONS` of several nights, those that `records` (token tables) have: no other is kept."""
    every = pl.concat([pl.DataFrame(schema=VERSIONS), *(_frame(table) for table in known)])
    frame = _frame(records)
    theirs = [
        pl.DataFrame({"older": _flat(frame.get_column(c))}, {"older": pl.UInt64}).select(
            pl.lit(c).alias("column"), "older"
        )
        for c in _tokens(frame)
    ]
    had = pl.concat([every.select("column", "older").clear(), *theirs]).drop_nulls().unique()
    return _known(every.join(had, on=["column", "older"], how="semi"))


def under(table: pa.Table, marker: str) -> pa.Table:
    """The rows of a token table under a marker."""
    return keyed.to_arrow(_frame(table).filter(pl.col("marker") == marker))


def brought_up(table: pa.Table, known: pa.Table, older: str, newer: str) -> pa.Table:
    """The table with what stands under the marker `older` under `newer`, in its order: tokens that are
    `known` by their newer ones, the others as they are."""
    frame = _frame(table)
    late = pl.col("marker") == older
    placed = [
        pl.when(late).then(_of_each(frame, c, partial(_replaced, old=old, new=new))).otherwise(c).alias(c)
        for c, old, new in _by_column(known)
        if c in frame.columns
    ]
    marker = pl.col("marker").replace(older, newer)
    return keyed.to_arrow(frame.with_columns(*placed, marker=marker))


def ended(table: pa.Table, known: pa.Table, older: str, newer: str) -> tuple[pa.Table, pl.Series]:
    """The table without any older token, and the ids of the records that have none now: those of which a
    token was not `known`. Whoever had no token before is not among them."""
    frame = _frame(table)
    told = {c: (old, new) for c, old, new in _by_column(known)}
    every = [_is_known(frame, column, told.get(column)) for column in _tokens(frame)]
    late = pl.col("marker") == older
    had = pl.any_horizontal(pl.col(c).is_not_null() for c in _tokens(frame))
    lost = frame.filter(late & had & ~pl.all_horizontal(every)).get_column("record_id")
    now = _frame(brought_up(table, known, older, newer))
    gone = pl.col("record_id").is_in(lost.implode())
    kept = (pl.when(~gone).then(pl.col(c)).alias(c) for c in _tokens(now))
    return keyed.to_arrow(now.with_columns(*kept)), lost


def _known(every: pl.DataFrame) -> pa.Table:
    one = every.group_by("column", "older").agg(pl.col("newer").unique())
    sure = one.filter(pl.col("newer").list.len() == 1).with_columns(pl.col("newer").list.first())
    return keyed.to_arrow(sure.select(*VERSIONS).sort("column", "older"))


def _by_column(known: pa.Table) -> Iterator[tuple[str, pl.Series, pl.Series]]:
    for (column,), said in _frame(known).group_by("column", maintain_order=True):
        yield str(column), said.get_column("older"), said.get_column("newer")


def _is_known(frame: pl.DataFrame, column: str, newer: tuple[pl.Series, pl.Series] | None) -> pl.Expr:
    """Whether nothing that a record has in a column is unknown."""
    if newer is None:
        return pl.col(column).is_null()
    told = _of_each(frame, column, lambda v: v.replace_strict(*newer, default=None).is_not_null())
    none = pl.col(column).is_null()
    return none | (told.list.all() if isinstance(frame.schema[column], pl.List) else told)


def _of_each(frame: pl.DataFrame, column: str, said: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    """`said` of each token, where a record has one or a list of them."""
    if isinstance(frame.schema[column], pl.List):
        return pl.col(column).list.eval(said(pl.element()))
    return said(pl.col(column))


def _replaced(token: pl.Expr, old: pl.Series, new: pl.Series) -> pl.Expr:
    return token.replace(old, new)


def _tokens(frame: pl.DataFrame) -> list[str]:
    return [c for c in frame.columns if c not in _ABOUT and not c.endswith("_newer")]


def _flat(values: pl.Series) -> pl.Series:
    return values.explode() if isinstance(values.dtype, pl.List) else values


def _frame(table: pa.Table) -> pl.DataFrame:
    return keyed.to_frame(table)
