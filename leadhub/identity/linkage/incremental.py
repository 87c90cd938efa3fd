"""Linking a night's changes: new and changed records are compared with all, and nobody else is.

Under a frozen model a pair's weight depends on its two records alone, and what is decided about a record on
the pairs that hang together with it. So the night finds the pairs of what changed, takes the records that
hang together with them, and decides about those anew; all others stay as they are. The result is that of
linking everything (`link`).

Of the other records no more is done than one pass over each token column. Who is meant is asked by hashes
of record ids, everywhere the same: two ids with one hash would be decided about together, and rightly.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import linkage
from leadhub.identity.linkage import candidates, decisions
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.model import Model
from leadhub.identity.linkage.records import Records, as_they_lie, twice
from leadhub.identity.linkage.schema import LinkageSchema, person
from leadhub.identity.linkage.sieve import Few


def link_changes(
    table: pa.Table,
    *,
    changed: set[str],
    before: linkage.Linked,
    one_per_person: frozenset[str],
    model: Model,
    limits: Limits,
    schema: LinkageSchema | None = None,
    decided: list[dict[str, Any]] | None = None,
) -> linkage.Linked | None:
    """`table`: token tables of all feeds, as for `link`. `changed`: record ids that are new, or whose
    tokens are others than when `before` was linked, under the same model and limits; records of a pair
    about which a steward decided since belong to them. What is gone need not be named. `before.pairs` are
    in order, as they were found. `decided`: as for `link`.

    None where a block has grown too large since the limits were learnt: then everything is to be linked.

    Raises: TerminalError `state_invalid` where a record id stands twice; ValueError where a record is new
    and not among `changed`.
    """
    records = as_they_lie(table, one_per_person, schema or person(), model.tier)
    clusters = _in_order(before.clusters)
    tonight, then = records.ids.hash().to_numpy(), _hashes(clusters, "record_id")
    named = Few(pl.Series(list(changed), dtype=pl.String).hash().to_numpy())
    touched = named.among(tonight)
    gone = _gone(records.ids, tonight, touched, then, named)
    near = _near(records, touched, model, limits, decided)
    if near is None or before.grown:
        return None
    left, right = (_hashes(before.pairs, side) for side in ("left", "right"))
    again = _reached(np.concatenate([named.words, gone, tonight[near]]), left, right)
    rows = again.among(tonight)
    some = records.only(rows[records.ids.gather(rows).arg_sort().to_numpy()])
    weighed = linkage.weigh(some, model, decisions.known(some, decided) if decided else None, limits)
    status, label = linkage.decide(some, weighed)
    return linkage.Linked(
        # all pairs of a record are decided about together: none stays beside a new one
        pairs=_merged(before.pairs, again.among(left), linkage.scored(some, weighed, status), "left"),
        clusters=_merged(clusters, again.among(then), linkage.clustered(some, label), "record_id"),
        left_out=before.left_out,
        model=model,
        limits=limits,
    )


def _hashes(table: pa.Table, column: str) -> np.ndarray:
    return _texts(table, column).hash().to_numpy()


def _texts(table: pa.Table, column: str) -> pl.Series:
    return pl.Series(column, pl.from_arrow(table.column(column)), dtype=pl.String)


def _gone(
    ids: pl.Series, tonight: np.ndarray, touched: np.ndarray, then: np.ndarray, named: Few
) -> np.ndarray:
    """Hashes of the records that stood in clusters `then` and are not there `tonight`.

    Raises: as `link_changes`.
    """
    stayed = np.delete(then, named.among(then))
    others = np.delete(tonight, touched)
    # each stood there once: where their sum is the same, they are the same, and each stands once
    gone = np.zeros(0, dtype=np.uint64)
    if _sum(others) != _sum(stayed):
        gone = stayed[~pl.Series(stayed).is_in(pl.Series(others).implode()).to_numpy()]
    if ids.gather(touched).is_duplicated().any():
        raise twice()
    if len(others) + len(gone) != len(stayed) or _sum(np.append(others, gone)) != _sum(stayed):
        if ids.null_count() or ids.n_unique() != len(ids):
            raise twice()
        raise ValueError("a record is new, and is not named among what changed")
    return gone


def _sum(words: np.ndarray) -> np.uint64:
    return np.add.reduce(words, dtype=np.uint64)


def _near(
    records: Records,
    touched: np.ndarray,
    model: Model,
    limits: Limits,
    decided: list[dict[str, Any]] | None,
) -> np.ndarray | None:
    """Rows of the records that are told to be near one of those `touched`; None where a block has grown too
    large."""
    known = decisions.known(records, decided).of(touched) if decided else None
    also = (known.left, known.right) if known else None
    found, rows = candidates.find_of(records, touched, also, limits)
    if found.grown:
        return None
    among = records.only(rows)
    bits = linkage.weighed(among, found, model, known.among(rows) if known else None).bits
    near = linkage.told(bits)
    return rows[np.concatenate([found.left[near], found.right[near]])]


def _reached(start: np.ndarray, left: np.ndarray, right: np.ndarray) -> Few:
    """The words from which a path over pairs leads to those of `start`, and these."""
    found = new = Few(start)
    while len(new.words):
        at = np.concatenate([new.among(left), new.among(right)])
        ends = np.concatenate([left[at], right[at]])
        new = Few(np.setdiff1d(ends, found.words))
        found = Few(np.concatenate([found.words, new.words]))
    return found


def _in_order(clusters: pa.Table) -> pa.Table:
    """By record id: a table of the lake may be read in another order than it was written in."""
    return clusters if _texts(clusters, "record_id").is_sorted() else clusters.sort_by("record_id")


def _merged(before: pa.Table, without: np.ndarray, anew: pa.Table, by: str) -> pa.Table:
    """The rows of a table but for some, and other rows; all three are in order of a column, in which no row
    that stays is like a new one."""
    at = _texts(before, by).search_sorted(_texts(anew, by), side="left").cast(pl.Int64).to_numpy()
    rows = np.insert(np.arange(before.num_rows), at, before.num_rows + np.arange(len(at)))
    # each new row stands before the row that it is inserted at
    gone = without + np.searchsorted(at, without, side="right")
    both = pa.concat_tables([before.select(anew.column_names), anew]).combine_chunks()
    return both.take(pa.array(np.delete(rows, gone)))
