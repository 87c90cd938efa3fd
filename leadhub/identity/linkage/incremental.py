"""Linking a night's changes: new and changed records are compared with all, and nobody else is.

Under a frozen model a pair's weight depends on its two records alone, and what is decided about a record on
the pairs that hang together with it. So the night finds the pairs of what changed, takes the records that
hang together with them, and decides about those anew; all others stay as they are. The result is that of
linking everything (`link`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import keyed, linkage
from leadhub.identity.linkage import decisions
from leadhub.identity.linkage.graph import components
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.model import Model
from leadhub.identity.linkage.records import Records, encode
from leadhub.identity.linkage.schema import LinkageSchema, person


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
    about which a steward decided since belong to them. What is gone need not be named. `decided`: as for
    `link`.

    None where a block has grown too large since the limits were learnt: then everything is to be linked.

    Raises: TerminalError `state_invalid` where a record id stands twice.
    """
    records = encode(table, one_per_person, schema or person(), model.tier)
    known = decisions.known(records, decided) if decided else None
    touched = records.ids.is_in(pl.Series(list(changed), dtype=pl.String).implode()).to_numpy()
    fresh = linkage.weigh(records, model, known, limits, of=np.flatnonzero(touched))
    if fresh.grown or before.grown:
        return None
    pairs = pl.DataFrame(pl.from_arrow(before.pairs))
    both = _rows(records, pl.concat([pairs.get_column(side).alias("id") for side in ("left", "right")]))
    left, right = both[: len(pairs)], both[len(pairs) :]
    there = (left != _GONE) & (right != _GONE)
    same = there & ~touched[left] & ~touched[right]
    # who stood in a pair with what is gone or is another now: it may have kept them together, or apart
    alone = np.concatenate([side[~same & (side != _GONE)] for side in (left, right)])
    kept = _Pairs(pairs.filter(same), left[same], right[same])
    near = linkage.told(fresh.bits)
    label = components(
        len(records),
        np.concatenate([fresh.left[near], kept.left]),
        np.concatenate([fresh.right[near], kept.right]),
    )
    touched[alone] = True
    moved = np.zeros(len(records), dtype=bool)
    moved[label[touched]] = True
    return _merged(records, moved[label], before, kept, model, limits, known)


#: no row of tonight's
_GONE = -1


@dataclass(frozen=True)
class _Pairs:
    """Scored pairs, and the rows of their records."""

    table: pl.DataFrame
    left: np.ndarray
    right: np.ndarray


def _rows(records: Records, ids: pl.Series) -> np.ndarray:
    place = pl.DataFrame({"id": records.ids, "row": np.arange(len(records), dtype=np.int64)})
    found = ids.to_frame().join(place, on="id", how="left", maintain_order="left")
    return found.get_column("row").fill_null(_GONE).to_numpy()


def _merged(
    records: Records,
    again: np.ndarray,
    before: linkage.Linked,
    kept: _Pairs,
    model: Model,
    limits: Limits,
    known: decisions.Decided | None,
) -> linkage.Linked:
    """What was decided before, but for the records to be decided about again."""
    rows = np.flatnonzero(again)
    some = records.only(rows)
    weighed = linkage.weigh(some, model, _among(known, again), limits)
    status, label = linkage.decide(some, weighed)
    stay, shown = ~again[kept.left], linkage.told(weighed.bits)
    scored = pl.DataFrame(pl.from_arrow(linkage.scored(some, weighed, status)))
    left = np.concatenate([kept.left[stay], rows[weighed.left[shown]]])
    right = np.concatenate([kept.right[stay], rows[weighed.right[shown]]])
    # rows stand in order of their ids, and numbers are sorted sooner than text
    pairs = pl.concat([kept.table.filter(stay), scored])[np.lexsort((right, left))]
    return linkage.Linked(
        pairs=keyed.to_arrow(pairs),
        clusters=_clusters(records, before, again, some.ids.gather(label)),
        left_out=before.left_out,
        model=model,
        limits=limits,
    )


def _clusters(records: Records, before: linkage.Linked, again: np.ndarray, anew: pl.Series) -> pa.Table:
    """The clusters of before, but for those of some records, which are `anew`."""
    earlier = pl.DataFrame(pl.from_arrow(before.clusters)).select("record_id", "cluster")
    stay = earlier.filter(~pl.col("record_id").is_in(records.ids.filter(pl.Series(again)).implode()))
    if len(stay) > np.count_nonzero(~again):
        # who is gone stands there still
        stay = stay.join(records.ids.alias("record_id").to_frame(), on="record_id", how="semi")
    # records stand in order of their ids, and so do those that stay
    stay = stay.sort("record_id")
    place = np.empty(len(records), dtype=np.int64)
    place[~again], place[again] = np.arange(len(stay)), len(stay) + np.arange(len(anew))
    cluster = pl.concat([stay.get_column("cluster"), anew.alias("cluster")]).gather(place)
    return linkage.named(records, cluster)


def _among(known: decisions.Decided | None, again: np.ndarray) -> decisions.Decided | None:
    """The decisions about these records alone, by their rows among them."""
    if known is None:
        return None
    number = np.cumsum(again) - 1
    both = again[known.left] & again[known.right]
    return decisions.Decided(
        number[known.left[both]], number[known.right[both]], known.one[both], known.number[both]
    )
