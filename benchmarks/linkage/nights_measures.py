"""What happens to person ids from night to night, beside the truth.

- A person's id *changed* where a record that was there before stands under another id. It had a *cause*
  where something that hangs together with that person's records, by a cluster or a scored pair of either
  night, is new, was changed or withdrawn, or was decided about. Without: `uncaused`.
- An id's *owner* is the true person with most of its records; of equals, whoever of them owned it before,
  or all.
- `reused`: none of the true persons who bore an id when it last stood has a record under it tonight.
- `parted`: an id got another owner, while records of the one before, which bore it the night before, live
  on under another id: two persons were falsely one, and the id stayed with the other of them.
- `outgrown`: an id got another owner otherwise: linking takes two persons for one and the other's records
  became more, or the first one's are gone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import crosswalk, linkage
from leadhub.identity.linkage.graph import components

COUNTED = ("merge", "split", "reversal", "new", "gone")


@dataclass
class Watch:
    """Remembers the night before, and who ever owned which id."""

    stood: pl.DataFrame | None = None
    pairs: pl.DataFrame | None = None
    clusters: pl.DataFrame | None = None
    owners: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"person_id": pl.String, "owner": pl.Int64})
    )
    bearers: pl.DataFrame = field(
        default_factory=lambda: pl.DataFrame(schema={"person_id": pl.String, "truth": pl.Int64})
    )

    def night(
        self, assigned: crosswalk.Assigned, linked: linkage.Linked, truth: pl.DataFrame, touched: set[str]
    ) -> dict[str, Any]:
        """records, persons, quality, events by kind, and what `compare` finds."""
        stands = _frame(assigned.crosswalk).select("record_id", "person_id").join(truth, on="record_id")
        pairs = _frame(linked.pairs).select("left", "right")
        clusters = _frame(linked.clusters).select(left="record_id", right="cluster")
        told = _frame(assigned.events)["event"].to_list()
        return {
            "records": stands.height,
            "persons": stands["person_id"].n_unique(),
            **quality(stands),
            **{kind: told.count(kind) for kind in COUNTED},
            **self.compare(stands, pairs, clusters, touched),
        }

    def compare(
        self, stands: pl.DataFrame, pairs: pl.DataFrame, clusters: pl.DataFrame, touched: set[str]
    ) -> dict[str, int]:
        """changed, uncaused, reused, parted, outgrown; tonight is the night before of the next call."""
        found = self._changes(stands, [pairs, clusters], touched) | self._owners(stands)
        self.stood, self.pairs, self.clusters = stands, pairs, clusters
        return found

    def _changes(
        self, stands: pl.DataFrame, tonight: list[pl.DataFrame], touched: set[str]
    ) -> dict[str, int]:
        if self.stood is None:
            return {"changed": 0, "uncaused": 0}
        both = self.stood.join(stands.select("record_id", now="person_id"), on="record_id")
        other = both.filter(pl.col("person_id") != pl.col("now"))
        reason = _hangs_together(pl.concat([self.pairs, self.clusters, *tonight]), touched)
        for_nothing = other.filter(~pl.col("record_id").is_in(reason.implode()))
        return {"changed": other["person_id"].n_unique(), "uncaused": for_nothing["person_id"].n_unique()}

    def _owners(self, stands: pl.DataFrame) -> dict[str, int]:
        counted = stands.group_by("person_id", "truth").len()
        most = counted.filter(pl.col("len") == pl.col("len").max().over("person_id"))
        most = most.select("person_id", owner="truth")
        stay = most.join(self.owners, on=["person_id", "owner"])
        known = self.owners.join(stay, on="person_id", how="anti")
        other = known.join(most.select("person_id").unique(), on="person_id")
        before = stands.clear() if self.stood is None else self.stood
        bore = before.select("record_id", "person_id", owner="truth")
        left = (
            other.join(bore, on=["person_id", "owner"])
            .join(stands.select("record_id", now="person_id"), on="record_id")
            .filter(pl.col("now") != pl.col("person_id"))
        )
        parted = left["person_id"].n_unique()
        for_others = most.join(stay, on="person_id", how="anti")
        gone = known.join(most, on="person_id", how="anti")
        self.owners = pl.concat([stay, for_others, gone])
        bearers = counted.select("person_id", "truth")
        again = bearers.join(self.bearers, on="person_id", how="semi")
        shared = again.join(self.bearers, on=["person_id", "truth"])
        reused = again.join(shared, on="person_id", how="anti")
        earlier = self.bearers.join(bearers, on="person_id", how="anti")
        self.bearers = pl.concat([earlier, bearers])
        return {
            "reused": reused["person_id"].n_unique(),
            "parted": parted,
            "outgrown": other["person_id"].n_unique() - parted,
        }


def quality(stands: pl.DataFrame) -> dict[str, float]:
    """Precision, recall and F1 over pairs of records that bear one id."""

    def pairs(*by: str) -> int:
        size = stands.group_by(by).len()["len"].cast(pl.Int64)
        return int((size * (size - 1) // 2).sum())

    right, said, true = pairs("person_id", "truth"), pairs("person_id"), pairs("truth")
    figures = {"precision": right / max(1, said), "recall": right / max(1, true)}
    return {name: round(x, 5) for name, x in (figures | {"f1": 2 * right / max(1, said + true)}).items()}


def total(nights: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over all nights after the first, shares of person-nights, and F1 at both ends."""
    later = nights[1:]
    sums = {
        name: sum(n[name] for n in later)
        for name in (*COUNTED, "changed", "uncaused", "reused", "parted", "outgrown")
    }
    person_nights = sum(n["persons"] for n in nights[:-1])
    return sums | {
        "person-nights": person_nights,
        "share changed": round(sums["changed"] / max(1, person_nights), 6),
        "share changed without cause": round(sums["uncaused"] / max(1, person_nights), 6),
        "decisions that hold, last night": f"{nights[-1]['decisions'] - nights[-1]['broken']}"
        f" of {nights[-1]['decisions']}",
        "f1, first and last night": (nights[0]["f1"], nights[-1]["f1"]),
        "least f1": min(n["f1"] for n in nights),
        "nights linked by changes": sum(n["linked"] != "all" and n["linked"] != "grown" for n in later),
    }


def _hangs_together(edges: pl.DataFrame, touched: set[str]) -> pl.Series:
    """Records that hang together with a touched one."""
    names = pl.concat([edges["left"], edges["right"], pl.Series(list(touched), dtype=pl.String)]).unique()
    row = pl.DataFrame({"name": names, "row": np.arange(len(names), dtype=np.int64)})
    ends = [
        edges.select(name=side).join(row, on="name", how="left", maintain_order="left")["row"].to_numpy()
        for side in ("left", "right")
    ]
    label = components(len(names), *ends)
    reached = np.unique(label[row.filter(pl.col("name").is_in(list(touched)))["row"].to_numpy()])
    return row["name"].filter(pl.Series(np.isin(label, reached)))


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))
