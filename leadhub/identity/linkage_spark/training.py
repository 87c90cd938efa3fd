"""Learning the weights on Spark, once: the model of `linkage.training`, exported as the same facts.

Expectation maximisation needs the pairs' patterns alone: Spark counts them, and how strangers stand on
random pairs, and the rounds run over the counts. Self-training looks at each pair that is not hopeless and
at where it stands, on the driver: pairs above `training._HOPELESS` bits must fit there (some 50 bytes
each), and no others are collected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from leadhub.identity.linkage import graph, training
from leadhub.identity.linkage.model import Model, declared, odds
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.schema import DIFFER
from leadhub.identity.linkage_spark import scoring
from leadhub.identity.linkage_spark.comparison import Compared, field_codes
from leadhub.identity.linkage_spark.frames import Frames

#: single and double precision may differ by this much about a floor
SLACK = 0.01


@dataclass(frozen=True)
class Collected:
    """Pairs on the driver, sorted by row numbers: codes (fields, pairs), rarity: feature → float32 a pair;
    `rest`: all their columns."""

    left: np.ndarray
    right: np.ndarray
    codes: np.ndarray
    rarity: dict[str, np.ndarray]
    rest: pl.DataFrame


def collect(compared: Compared, pairs: DataFrame) -> Collected:
    """Pairs of `compared` with further columns (`rest`), brought to the driver."""
    frame = pl.DataFrame(pl.from_arrow(pairs.toArrow())).sort("left", "right")
    codes = [frame.get_column(name).to_numpy().astype(np.uint8) for name in compared.codes]
    return Collected(
        left=frame.get_column("left").to_numpy(),
        right=frame.get_column("right").to_numpy(),
        codes=np.stack(codes),
        rarity={n: frame.get_column(f"r_{n}").to_numpy().astype(np.float32) for n in compared.features},
        rest=frame,
    )


def train(frames: Frames, compared: Compared) -> Model:
    """The model for these candidate pairs."""
    head = frames.head
    patterns, counts = count_patterns(compared)
    first = declared(
        head.schema,
        head.tier,
        people=max(1.0, len(head) / 2),
        possible=head.possible_pairs(),
        rarity=dict.fromkeys(compared.features, 1.0),
    )
    if len(counts):
        chance = strangers(frames) if head.tier == "fields" else odds(head.schema, "chance")
        first = training.expectation_maximisation(head, patterns, counts, chance, first)
    close = _close(frames, compared, first)
    learnt = training.self_train(head, close.left, close.right, close.codes, close.rarity, first)
    if learnt.how != "self-trained" and counts.sum() < 10 * training.LEAST_LABELS:
        return learnt
    return replace(learnt, raise_bits=_raise(head, _close(frames, compared, learnt), learnt))


def _close(frames: Frames, compared: Compared, model: Model) -> Collected:
    weighed = scoring.weigh(compared, model, frames.head.schema)
    return collect(compared, weighed.where(F.col("bits") > training._HOPELESS - SLACK))


def _raise(head: Records, close: Collected, model: Model) -> float:
    """As `training._raise`, which counts all pairs to know whether there is enough to learn from."""
    bits = model.weigh(head.schema, close.codes, close.rarity)
    at = (head.alone[close.left] | head.alone[close.right]) & (bits > training._HOPELESS)
    left, right, bits = close.left[at], close.right[at], bits[at]
    return graph.raise_bits(bits[graph.assign(head, left, right, bits)], model.people)


def count_patterns(compared: Compared) -> tuple[np.ndarray, np.ndarray]:
    """Distinct patterns of codes (fields, patterns) uint8, and how many pairs stand at each."""
    return _counted(compared.pairs, compared.codes)


def _counted(pairs: DataFrame, codes: list[str]) -> tuple[np.ndarray, np.ndarray]:
    counted = pairs.groupBy(*codes).agg(F.count("*").alias("pairs")).toArrow()
    frame = pl.DataFrame(pl.from_arrow(counted)).sort(codes)
    patterns = np.stack([frame.get_column(name).to_numpy().astype(np.uint8) for name in codes])
    return patterns, frame.get_column("pairs").to_numpy()


def strangers(frames: Frames) -> dict[str, np.ndarray]:
    """How often random records stand at each level: the very pairs that `training.strangers` draws."""
    head = frames.head
    random = np.random.default_rng(len(head))
    left = random.integers(0, len(head), training._RANDOM_PAIRS)
    right = random.integers(0, len(head), training._RANDOM_PAIRS)
    apt = (left != right) & head.may_be_one(left, right)
    kinds = {"left": pa.int64(), "right": pa.int64()}
    drawn = frames.table({"left": left[apt], "right": right[apt]}, kinds)
    names = [f"c_{name}" for name in head.schema.fields]
    patterns, counts = _counted(field_codes(head, frames.rows, drawn), names)
    counted = {}
    for (name, share), column in zip(odds(head.schema, "chance").items(), patterns):
        seen = np.bincount(column, counts, minlength=len(share) + 1)[DIFFER:]
        level = seen + training._HOLD * share
        counted[name] = level / level.sum()
    return counted
