"""Identifiers → tokens on Spark's executors: `tokens.tokenise`, batch by batch, through `mapInArrow`.

**How the keys get there.** They do not travel through Spark: neither in a closure (which is part of the
plan and of every task), nor as a broadcast variable (which is written to disk), nor in executors'
environments (which stand in Spark's settings, its event log and its pages). What travels is a function that
*reads* the key ring where it runs, as a rule ``partial(keys.load, path)`` of a file of mode 600 that the
operator puts on each executor (a Kubernetes secret, say). The driver reads the ring too, sends its check
value along, and an executor with another ring stops before its first row.

Where nothing shuffles the person table before, identifiers are read, hashed and forgotten within one stage,
and none is spilt to disk. Tokens are shuffled afterwards: a cluster sets `spark.io.encryption.enabled` and
`spark.network.crypto.enabled`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa
from pyspark import cloudpickle
from pyspark.sql import DataFrame
from pyspark.sql import types as t

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.vocabulary import IDENTIFIER_KINDS
from leadhub.identity import tokens
from leadhub.identity.linkage.schema import LinkageSchema, Tier, person
from leadhub.identity.linkage_spark import words


def tokenise(
    identifiers: DataFrame,
    *,
    feed: str,
    keys: Callable[[], Keys],
    schema: LinkageSchema | None = None,
    tier: Tier = "tokens",
) -> DataFrame:
    """Tokens of a person table: rows as `tokens.tokenise` makes them, in no order, tokens as signed words.

    `identifiers` has `record_id` and columns named by identifier kind. `keys` reads the key ring, here
    and on each executor; leadhub is installed there in the same version.

    Raises: TerminalError `column_not_allowed` for a column that is no identifier kind; ValueError where
    `keys` carries the root key with it instead of reading it. While it runs: TerminalError `wrong_key` on
    an executor with another key ring, `linkage_schema_invalid` on one with other normalising rules.
    """
    schema = schema or person()
    unknown = sorted(set(identifiers.columns) - {"record_id", *IDENTIFIER_KINDS})
    if unknown:
        raise TerminalError("column_not_allowed", f"columns {unknown} are no identifier kinds")
    ring = keys()
    if ring.root in cloudpickle.dumps(keys):
        raise ValueError(
            "[keys] carries the root key into the plan; give a function that reads it from a file"
        )
    facts, check = schema.model_dump_json(by_alias=True), ring.check_value()

    def on_executor(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from _tokenised(batches, feed, keys, check, facts, tier)

    return identifiers.mapInArrow(on_executor, _columns(schema, tier))


def _tokenised(
    batches: Iterable[pa.RecordBatch],
    feed: str,
    keys: Callable[[], Keys],
    check: str,
    facts: str,
    tier: Tier,
) -> Iterator[pa.RecordBatch]:
    ring = keys()
    if ring.check_value() != check:
        raise TerminalError(
            "wrong_key", "this executor holds another root key than the driver; give it the same"
        )
    schema = _schema(facts)
    for batch in batches:
        made = tokens.tokenise(
            pa.Table.from_batches([batch]), feed=feed, keys=ring, schema=schema, tier=tier
        )
        yield from words.signed(made).to_batches()


def _schema(facts: str) -> LinkageSchema:
    """Read, not unpickled, so that normalising rules other than the driver's are refused."""
    try:
        return LinkageSchema.model_validate_json(facts)
    except ValueError as error:
        raise TerminalError(
            "linkage_schema_invalid", "this executor has another version of leadhub than the driver"
        ) from error


def _columns(schema: LinkageSchema, tier: Tier) -> t.StructType:
    several = {f"p_{name}" for name, part in schema.parts.items() if part.many}
    word, text = t.LongType(), t.StringType()
    return t.StructType(
        [
            t.StructField(name, text if i < 3 else t.ArrayType(word) if name in several else word)
            for i, name in enumerate(tokens.columns(schema, tier))
        ]
    )
