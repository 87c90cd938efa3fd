"""Do the decisions of stewards hold, and does linking them anew give the persons of the last night?"""

from __future__ import annotations

from typing import Any

import polars as pl

from leadhub.foundation.errors import TerminalError
from leadhub.identity import linkage, tokens
from leadhub.identity.linkage import decisions
from leadhub.steps import linking, models, review
from leadhub.steps.site import Site


def check(site: Site) -> dict[str, Any]:
    """night; decisions (that counted then and whose records are both there), waiting (for the next night),
    broken (each: number, pair, verdict, by, reason; reason None: there is no good one), replayed: linking
    everything with them gives the same persons.

    Raises: TerminalError `night_incomplete` before the first night.
    """
    nights = site.lake.nights()
    if not nights:
        raise TerminalError("night_incomplete", "no night is committed yet; there is nothing to check")
    manifest = site.lake.night(nights[-1]) or {}
    every, counted = review.made(site), manifest["linkage"]["decisions"]
    made = every[:counted]
    crosswalk = site.lake.read("crosswalk", manifest["tables"]["crosswalk"])
    held = decisions.held(crosswalk, made).filter(pl.col("holds").is_not_null())
    tonight = linking.gather(site, manifest["feeds"], manifest["linkage"])
    used = models.used(site, manifest)
    again = linkage.link(
        tonight.table,
        one_per_person=frozenset(manifest["linkage"]["one_per_person"]),
        model=used.model,
        limits=used.limits,
        tier=site.settings.linkage_tier,
        decided=tonight.saying(made),
    )
    persons = pl.DataFrame(pl.from_arrow(crosswalk)).select("record_id", "person_id")
    clusters = pl.DataFrame(pl.from_arrow(again.clusters)).select("record_id", "cluster")
    number = pl.DataFrame(pl.from_arrow(tonight.table.select(["record_id", tokens.NYSID_COLUMN])))
    stands = persons.join(number, on="record_id", how="left")
    by_number = {d["number"]: d for d in made}
    broken = [
        {k: by_number[row["number"]][k] for k in ("number", "pair", "verdict", "by")}
        | {"reason": _reason(row, stands, held, tonight.barred)}
        for row in held.filter(~pl.col("holds")).to_dicts()
    ]
    return {
        "night": nights[-1],
        "decisions": held.height,
        "waiting": len(every) - counted,
        "broken": broken,
        "replayed": _same(persons, clusters),
    }


def _reason(row: dict[str, Any], stands: pl.DataFrame, held: pl.DataFrame, barred: set[str]) -> str | None:
    """Why two records that a steward took for one person are two."""
    if row["verdict"] != decisions.ONE:
        return None
    if {row["left"], row["right"]} & barred:
        return "one of their records may not be linked"
    two = stands.filter(pl.col("record_id").is_in([row["left"], row["right"]]))["person_id"]
    both = stands.filter(pl.col("person_id").is_in(two.implode()))
    if both[tokens.NYSID_COLUMN].drop_nulls().n_unique() > 1:
        return "their records have different NYSIDs"
    among = both["record_id"].implode()
    other = held.filter(
        pl.col("holds")
        & (pl.col("verdict") == decisions.TWO)
        & pl.col("left").is_in(among)
        & pl.col("right").is_in(among)
    )
    numbers = ", ".join(str(n) for n in other["number"])
    return f"decision {numbers} holds records of theirs apart" if numbers else None


def _same(persons: pl.DataFrame, clusters: pl.DataFrame) -> bool:
    """Every person is one cluster and every cluster one person, of the same records."""
    both = persons.join(clusters, on="record_id", how="full", coalesce=True)
    pairs = both.select("person_id", "cluster").unique()
    alike = pairs["person_id"].is_unique().all() and pairs["cluster"].is_unique().all()
    return bool(alike and not both["person_id"].null_count() and not both["cluster"].null_count())
