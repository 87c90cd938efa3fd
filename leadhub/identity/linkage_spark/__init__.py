"""Linkage beyond one machine: `leadhub.identity.linkage` on Spark, with the same schema, model and result.

Tokens are made on executors (`tokenising`), candidates, comparison and scoring are SQL (`candidates`,
`comparison`, `scoring`), a model is learnt once (`training`) and exported by `Model.facts`. What looks at
the structure of the sources (one-to-one, conflicts, clusters) runs on the driver by the single-machine
engine's own functions, on pairs above a floor: `link` says what must fit there.

pyspark is an optional extra (spark.lock): nothing outside of this package imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from leadhub.identity import linkage
from leadhub.identity.linkage import clusters, decisions, graph
from leadhub.identity.linkage.comparison import Compared as OnDriver
from leadhub.identity.linkage.decisions import ALONE_BITS, DECIDED_BITS, NUMBER_BITS, Decided
from leadhub.identity.linkage.model import NYSID_BITS, Model
from leadhub.identity.linkage.schema import LinkageSchema, Tier, person
from leadhub.identity.linkage_spark import candidates, comparison, scoring, training
from leadhub.identity.linkage_spark.comparison import Compared
from leadhub.identity.linkage_spark.frames import Frames, prepare


@dataclass(frozen=True)
class Weighed:
    """`pairs`: as `Compared.pairs`, with `bits` (log₂ odds, NYSIDs and decisions applied)."""

    pairs: DataFrame
    compared: Compared
    model: Model
    left_out: pa.Table


def link(
    table: DataFrame,
    *,
    one_per_person: frozenset[str],
    schema: LinkageSchema | None = None,
    model: Model | None = None,
    tier: Tier | None = None,
    decided: list[dict[str, Any]] | None = None,
) -> linkage.Linked:
    """Link the token tables of all feeds (`tokenising.tokenise`), as `linkage.link` does.

    On the driver must fit: some 60 bytes a record (`frames`), the pairs above `REVIEW_BITS`, and pairs
    below `APART_BITS` within one component of links; and while a model is learnt, what `training` says.

    Raises: TerminalError `state_invalid` where a record id stands twice.
    """
    frames = prepare(table, one_per_person, schema or person(), tier)
    try:
        said = decisions.known(frames.head, decided) if decided else None
        return _settled(frames, weigh(frames, model, said))
    finally:
        frames.release()


def weigh(frames: Frames, model: Model | None = None, decided: Decided | None = None) -> Weighed:
    """Find, compare and weigh pairs; without `model`, one is learnt from them."""
    found = candidates.find(frames, decided)
    compared = comparison.compare(frames, found.pairs)
    model = model or training.train(frames, compared)
    pairs = scoring.with_nysid(scoring.weigh(compared, model, frames.head.schema))
    if decided is not None:
        pairs = _apply(frames, pairs, decided, compared.codes, model.prior_bits)
    return Weighed(frames.keep(pairs), compared, model, found.left_out)


def _apply(
    frames: Frames, pairs: DataFrame, decided: Decided, codes: list[str], prior_bits: float
) -> DataFrame:
    """The weights, with those of decided pairs replaced or raised (`Decided.apply`)."""
    said = {
        "left": decided.left,
        "right": decided.right,
        "said": np.where(decided.one, DECIDED_BITS, -DECIDED_BITS),
        "number": decided.number,
    }
    kinds = {"left": pa.int64(), "right": pa.int64(), "said": pa.float64(), "number": pa.bool_()}
    joined = pairs.join(F.broadcast(frames.table(said, kinds)), ["left", "right"], "left")
    raised = f"bits + {max(0.0, NUMBER_BITS - prior_bits)!r}D"
    alone = f"greatest({', '.join(codes)}) = 0 AND bits < {NYSID_BITS}D"
    word = (
        f"CASE WHEN number AND {alone} THEN {ALONE_BITS}D WHEN number THEN {raised} "
        "ELSE coalesce(said, bits) END"
    )
    return joined.withColumn("bits", F.expr(word)).drop("said", "number")


def _settled(frames: Frames, weighed: Weighed) -> linkage.Linked:
    """One-to-one, conflicts and clusters, on the driver."""
    head, pairs, compared = frames.head, weighed.pairs, weighed.compared
    needed = clusters.LINK_BITS - weighed.model.raise_bits
    shown = F.col("bits") >= min(needed, linkage.REVIEW_BITS) - training.SLACK
    close = training.collect(compared, pairs.where(shown))
    links = close.rest.get_column("bits").to_numpy() >= needed - training.SLACK
    label = graph.components(len(head), close.left[links], close.right[links])
    refuted = _refuted(frames, pairs.where(~shown), label)
    on_driver = _on_driver(weighed, training.collect(compared, pairs.where(shown).unionByName(refuted)))
    status, label = linkage.decide(head, on_driver)
    return linkage.Linked(
        pairs=linkage.scored(head, on_driver, status),
        clusters=linkage.clustered(head, label),
        left_out=weighed.left_out,
        model=weighed.model,
    )


def _refuted(frames: Frames, pairs: DataFrame, label: np.ndarray) -> DataFrame:
    """Of the pairs to be kept apart, those that matter: two records that links would bring together, and
    what a steward decided. Clusters only ever divide the components of `label`."""
    size = np.bincount(label, minlength=len(label))
    row = np.flatnonzero(size[label] > 1)
    kinds = {"row": pa.int64(), "label": pa.int64()}
    labels = frames.table({"row": row, "label": label[row]}, kinds)
    joined = (
        pairs.alias("p")
        .join(labels.alias("l"), F.expr("p.left = l.row"), "left")
        .join(labels.alias("r"), F.expr("p.right = r.row"), "left")
    )
    inside = f"p.bits <= {clusters.APART_BITS} AND l.label = r.label"
    return joined.where(f"({inside}) OR p.bits <= {-DECIDED_BITS}").select("p.*")


def _on_driver(weighed: Weighed, found: training.Collected) -> linkage.Weighed:
    none = np.zeros(0, dtype=np.uint8)
    return linkage.Weighed(
        left=found.left,
        right=found.right,
        compared=OnDriver(found.codes, none, none),
        rarity=found.rarity,
        bits=found.rest.get_column("bits").to_numpy().astype(np.float32),
        same_nysid=found.rest.get_column("same_nysid").fill_null(False).to_numpy(),
        model=weighed.model,
        left_out=weighed.left_out,
    )
