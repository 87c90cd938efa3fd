"""Linking a night's changes: new and changed records are compared with all, and nobody else is.

Under a frozen model a pair's weight depends on its two records alone, and what is decided about a record on
the pairs that hang together with it. So the night finds the pairs of what changed, takes the records that
hang together with them, and decides about those anew; all others stay as they are. The result is that of
linking everything (`link`).
"""

from __future__ import annotations

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
    place = pl.DataFrame({"id": records.ids, "row": np.arange(len(records), dtype=np.int64)})
    touched = place.filter(pl.col("id").is_in(list(changed))).get_column("row").to_numpy()
    fresh = linkage.weigh(records, model, known, limits, of=touched)
    if fresh.grown or before.grown:
        return None
    kept = _pairs_before(before, place, changed)
    near = linkage.told(fresh.bits)
    left = np.concatenate([fresh.left[near], kept["left_row"].to_numpy()])
    right = np.concatenate([fresh.right[near], kept["right_row"].to_numpy()])
    label = components(len(records), left, right)
    again = np.zeros(len(records), dtype=bool)
    again[touched] = True
    again[_left_alone(before, place, changed)] = True
    again = np.isin(label, label[again])
    return _merged(records, again, before, kept, model, limits, known, place)


def _pairs_before(before: linkage.Linked, place: pl.DataFrame, changed: set[str]) -> pl.DataFrame:
    """The pairs of the earlier night whose records are both there and unchanged, with their rows."""
    pairs = pl.DataFrame(pl.from_arrow(before.pairs))
    gone = pl.col("left").is_in(list(changed)) | pl.col("right").is_in(list(changed))
    return (
        pairs.filter(~gone)
        .join(place.select(left="id", left_row="row"), on="left", maintain_order="left")
        .join(place.select(right="id", right_row="row"), on="right", maintain_order="left")
    )


def _left_alone(before: linkage.Linked, place: pl.DataFrame, changed: set[str]) -> np.ndarray:
    """Rows that stood in a pair with a record that is gone or is another now: it may have kept them
    together, or apart."""
    pairs = pl.DataFrame(pl.from_arrow(before.pairs)).select("left", "right")
    sides = pl.concat([pairs, pairs.select(left="right", right="left")])
    same = place.filter(~pl.col("id").is_in(list(changed)))
    lost = sides.join(same, left_on="right", right_on="id", how="anti")
    return lost.join(place, left_on="left", right_on="id").get_column("row").to_numpy()


def _merged(
    records: Records,
    again: np.ndarray,
    before: linkage.Linked,
    kept: pl.DataFrame,
    model: Model,
    limits: Limits,
    known: decisions.Decided | None,
    place: pl.DataFrame,
) -> linkage.Linked:
    rows = np.flatnonzero(again)
    some = records.only(rows)
    weighed = linkage.weigh(some, model, _among(known, again), limits)
    status, label = linkage.decide(some, weighed)
    pairs = pl.DataFrame(pl.from_arrow(linkage.scored(some, weighed, status)))
    stay = kept.filter(~pl.Series(again[kept["left_row"].to_numpy()])).select(pairs.columns)
    clusters = pl.DataFrame(pl.from_arrow(linkage.clustered(some, label)))
    others = place.filter(~pl.Series(again)).select("id")
    old = pl.DataFrame(pl.from_arrow(before.clusters)).join(
        others, left_on="record_id", right_on="id", how="semi"
    )
    return linkage.Linked(
        pairs=keyed.to_arrow(pl.concat([stay, pairs]).sort("left", "right")),
        clusters=keyed.to_arrow(pl.concat([old, clusters]).sort("record_id")),
        left_out=before.left_out,
        model=model,
        limits=limits,
    )


def _among(known: decisions.Decided | None, again: np.ndarray) -> decisions.Decided | None:
    """The decisions about these records alone, by their rows among them."""
    if known is None:
        return None
    number = np.cumsum(again) - 1
    both = again[known.left] & again[known.right]
    return decisions.Decided(number[known.left[both]], number[known.right[both]], known.one[both])
