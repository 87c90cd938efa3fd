"""Linking a night's changes: new and changed records are compared with all, and nobody else is.

Under a frozen model a pair's weight depends on its two records alone, and what is decided about a record on
the pairs that hang together with it. So the night finds the pairs of what changed, takes the records that
hang together with them, and decides about those anew; all others stay as they are. The result is that of
linking everything (`link`).

Of the other records no more is done than one pass over each token column, and of the pairs found there
only those are compared that can weigh enough (`nearby`). Who is meant is asked by hashes of record ids,
everywhere the same: two ids with one hash would be decided about together, and rightly.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.foundation import cores
from leadhub.identity import linkage
from leadhub.identity.linkage import decisions, nearby
from leadhub.identity.linkage.graph import components
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
    records, (clusters, ids), left, right = cores.together(
        lambda: as_they_lie(table, one_per_person, schema or person(), model.tier),
        lambda: _in_order(before.clusters),
        *(partial(_texts, before.pairs, side) for side in ("left", "right")),
    )
    tonight, then = records.ids.hash().to_numpy(), ids.hash().to_numpy()
    named = Few(pl.Series(list(changed), dtype=pl.String).hash().to_numpy())
    touched = named.among(tonight)
    gone = _gone(records.ids, tonight, touched, then, named)
    near = _near(records, touched, model, limits, decided)
    if near is None or before.grown:
        return None
    ends = left.hash().to_numpy(), right.hash().to_numpy()
    without = Few(np.concatenate([named.words, gone]))
    again = _reached(np.concatenate([without.words, tonight[near.left], tonight[near.right]]), *ends)
    rows = again.among(tonight)
    some = records.only(rows[records.ids.gather(rows).arg_sort().to_numpy()])
    old = again.among(ends[0])
    stay = np.setdiff1d(old, np.concatenate([without.among(each) for each in ends]))
    known = _numbers(some, left.gather(stay)), _numbers(some, right.gather(stay))
    pairs, label = _anew(some, known, _numbered(some, near), limits, decided)
    told, clusters = cores.together(
        # all pairs of a record are decided about together: none stays beside a new one
        lambda: _merged(before.pairs, left, old, pairs),
        lambda: _merged(clusters, ids, again.among(then), linkage.clustered(some, label)),
    )
    return linkage.Linked(
        pairs=told,
        clusters=clusters,
        left_out=before.left_out,
        model=model,
        limits=limits,
    )


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
) -> linkage.Weighed | None:
    """The pairs that are told of records `touched`, by rows; None where a block has grown too large."""
    known = decisions.known(records, decided).of(touched) if decided else None
    also = (known.left, known.right) if known else None
    found = nearby.find(records, touched, also, model, limits, linkage.REVIEW_BITS)
    if found is None:
        return None
    rows = found.among.rows
    by_rows = known.among(rows) if known else None
    weighed = linkage.weighed(found.among, found.pairs, model, by_rows, found.compared)
    told = np.flatnonzero(linkage.told(weighed.bits))
    return weighed.only(told, rows[weighed.left[told]], rows[weighed.right[told]])


def _reached(start: np.ndarray, left: np.ndarray, right: np.ndarray) -> Few:
    """The words from which a path over pairs leads to those of `start`, and these."""
    found = new = Few(start)
    while len(new.words):
        at = np.concatenate([new.among(left), new.among(right)])
        ends = np.concatenate([left[at], right[at]])
        new = Few(np.setdiff1d(ends, found.words))
        found = Few(np.concatenate([found.words, new.words]))
    return found


def _numbers(records: Records, ids: pl.Series) -> np.ndarray:
    """The rows of some ids among records in order of them."""
    return records.ids.search_sorted(ids).cast(pl.Int64).to_numpy()


def _numbered(records: Records, weighed: linkage.Weighed) -> linkage.Weighed:
    """The same pairs by rows of some records, which hold all theirs, and not by rows of the table."""
    rows = records.rows
    by_row = rows.argsort()
    left, right = (by_row[np.searchsorted(rows, s, sorter=by_row)] for s in (weighed.left, weighed.right))
    return weighed.only(np.arange(len(left)), left, right)


def _anew(
    records: Records,
    stay: tuple[np.ndarray, np.ndarray],
    near: linkage.Weighed,
    limits: Limits,
    decided: list[dict[str, Any]] | None,
) -> tuple[pa.Table, np.ndarray]:
    """Decide about records that hang together over no others: their pairs (`linkage.scored`), and of each
    the row of its cluster (`linkage.decide`). `stay`: pairs that were told before, and of which neither
    record changed; `near`: those of a record that did.

    Most records stand alone, or in one pair of `near`, of which all is known. Of three and more those pairs
    count too that are not told: they are compared again.
    """
    left, right = np.concatenate([stay[0], near.left]), np.concatenate([stay[1], near.right])
    group = components(len(records), left, right)
    more = np.bincount(group, minlength=len(records)) > 2
    more[group[stay[0]]] = True
    rows = np.flatnonzero(more[group])
    some = records.only(rows)
    known = decisions.known(some, decided) if decided else None
    found = [(rows, linkage.weigh(some, near.model, known, limits))]
    two = np.flatnonzero(~more[group[near.left]])
    rows = np.sort(np.concatenate([near.left[two], near.right[two]]))
    ends = (np.searchsorted(rows, side[two]) for side in (near.left, near.right))
    found.append((rows, near.only(two, *ends)))
    label, pairs = np.arange(len(records)), []
    for rows, weighed in found:
        some = records.only(rows)
        status, row = linkage.decide(some, weighed)
        label[rows] = rows[row]
        pairs.append(linkage.scored(some, weighed, status))
    return pa.concat_tables(pairs).sort_by([("left", "ascending"), ("right", "ascending")]), label


def _in_order(clusters: pa.Table) -> tuple[pa.Table, pl.Series]:
    """By record id, and the ids: a table of the lake may be read in another order than it was written."""
    ids = _texts(clusters, "record_id")
    if ids.is_sorted():
        return clusters, ids
    clusters = clusters.sort_by("record_id")
    return clusters, _texts(clusters, "record_id")


def _merged(before: pa.Table, by: pl.Series, without: np.ndarray, anew: pa.Table) -> pa.Table:
    """The rows of a table but for some, and other rows; all three are in order of a column (`by`, and the
    first of `anew`), in which no row that stays is like a new one."""
    at = by.search_sorted(_texts(anew, anew.column_names[0]), side="left").cast(pl.Int64).to_numpy()
    rows = np.insert(np.arange(before.num_rows), at, before.num_rows + np.arange(len(at)))
    # each new row stands before the row that it is inserted at
    gone = without + np.searchsorted(at, without, side="right")
    both = pa.concat_tables([before.select(anew.column_names), anew]).combine_chunks()
    return both.take(pa.array(np.delete(rows, gone)))
