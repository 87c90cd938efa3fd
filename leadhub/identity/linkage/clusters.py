"""Pairs → persons of tonight: components of the link graph that hold no contradiction.

Three things forbid that two records are one person: different NYSID numbers; one feed that holds each
person once; evidence that speaks against it (relatives, whom a third record would join). A component
that holds such a pair is built again from its strongest link to its weakest, and a link that would
bring a forbidden pair together is left out: the weakest links give way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from leadhub.identity.linkage.graph import components
from leadhub.identity.linkage.records import NULL, Records

#: two rivals for the one place in a feed must lie this far apart, or neither is taken
RIVAL_BITS = 2.0


@dataclass(frozen=True)
class Links:
    """Pairs by row numbers with their weight in bits."""

    left: np.ndarray
    right: np.ndarray
    bits: np.ndarray


def rivals(records: Records, links: Links) -> np.ndarray:
    """True for links that lose: another record of the same feed, which holds each person once, fits
    better, or so nearly as well that nobody could tell."""
    outdone = _losing(records, links, np.zeros(len(links.bits), dtype=bool), ~pl.col("near"))
    undecided = _losing(records, links, outdone, pl.col("rivals") > 1)
    return outdone | undecided


def _losing(records: Records, links: Links, gone: np.ndarray, rule: pl.Expr) -> np.ndarray:
    left, right, bits = links.left, links.right, links.bits
    to = np.concatenate([right, left])
    place = ["from", "feed"]
    losing = (
        pl.DataFrame(
            {
                "link": np.tile(np.arange(len(bits)), 2),
                "from": np.concatenate([left, right]),
                "feed": records.feeds[to],
                "bits": np.tile(bits, 2),
            }
        )
        .filter(pl.Series(records.alone[to] & ~np.tile(gone, 2)))
        .with_columns(near=pl.col("bits") >= pl.col("bits").max().over(place) - RIVAL_BITS)
        .with_columns(rivals=pl.col("near").sum().over(place))
        .filter(rule)
        .get_column("link")
        .to_numpy()
    )
    lost = np.zeros(len(bits), dtype=bool)
    lost[losing] = True
    return lost


def conflicted(records: Records, label: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Labels of components that hold a forbidden pair; `left`, `right` are the pairs to be kept apart."""
    frame = pl.DataFrame({"label": label, "feed": records.feeds, "nysid": records.nysid})
    twice = (
        frame.filter(pl.Series(records.alone))
        .group_by("label", "feed")
        .len()
        .filter(pl.col("len") > 1)
        .get_column("label")
    )
    numbers = (
        frame.filter(pl.col("nysid") != 0)
        .group_by("label")
        .agg(pl.col("nysid").n_unique())
        .filter(pl.col("nysid") > 1)
        .get_column("label")
    )
    one = label[left]
    together = one[one == label[right]]
    return np.unique(np.concatenate([twice.to_numpy(), numbers.to_numpy(), together]))


def build(
    records: Records, links: Links, apart_left: np.ndarray, apart_right: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Cluster label of each record, and which links were left out to keep forbidden pairs apart."""
    label = components(len(records), links.left, links.right)
    bad = conflicted(records, label, apart_left, apart_right)
    dropped = np.zeros(len(links.bits), dtype=bool)
    doubtful = np.flatnonzero(np.isin(label[links.left], bad))
    order = doubtful[np.lexsort((links.right[doubtful], links.left[doubtful], -links.bits[doubtful]))]
    # only within one component can two records be brought together
    inside = label[apart_left] == label[apart_right]
    groups = _Groups(records, apart_left[inside], apart_right[inside])
    for i in order:
        dropped[i] = not groups.join(int(links.left[i]), int(links.right[i]))
    kept = ~dropped
    return components(len(records), links.left[kept], links.right[kept]), dropped


class _Groups:
    """Growing groups of records that refuse to take in a forbidden pair."""

    def __init__(self, records: Records, apart_left: np.ndarray, apart_right: np.ndarray):
        self._records = records
        self._members: dict[int, set[int]] = {}
        self._apart: dict[int, set[int]] = {}
        for a, b in zip(apart_left.tolist(), apart_right.tolist()):
            self._apart.setdefault(a, set()).add(b)
            self._apart.setdefault(b, set()).add(a)

    def join(self, a: int, b: int) -> bool:
        """Bring two records' groups together; False where a rule forbids it."""
        one, other = self._of(a), self._of(b)
        if one is other:
            return True
        if self._forbidden(one, other):
            return False
        large, small = (one, other) if len(one) >= len(other) else (other, one)
        large |= small
        for member in small:
            self._members[member] = large
        return True

    def _of(self, record: int) -> set[int]:
        return self._members.setdefault(record, {record})

    def _forbidden(self, one: set[int], other: set[int]) -> bool:
        if len(self._numbers(one) | self._numbers(other)) > 1:
            return True
        if self._single_feeds(one) & self._single_feeds(other):
            return True
        return any(self._apart.get(member, set()) & other for member in one)

    def _numbers(self, group: set[int]) -> set[int]:
        return {int(self._records.nysid[m]) for m in group} - {int(NULL)}

    def _single_feeds(self, group: set[int]) -> set[int]:
        return {int(self._records.feeds[m]) for m in group if self._records.alone[m]}
