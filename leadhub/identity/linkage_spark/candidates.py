"""Pairs worth comparing, as joins: the same blocks, limits and report as `linkage.candidates`.

Every record stands once for each key it has, beside how many share its token there. From the sizes alone,
a few numbers a key, the driver finds each key's cap. Blocks up to it are joined with themselves, and a pair
that several keys propose is one row, which in tier `tokens` remembers which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from leadhub.identity import keyed
from leadhub.identity.linkage import candidates, deduction
from leadhub.identity.linkage.decisions import Decided
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage_spark.frames import Frames

WORD = 64
_APT = "a.feed <> b.feed OR NOT a.alone"


@dataclass(frozen=True)
class Candidates:
    """`pairs`: left < right (row numbers), each pair once; in tier `tokens` besides `shared_<i>`, bit masks
    of the match keys that the pair shares, and `r_<feature>` of `BY_KEY`, null where it shares none that
    tells. `left_out`: key, blocks, records, pairs."""

    pairs: DataFrame
    left_out: pa.Table


#: the features of `training.rarity` in tier `tokens`: a pair has the most that a key it shares tells
BY_KEY = ("excess", "beyond")


def masks(head: Records) -> int:
    """How many words hold one bit for each match key; none in tier `fields`."""
    return -(-len(head.schema.key_names) // WORD) if head.tier == "tokens" else 0


def find(frames: Frames, decided: Decided | None = None) -> Candidates:
    """All pairs that share a key and may be one person, and the `decided` ones."""
    head = frames.head
    blocks = frames.keep(_blocks(frames, decided))
    caps, left_out, most = _caps(head, blocks)
    capped = blocks.join(F.broadcast(_keys(frames, caps)), "key")
    proposed = _proposed(
        head, capped.where("size BETWEEN 2 AND cap"), f"{_APT} OR (a.asked AND b.asked)", most
    )
    if decided is not None:
        proposed = proposed.unionByName(_asked(frames, decided))
    pairs = _once(head, proposed)
    # keys whose blocks are too large to propose pairs are compared all the same
    silent = [i for i, name in enumerate(head.schema.key_names) if name in set(left_out["key"].to_pylist())]
    if masks(head) and silent:
        large = capped.where(F.col("size") > F.col("cap")).where(F.col("key").isin(silent))
        pairs = _once(head, pairs.unionByName(_also_shared(head, frames.keep(pairs), large, most)))
    return Candidates(frames.keep(pairs.where("apt").drop("apt")), left_out)


def _blocks(frames: Frames, decided: Decided | None) -> DataFrame:
    """row, feed, alone, asked, key (its number), block (a word), size: one row for each key of a record."""
    head = frames.head
    listed = ", ".join(f"{i}, {_block(head, i, name)}" for i, name in enumerate(head.key_names))
    asked = F.lit(False)
    if decided is not None:
        asked = F.col("row").isin(np.union1d(decided.left, decided.right).tolist())
    each = frames.rows.withColumn("asked", asked).selectExpr(
        "row", "feed", "alone", "asked", f"stack({len(head.key_names)}, {listed}) AS (key, block)"
    )
    sized = "count(*) OVER (PARTITION BY key, block) AS size"
    return each.where("block IS NOT NULL").selectExpr("*", sized)


def _block(head: Records, number: int, name: str) -> str:
    """A key's token; in tier `fields` a word for its parts' tokens, which (as in the single-machine
    engine) two others may share by chance: that proposes a pair more, and no wrong link."""
    if name == "nysid":
        return "nysid"
    if head.tier == "tokens":
        return f"k_{number}"
    parts = [f"`p_{part}`" for part in name.split("+")]
    known = " AND ".join(f"{p} IS NOT NULL" for p in parts)
    return f"CASE WHEN {known} THEN xxhash64({', '.join(parts)}) END"


def _caps(head: Records, blocks: DataFrame) -> tuple[np.ndarray, pa.Table, int]:
    """The largest block of each key that proposes pairs, what is left out, and how many records one person
    may have."""
    budget = max(candidates.PAIRS_AT_LEAST, int(candidates.PAIRS_PER_RECORD * len(head)))
    counted = blocks.where("size > 1").groupBy("key", "size").agg(F.count("*").alias("records"))
    said = keyed.to_frame(counted.toArrow())
    caps, left_out, own = [], [], []
    for number, name in enumerate(head.key_names):
        mine = said.filter(pl.col("key") == number)
        size = mine.get_column("size").to_numpy().astype(np.int64)
        sizes = np.repeat(size, mine.get_column("records").to_numpy() // size)
        cap, lost = candidates._cap(sizes, budget)
        caps.append(cap)
        own += [sizes] if name in candidates.own_keys(head) else []
        if len(lost):
            left_out.append((name, len(lost), int(lost.sum()), int((lost * (lost - 1) // 2).sum())))
    table = pl.DataFrame(left_out, schema=candidates.LEFT_OUT_SCHEMA, orient="row")
    return np.array(caps, dtype=np.int64), keyed.to_arrow(table), candidates.per_person(head, own)


def _keys(frames: Frames, caps: np.ndarray) -> DataFrame:
    """key (its number), cap, usual: the bits of its parts' usual values (null where no matter)."""
    schema = frames.head.schema
    usual = np.full(len(caps), np.nan)
    if masks(frames.head):
        usual[: len(schema.match_keys)] = [schema.usual_bits(key) for key in schema.match_keys]
    usual[~(usual < schema.rarest_bits)] = np.nan
    return frames.table(
        {"key": np.arange(len(caps)), "cap": caps, "usual": pa.array(usual, from_pandas=True)},
        {"key": pa.int32(), "cap": pa.int64(), "usual": pa.float64()},
    )


