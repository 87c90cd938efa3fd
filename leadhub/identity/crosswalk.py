"""Clusters of tonight → persons that last: who keeps which person id, and what happened.

A cluster keeps the person id that most of its records had; of equals, the older person's. A person id
is dealt once, from a counter that only grows, and never again: ids of merged and vanished persons are
not reused. Every change is an event, so that a steward can see, and undo, what linking did.
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import keyed
from leadhub.identity.person_ids import person_ids

CROSSWALK = {
    "record_id": pl.String,
    "feed": pl.String,
    "person_id": pl.String,
    "ordinal": pl.Int64,
}
EVENTS = {
    "night": pl.String,
    "event": pl.String,
    "person_id": pl.String,
    "other_person_id": pl.String,
    "records": pl.Int64,
}


@dataclass(frozen=True)
class Assigned:
    """Tonight's crosswalk, its events, and the counter to be kept with it.

    - `crosswalk`: record_id, feed, person_id, ordinal (of the person: smaller is older); sorted by
      record_id.
    - `events`: night, event, person_id, other_person_id, records:
      `new` a person appears with so many records;
      `merge` all records that other_person_id still had went to person_id, and that id is retired;
      `split` records left other_person_id, who lives on, for person_id;
      `gone` no record of person_id is left (records: how many there were).
    - `counter`: the next ordinal to be dealt.
    """

    crosswalk: pa.Table
    events: pa.Table
    counter: int


def assign(
    previous: pa.Table | None, clusters: pa.Table, *, night: str, counter: int, keys: Keys
) -> Assigned:
    """`clusters`: record_id, feed, cluster, as `linkage.link` gives them. `previous`: the crosswalk of
    the night before. `counter`: the next ordinal, 0 at the very first.

    Raises: TerminalError `state_invalid` where the counter lies below an ordinal that was dealt.
    """
    today = pl.DataFrame(pl.from_arrow(clusters)).select("record_id", "feed", "cluster")
    before = (
        pl.DataFrame(schema=CROSSWALK)
        if previous is None
        else pl.DataFrame(pl.from_arrow(previous)).select(CROSSWALK.keys())
    )
    if before.filter(pl.col("ordinal") >= counter).height:
        raise TerminalError(
            "state_invalid", "the person counter is older than the crosswalk; restore both from one night"
        )
    claims = _claims(today, before)
    kept = _settle(claims)
    dealt = _deal(today, kept, counter, keys)
    person = pl.concat([kept, dealt]).select("cluster", "person_id", "ordinal")
    crosswalk = today.join(person, on="cluster", how="left").select(CROSSWALK.keys()).sort("record_id")
    events = _events(before, crosswalk, claims, person).select(
        pl.lit(night).alias("night"), *[c for c in EVENTS if c != "night"]
    )
    return Assigned(keyed.to_arrow(crosswalk), keyed.to_arrow(events), counter + dealt.height)


def _claims(today: pl.DataFrame, before: pl.DataFrame) -> pl.DataFrame:
    """cluster, person_id, ordinal, records: how many records of a cluster belonged to which person."""
    return (
        today.join(before.select("record_id", "person_id", "ordinal"), on="record_id")
        .group_by("cluster", "person_id", "ordinal")
        .agg(pl.len().cast(pl.Int64).alias("records"))
        .sort(["records", "ordinal", "cluster"], descending=[True, False, False])
    )


def _settle(claims: pl.DataFrame) -> pl.DataFrame:
    """Which cluster keeps which person: the strongest claim first, each cluster and person once."""
    contested = claims.filter((pl.len().over("cluster") > 1) | (pl.len().over("person_id") > 1))
    clusters, persons, won = set(), set(), []
    for cluster, person in contested.select("cluster", "person_id").iter_rows():
        if cluster not in clusters and person not in persons:
            clusters.add(cluster)
            persons.add(person)
            won.append((cluster, person))
    winners = pl.DataFrame(won, schema={"cluster": pl.String, "person_id": pl.String}, orient="row")
    pair = ["cluster", "person_id"]
    return pl.concat(
        [
            claims.join(contested, on=pair, how="anti"),
            claims.join(winners, on=pair, how="semi"),
        ]
    ).select("cluster", "person_id", "ordinal")


def _deal(today: pl.DataFrame, kept: pl.DataFrame, counter: int, keys: Keys) -> pl.DataFrame:
    """New person ids for clusters that keep none, in order of the clusters' names."""
    names = today.select("cluster").unique().join(kept, on="cluster", how="anti").sort("cluster")
    return names.with_columns(
        person_id=pl.Series(person_ids(counter, names.height, keys), dtype=pl.String),
        ordinal=pl.int_range(counter, counter + names.height, dtype=pl.Int64),
    )


def _events(
    before: pl.DataFrame, after: pl.DataFrame, claims: pl.DataFrame, person: pl.DataFrame
) -> pl.DataFrame:
    living = after.select("person_id").unique()
    moved = (
        claims.rename({"person_id": "other_person_id"})
        .join(person.select("cluster", "person_id"), on="cluster")
        .filter(pl.col("person_id") != pl.col("other_person_id"))
    )
    left = moved.select("other_person_id").unique()
    lives_on = pl.col("other_person_id").is_in(living.get_column("person_id").implode())
    moves = moved.with_columns(event=pl.when(lives_on).then(pl.lit("split")).otherwise(pl.lit("merge")))
    origin = claims.select("cluster").unique()
    fresh = (
        after.join(person.join(origin, on="cluster", how="anti"), on="person_id", how="semi")
        .group_by("person_id")
        .agg(pl.len().cast(pl.Int64).alias("records"))
        .with_columns(event=pl.lit("new"))
    )
    vanished = (
        before.join(living, on="person_id", how="anti")
        .join(left.rename({"other_person_id": "person_id"}), on="person_id", how="anti")
        .group_by("person_id")
        .agg(pl.len().cast(pl.Int64).alias("records"))
        .with_columns(event=pl.lit("gone"))
    )
    columns = [c for c in EVENTS if c != "night"]
    empty = pl.DataFrame(schema={c: EVENTS[c] for c in columns})
    together = pl.concat([empty, fresh, moves, vanished], how="diagonal").select(columns)
    return together.sort("event", "person_id", "other_person_id", nulls_last=True)
