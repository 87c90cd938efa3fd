"""Token tables of all feeds on Spark, numbered as `records.encode` numbers them.

The driver holds a `Records` without tokens (id, feed, whether that holds each person once, NYSID token:
some 60 bytes a record), so that whatever looks at the structure of the sources (`graph`, `clusters`) is the
single-machine engine's own code. All tokens stay on the executors.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from leadhub.identity.linkage import records
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.schema import LinkageSchema, Tier
from leadhub.identity.linkage_spark import words
from leadhub.identity.tokens import NYSID_COLUMN


@dataclass(frozen=True)
class Frames:
    """`head`: records by row number, without tokens. `rows`: row, feed, alone, nysid, and the tokens, null
    where missing: `k_<number of the match key>` or `p_<part>`, an array where a part has several values."""

    head: Records
    rows: DataFrame
    _kept: list[DataFrame] = field(default_factory=list)

    @property
    def spark(self) -> SparkSession:
        return self.rows.sparkSession

    def keep(self, frame: DataFrame) -> DataFrame:
        """Have Spark keep a frame that is asked more than once."""
        self._kept.append(frame.persist())
        return frame

    def release(self) -> None:
        while self._kept:
            self._kept.pop().unpersist()

    def table(self, columns: dict[str, np.ndarray], types: dict[str, pa.DataType]) -> DataFrame:
        """A small table of the driver's as a frame."""
        arrays = {name: pa.array(columns[name]).cast(kind) for name, kind in types.items()}
        return self.spark.createDataFrame(pa.table(arrays))


def prepare(
    table: DataFrame, one_per_person: frozenset[str], schema: LinkageSchema, tier: Tier | None = None
) -> Frames:
    """`table`: token tables of all feeds, one below the other (`tokens.columns`; `words.signed`).

    Raises: TerminalError `state_invalid` as `records.encode` does.
    """
    said = words.unsigned(table.select("record_id", "feed", "marker", NYSID_COLUMN).toArrow())
    head = records.encode(said, one_per_person, schema, tier)
    numbers = pa.table(
        {
            "record_id": head.ids.to_arrow().cast(pa.string()),
            "row": pa.array(np.arange(len(head)), pa.int64()),
            "feed_at": pa.array(head.feeds, pa.int32()),
            "alone": pa.array(head.alone, pa.bool_()),
        }
    )
    numbered = table.join(table.sparkSession.createDataFrame(numbers), "record_id")
    markers = sorted(set(said["marker"].to_pylist()))
    rows = numbered.select(
        "row",
        F.col("feed_at").alias("feed"),
        "alone",
        F.col(NYSID_COLUMN).alias("nysid"),
        *_tokens(head, set(table.columns), _apart(markers)),
    )
    frames = Frames(head, rows)
    frames.keep(rows)
    return frames


def _tokens(head: Records, there: set[str], apart: Column | None) -> list[Column]:
    """Token columns; one that a table from before its key or part does not have is all missing."""
    found = []
    for i, name in enumerate(head.schema.columns(head.tier)):
        part = head.schema.parts.get(name.removeprefix("p_"))
        many = head.tier == "fields" and part is not None and part.many
        kind = "array<bigint>" if many else "bigint"
        token = F.col(f"`{name}`") if name in there else F.lit(None).cast(kind)
        if many:
            # the first is the record's own value: without it, it has none
            token = F.when(F.get(token, F.lit(0)).isNotNull(), token)
        if apart is not None:
            token = _mixed(token, apart) if many else token.bitwiseXOR(apart)
        found.append(token.alias(name if head.tier == "fields" else f"k_{i}"))
    return found


def _mixed(tokens: Column, apart: Column) -> Column:
    return F.transform(tokens, lambda token: token.bitwiseXOR(apart))


def _apart(markers: list[str]) -> Column | None:
    """Each record's marker as a word, for tokens under different markers never to meet."""
    found = records.apart(markers)
    if found is None:
        return None
    word: Column = F.lit(None).cast("bigint")
    for marker, value in zip(markers, found.view(np.int64).tolist()):
        word = F.when(F.col("marker") == marker, F.lit(value)).otherwise(word)
    return word
