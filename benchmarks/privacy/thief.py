"""What a thief of the lake holds, made by the production code: token files, facts, scored pairs, persons.

| adversary | has | sees |
|---|---|---|
| `disks` | the lake's files | core tables (sex, race), crosswalk; tokens and pairs encrypted |
| `operator` | the storage key too | tokens, scored pairs |
| `everything` | the linkage key too | whether a guess is right |
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.privacy.roll import People
from leadhub.foundation.keys import Keys
from leadhub.foundation.lake import Lake
from leadhub.identity import crosswalk, linkage, pseudonymise, tokens
from leadhub.identity.linkage import clusters, evaluation, graph
from leadhub.identity.linkage.records import Records, encode
from leadhub.identity.linkage.schema import LinkageSchema, Tier, person
from schemas import police
from schemas.contract import facts

NIGHT = "2026-01-01"
ADVERSARIES = {
    "disks": "the lake's files, no key",
    "operator": "the lake and the storage key",
    "everything": "the lake, storage and linkage key",
}
#: the attacker's own key: any will do
MIRROR = Keys(bytes(range(32, 64)))


@dataclass(frozen=True)
class Held:
    """Of the first feed, rows in the order of its record ids: `tokens` as read back with the storage key,
    `core` (record_id, sex, race) as everybody with the disks reads it. Of all feeds: `pairs`, `persons`
    (record_id, feed, person_id); `files`: name → bytes of token files as they lie on the disk.

    For the judge alone: `order`, the rows of the clear text, and `quality`, how well the night linked."""

    tier: Tier
    schema: LinkageSchema
    tokens: pa.Table
    core: pl.DataFrame
    pairs: pl.DataFrame
    persons: pl.DataFrame
    files: dict[str, bytes]
    order: np.ndarray
    quality: dict[str, float]


def mirror(people: People, tier: Tier, schema: LinkageSchema, keys: Keys = MIRROR) -> pa.Table:
    """The token table of a roll under a key; row i is its row i."""
    ids = pl.format("m{}", pl.int_range(len(people)).cast(pl.String).str.zfill(9))
    table = people.identifiers.select(ids.alias("record_id"), pl.all()).to_arrow()
    return _tokens(table, "mirror", keys, tier, schema)


def _tokens(identifiers: pa.Table, feed: str, keys: Keys, tier: Tier, schema: LinkageSchema) -> pa.Table:
    return tokens.stored(tokens.tokenise(identifiers, feed=feed, keys=keys, schema=schema, tier=tier))


def hold(
    feeds: list[People],
    *,
    keys: Keys,
    tier: Tier = "tokens",
    schema: LinkageSchema | None = None,
) -> Held:
    """The lake after a night over police feeds that hold each person once; the first is the one
    attacked."""
    schema = schema or person()
    with tempfile.TemporaryDirectory() as var:
        lake = Lake(Path(var), keys)
        made, cores, orders, names = [], [], [], []
        for number, people in enumerate(feeds):
            core, table, order = _pseudonymous(people, f"police{number}", keys, tier, schema)
            names.append(lake.write_tokens(f"police{number}", table))
            made, cores, orders = [*made, lake.read_tokens(names[-1])], [*cores, core], [*orders, order]
        files = {n: (lake.root / "tokens" / n).read_bytes() for n in names}
    alone = frozenset(f"police{n}" for n in range(len(feeds)))
    # the steps of `linkage.link`, whose weights quality is judged by
    records = encode(pa.concat_tables(made), alone, schema)
    weighed = linkage.weigh(records)
    status, label = linkage.decide(records, weighed)
    clusters = linkage.clustered(records, label)
    assigned = crosswalk.assign(None, clusters, night=NIGHT, counter=0, keys=keys)
    return Held(
        tier,
        schema,
        made[0],
        cores[0],
        pl.DataFrame(pl.from_arrow(linkage.scored(records, weighed, status))),
        pl.DataFrame(pl.from_arrow(assigned.crosswalk)),
        files,
        orders[0],
        _quality(records, weighed, np.concatenate([p.person[o] for p, o in zip(feeds, orders)]), made),
    )


def _quality(
    records: Records, weighed: linkage.Weighed, person: np.ndarray, made: list[pa.Table]
) -> dict[str, float]:
    """F1 over all true pairs at the threshold that needs no labels, as `leadhub linkage evaluate`
    judges."""
    ids = pl.concat([pl.Series(pl.from_arrow(t.column("record_id"))) for t in made])
    entity = np.unique(person[ids.arg_sort().to_numpy()], return_inverse=True)[1]
    match = entity[weighed.left] == entity[weighed.right]
    total = evaluation.true_pairs(entity, records.feeds, across=True)
    kept = graph.assign(records, weighed.left, weighed.right, weighed.bits)
    raw = evaluation.judge(weighed.bits, match, total, chosen_bits=clusters.LINK_BITS)
    needed = clusters.LINK_BITS - weighed.model.raise_bits
    one = evaluation.judge(weighed.bits[kept], match[kept], total, chosen_bits=needed)
    return {"raw": raw.chosen.f1, "one_to_one": one.chosen.f1}


def _pseudonymous(
    people: People, feed: str, keys: Keys, tier: Tier, schema: LinkageSchema
) -> tuple[pl.DataFrame, pa.Table, np.ndarray]:
    """Facts and tokens of a feed by record id, and the clear-text row of each."""
    contract = facts(police.Persons)
    count = len(people)
    stated = people.facts.select(
        pl.col("sex").fill_null("U"), pl.col("race").fill_null("UNKNOWN").alias("race_ethnicity")
    )
    given = people.identifiers.drop("sex", strict=False).hstack(stated)
    blank = [pl.lit(None, pl.String).alias(c.name) for c in contract.columns if c.name not in given.columns]
    rows = given.with_columns(blank).with_columns(
        person_no=pl.format("P{}", pl.int_range(count)),
        race_source=pl.lit("RECORD"),
        updated_at=pl.lit(datetime(2026, 1, 1, tzinfo=UTC)),
    )
    table = rows.to_arrow()
    made = pseudonymise.pseudonymise(table, contract, feed=feed, agency="police", night=NIGHT, keys=keys)
    ids = pl.Series(pl.from_arrow(pseudonymise.record_ids(table, contract, feed=feed, keys=keys)))
    identifiers = people.identifiers.select(ids.alias("record_id"), pl.all()).to_arrow()
    table = _tokens(identifiers, feed, keys, tier, schema)
    core = pl.DataFrame(pl.from_arrow(made.rows)).select(
        "record_id",
        pl.col("sex").replace("U", None),
        pl.col("race_ethnicity").replace("UNKNOWN", None).alias("race"),
    )
    return core, table, ids.arg_sort().to_numpy()
