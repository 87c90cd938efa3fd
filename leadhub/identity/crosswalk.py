"""Clusters of tonight → persons that last: who keeps which person id, and what happened.

A cluster keeps the person id that most of its records had; of equals, the older person's. Where a person
falls apart, those count first who bore the id before others were merged in (`origin`), and of equals who
bore it longer. So a wrong merge leaves no trace once it is undone: whoever was merged away gets the retired
id back. It returns to records that bore it and to nobody else. A person id is dealt once, from a counter
that only grows, and never again. Every change is an event, so that a steward can see, and undo, what
linking did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import keyed
from leadhub.identity.linkage.decisions import ONE
from leadhub.identity.person_ids import person_ids

CROSSWALK = {
    "record_id": pl.String,
    "feed": pl.String,
    "person_id": pl.String,
    "ordinal": pl.Int64,
    "origin": pl.String,
    "origin_ordinal": pl.Int64,
    "since": pl.String,
}
EVENTS = {
    "night": pl.String,
    "event": pl.String,
    "person_id": pl.String,
    "other_person_id": pl.String,
    "records": pl.Int64,
    "decision": pl.Int64,
}


@dataclass(frozen=True)
class Assigned:
    """Tonight's crosswalk, its events, and the counter to be kept with it.

    - `crosswalk`: record_id, feed, person_id, ordinal (of the person: smaller is older), origin,
      origin_ordinal (the person whom a record belonged to before a merge, for as long as that id is
      retired; else its person; null where it joined a person who had been merged), since (the night
      from which it bears its person's id); sorted by record_id.
    - `events`: night, event, person_id, other_person_id, records, decision (number of the steward's
      decision that caused it, if any):
      `new` a person appears with so many records;
      `merge` all records that other_person_id still had went to person_id, and that id is retired;
      `split` records left other_person_id, who lives on, for person_id;
      `reversal` the same, and person_id is the retired id that they bore before a merge;
      `gone` no record of person_id is left (records: how many there were).
    - `counter`: the next ordinal to be dealt.
    """

    crosswalk: pa.Table
    events: pa.Table
    counter: int


def assign(
    previous: pa.Table | None,
    clusters: pa.Table,
    *,
    night: str,
    counter: int,
    keys: Keys,
    decided: list[dict[str, Any]] | None = None,
) -> Assigned:
    """`clusters`: record_id, feed, cluster, as `linkage.link` gives them. `previous`: the crosswalk of
    the night before. `counter`: the next ordinal, 0 at the very first. `decided`: what stewards said, for
    the events alone (`decisions.known`; number).

    Raises: TerminalError `state_invalid` where the counter lies below an ordinal that was dealt.
    """
    today = keyed.to_frame(clusters).select("record_id", "feed", "cluster")
    before = _known(previous)
    if before.filter(pl.col("ordinal") >= counter).height:
        raise TerminalError(
            "state_invalid", "the person counter is older than the crosswalk; restore both from one night"
        )
    stood = today.join(before.drop("feed"), on="record_id", how="left")
    kept = _settle(_claims(stood))
    back = _settle(_former(stood, before, kept))
    dealt = _deal(today, pl.concat([kept, back]), counter, keys)
    person = pl.concat([kept, back, dealt])
    stands = stood.join(person, on="cluster", suffix="_now")
    crosswalk = _origins(stands, night).select(CROSSWALK.keys()).sort("record_id")
    events = _events(before, stands)
    events = events.join(_causes(stands, decided or []), on=["person_id", "other_person_id"], how="left")
    told = events.select(pl.lit(night).alias("night"), *[c for c in EVENTS if c != "night"])
    ordered = told.sort("event", "person_id", "other_person_id", nulls_last=True)
    return Assigned(keyed.to_arrow(crosswalk), keyed.to_arrow(ordered), counter + dealt.height)


def _known(previous: pa.Table | None) -> pl.DataFrame:
    if previous is None:
        return pl.DataFrame(schema=CROSSWALK)
    table = keyed.to_frame(previous)
    if "origin" not in table.columns:
        table = table.with_columns(origin="person_id", origin_ordinal="ordinal", since=pl.lit(""))
    return table.select(CROSSWALK.keys())


def _claims(stood: pl.DataFrame) -> pl.DataFrame:
    """cluster, person_id, ordinal: persons of the night before with records in a cluster, the strongest
    claim first."""
    own = (pl.col("origin") == pl.col("person_id")).fill_null(value=False)
    return _ranked(stood.filter(pl.col("person_id").is_not_null()), own.sum())


def _former(stood: pl.DataFrame, before: pl.DataFrame, kept: pl.DataFrame) -> pl.DataFrame:
    """The same of retired persons, in clusters that keep none."""
    without = stood.join(kept, on="cluster", how="anti").drop("person_id", "ordinal")
    retired = without.rename({"origin": "person_id", "origin_ordinal": "ordinal"}).filter(
        pl.col("person_id").is_not_null()
    )
    return _ranked(retired.join(before, on="person_id", how="anti"), pl.len())


def _ranked(stood: pl.DataFrame, own: pl.Expr) -> pl.DataFrame:
    return (
        stood.group_by("cluster", "person_id", "ordinal")
        .agg(own.alias("own"), pl.len().alias("records"), pl.col("since").min())
        .sort("own", "records", "ordinal", "since", "cluster", descending=[True, True] + 3 * [False])
        .select("cluster", "person_id", "ordinal")
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


def _origins(stands: pl.DataFrame, night: str) -> pl.DataFrame:
    """Tonight's crosswalk. A retired id is kept with the person to whom most of its records went, and not
    with stragglers: it may return to one place alone."""
    now, origin = pl.col("person_id_now"), pl.col("origin")
    mine = (origin == now).fill_null(value=False)
    # few persons have a record that is not theirs from the beginning
    mixed = now.is_in(stands.filter(~mine)["person_id_now"].unique().implode())
    some = stands.filter(mixed)
    others = some.filter(~mine & origin.is_not_null())
    holder = (
        others.join(stands, left_on="origin", right_on="person_id_now", how="anti")
        .group_by("origin", "person_id_now", "ordinal_now")
        .len()
        .sort(["len", "ordinal_now"], descending=[True, False])
        .unique("origin", keep="first", maintain_order=True)
        .select("origin", "person_id_now", holds=pl.lit(value=True))
    )
    some = some.join(holder, on=["origin", "person_id_now"], how="left")
    stays = mine | pl.col("holds").fill_null(value=False)
    some = some.with_columns(pl.when(stays).then(c).alias(c) for c in ("origin", "origin_ordinal"))
    merged = (origin != now).any().over(now)
    joins = origin.is_null().all().over(now) | (pl.col("person_id").is_null() & ~merged)
    some = some.with_columns(
        origin=pl.when(joins).then(now).otherwise("origin"),
        origin_ordinal=pl.when(joins).then("ordinal_now").otherwise("origin_ordinal"),
    )
    return pl.concat([stands.filter(~mixed), some.drop("holds")]).with_columns(
        since=pl.when(pl.col("person_id") == now).then("since").otherwise(pl.lit(night)),
        person_id=now,
        ordinal="ordinal_now",
    )


def _events(before: pl.DataFrame, stands: pl.DataFrame) -> pl.DataFrame:
    """event, person_id, other_person_id, records."""
    living = stands["person_id_now"].unique().implode()
    came = pl.col("person_id").is_null()
    moved = (
        stands.filter(pl.col("person_id") != pl.col("person_id_now"))
        .group_by(person_id="person_id_now", other_person_id="person_id")
        .agg(
            pl.len().cast(pl.Int64).alias("records"),
            back=(pl.col("origin") == pl.col("person_id_now")).any(),
        )
    )
    kind = (
        pl.when("back")
        .then(pl.lit("reversal"))
        .when(pl.col("other_person_id").is_in(living))
        .then(pl.lit("split"))
        .otherwise(pl.lit("merge"))
    )
    fresh = (
        stands.filter(came)
        .join(stands.filter(~came), on="cluster", how="anti")
        .group_by(person_id="person_id_now")
        .agg(pl.len().cast(pl.Int64).alias("records"))
        .with_columns(event=pl.lit("new"))
    )
    vanished = (
        before.filter(~pl.col("person_id").is_in(living))
        .join(moved.select(person_id="other_person_id"), on="person_id", how="anti")
        .group_by("person_id")
        .agg(pl.len().cast(pl.Int64).alias("records"))
        .with_columns(event=pl.lit("gone"))
    )
    empty = pl.DataFrame(schema={c: t for c, t in EVENTS.items() if c not in ("night", "decision")})
    moves = moved.with_columns(event=kind).drop("back")
    return pl.concat([empty, fresh, moves, vanished], how="diagonal")


def _causes(stands: pl.DataFrame, decided: list[dict[str, Any]]) -> pl.DataFrame:
    """person_id, other_person_id, decision: the last decision about one of the records that moved which
    came true in that move."""
    schema = {"left": pl.String, "right": pl.String, "verdict": pl.String, "number": pl.Int64}
    said = pl.DataFrame([{k: d[k] for k in schema} for d in decided], schema=schema)
    last = said.unique(["left", "right"], keep="last")
    where = stands.select("record_id", was="person_id", now="person_id_now")
    ends = [last, last.rename({"left": "right", "right": "left"})]
    both = (
        pl.concat(ends, how="diagonal")
        .join(where, left_on="left", right_on="record_id")
        .join(where, left_on="right", right_on="record_id", suffix="_there")
    )
    was_one = pl.col("was") == pl.col("was_there")
    is_one = pl.col("now") == pl.col("now_there")
    came_true = pl.when(pl.col("verdict") == ONE).then(is_one & ~was_one).otherwise(was_one & ~is_one)
    return (
        both.filter(came_true & (pl.col("was") != pl.col("now")))
        .group_by(person_id="now", other_person_id="was")
        .agg(pl.col("number").max().alias("decision"))
    )
