"""What the results of linking tell of a record. The crosswalk, in clear: which records are one person.
Scored pairs, encrypted as tokens are: how far each field agrees, and a weight that depends on how rare the
shared values are."""

from __future__ import annotations

import polars as pl

from benchmarks.privacy.roll import People
from benchmarks.privacy.thief import MIRROR, Held, hold
from leadhub.identity.linkage.schema import LinkageSchema, Tier


def features(pairs: pl.DataFrame, ids: pl.Series, schema: LinkageSchema) -> pl.DataFrame:
    """Of each record, in the order of `ids`: in how many pairs it stands, and weight, status and evidence,
    field by field, of the heaviest."""
    both = pl.concat(
        [pairs.rename({one: "id"}).drop(other) for one, other in (("left", "right"), ("right", "left"))]
    )
    best = (
        both.sort("id", "weight_bits", descending=[False, True]).group_by("id", maintain_order=True).first()
    )
    count = both.group_by("id").len("pairs")
    shown = pl.DataFrame({"id": ids}).join(best, on="id", how="left", maintain_order="left")
    shown = shown.join(count, on="id", how="left", maintain_order="left")
    # what is not there tells something too: a record without a pair, a pair without a field
    fields = {
        f: pl.col("evidence").str.extract(rf"(?:^|, ){f} ([^,]*)").fill_null("none") for f in schema.fields
    }
    facts = {
        "pairs": pl.col("pairs").fill_null(0),
        "status": pl.col("status").fill_null("none"),
        "weight": (pl.col("weight_bits") * 2).round(0).fill_null(-999),
    }
    told = {name: expression.hash(seed=0) for name, expression in {**facts, **fields}.items()}
    return shown.select(**told)


def company(persons: pl.DataFrame, ids: pl.Series) -> pl.DataFrame:
    """Of each record, in the order of `ids`: how many records of each feed its person has, by the
    crosswalk."""
    sizes = persons.group_by("person_id").agg(pl.col("feed").sort().str.join(" ").hash(seed=0).alias("who"))
    of = persons.join(sizes, on="person_id")
    shown = pl.DataFrame({"record_id": ids}).join(of, on="record_id", how="left", maintain_order="left")
    return shown.select("who")


def mirrored(feeds: list[People], tier: Tier, schema: LinkageSchema) -> tuple[Held, pl.Series]:
    """The lake of an attacker who has the text of all feeds, and its ids in the order of the first feed's
    rows."""
    held = hold(feeds, keys=MIRROR, tier=tier, schema=schema)
    ids = pl.Series(pl.from_arrow(held.tokens.column("record_id")))
    return held, ids[held.order.argsort()]
