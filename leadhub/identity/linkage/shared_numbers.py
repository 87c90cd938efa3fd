"""Numbers that police and prosecutor write of one event: who shares one is one person, slips aside.

- **CJTN**: given with the fingerprints of one arrest of one person.
- **Arrest number**: of one arrest of one person at the police; an office may write it on the cases of all
  who were arrested together.

So a number counts between two feeds where it stands for one record in each: of several nobody could tell
who is meant, and the fields must. Numbers are compared as keyed tokens (`tokens.shared_id_token`).
"""

from __future__ import annotations

from typing import Any

import polars as pl

from leadhub.identity.linkage.decisions import NUMBER

KINDS = ("cjtn", "arrest_no")


def pairs(quoted: pl.DataFrame) -> list[dict[str, Any]]:
    """`quoted`: feed, record_id (of a person), kind, token. Pairs of records of two feeds that share a
    number which stands for nobody else there, as `decisions.known` reads them; sorted, each once."""
    known = quoted.drop_nulls().unique()
    place = ["feed", "kind", "token"]
    once = known.filter(pl.len().over(place) == 1)
    met = once.join(once, on=["kind", "token"], suffix="_other").filter(
        pl.col("feed") < pl.col("feed_other")
    )
    found = met.select(
        left=pl.min_horizontal("record_id", "record_id_other"),
        right=pl.max_horizontal("record_id", "record_id_other"),
    )
    rows = found.unique().sort("left", "right").iter_rows()
    return [{"left": left, "right": right, "verdict": NUMBER} for left, right in rows]