def _proposed(head: Records, blocks: DataFrame, apt: str, most: int) -> DataFrame:
    """One row for each key that two records share."""
    a, b = blocks.alias("a"), blocks.alias("b")
    on = f"a.key = b.key AND a.block = b.block AND a.row < b.row AND ({apt})"
    pairs = a.join(b, F.expr(on)).selectExpr("a.*", "a.row AS left", "b.row AS right", f"({_APT}) AS apt")
    return pairs.selectExpr("left", "right", "apt", *_by_key(head, most))


def _by_key(head: Records, most: int) -> list[str]:
    """In tier `tokens`, of a key that a pair shares: its bit, and what it tells about rarity
    (`deduction.Rarest`); `most`: how many records one person may have."""
    if not masks(head):
        return []
    count, rarest = len(head.schema.key_names), head.schema.rarest_bits
    bits = [
        f"CASE WHEN key BETWEEN {WORD * i} AND {min(count, WORD * (i + 1)) - 1} "
        f"THEN shiftleft(1L, key - {WORD * i}) ELSE 0L END AS shared_{i}"
        for i in range(masks(head))
    ]
    ordinary = int(np.ceil(np.log2(max(2, most))))
    unseen = float(np.log2(max(2, len(head))) + deduction.UNSEEN_BITS)
    # log₂ rounded up, in whole numbers: a floating-point logarithm of a power of two may lie above it
    common = "CASE WHEN size > 1 THEN length(bin(size - 1)) ELSE 0 END"
    more = f"greatest(0, ({common}) - {ordinary})"
    excess = f"CASE WHEN key < {count} THEN CAST(-{more} AS FLOAT) END AS r_excess"
    told = f"CAST(least({rarest}D, {unseen!r}D - {more}) - usual AS FLOAT) AS r_beyond"
    return [*bits, excess, told]


def _asked(frames: Frames, decided: Decided) -> DataFrame:
    pairs = {"left": decided.left, "right": decided.right}
    made = frames.table(pairs, dict.fromkeys(pairs, pa.int64()))
    nothing = [f"0L AS shared_{i}" for i in range(masks(frames.head))]
    rare = [f"CAST(NULL AS FLOAT) AS r_{name}" for name in BY_KEY] if nothing else []
    return made.selectExpr("left", "right", "true AS apt", *nothing, *rare)


def _also_shared(head: Records, pairs: DataFrame, blocks: DataFrame, most: int) -> DataFrame:
    """What pairs share in blocks that proposed none."""
    bare = pairs.select("left", "right", "apt").alias("p")
    met = bare.join(blocks.alias("a"), F.expr("p.left = a.row"))
    met = met.join(blocks.alias("b"), F.expr("p.right = b.row AND a.key = b.key AND a.block = b.block"))
    return met.selectExpr("p.*", "a.*").selectExpr("left", "right", "apt", *_by_key(head, most))


def _once(head: Records, proposed: DataFrame) -> DataFrame:
    shared = [f"bit_or(shared_{i}) AS shared_{i}" for i in range(masks(head))]
    rare = [f"max(r_{name}) AS r_{name}" for name in BY_KEY] if shared else []
    found = [F.expr(e) for e in ("bool_or(apt) AS apt", *shared, *rare)]
    return proposed.groupBy("left", "right").agg(*found)
