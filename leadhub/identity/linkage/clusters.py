"""Pairs → persons of tonight: components of the link graph that hold no contradiction.

Three things forbid that two records are one person: different NYSID numbers; one feed that holds each
person once; evidence that speaks against it (relatives, whom a third record would join). A component
that holds such a pair is built again from its strongest link to its weakest, and a link that would
bring a forbidden pair together is left out: the weakest links give way. What a steward joined gives way to
different NYSIDs and to what a steward parted, to nothing else.

So is a link too weak for what it would join: between groups of a and of b records, a·b pairs had the chance
to look alike, so that it takes log₂ a·b bits more than between two records (Bonferroni's correction). Else
one wrong link in twenty makes chains of persons, where each has ten records.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadhub.identity.linkage.decisions import DECIDED_BITS
from leadhub.identity.linkage.graph import components
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.words import NULL

#: log₂ odds from which a pair is linked: more likely one person than not
LINK_BITS = 0.0
#: log₂ odds down to which two records may still be brought together by a third
APART_BITS = -9.0
#: two rivals for the one place in a feed must lie this far apart, or neither is taken
RIVAL_BITS = 2.0

STATUS = ("weak", "linked", "rival", "conflict")
WEAK, LINKED, RIVAL, CONFLICT = range(4)


@dataclass(frozen=True)
class Links:
    """Pairs by row numbers with their weight in bits."""

    left: np.ndarray
    right: np.ndarray
    bits: np.ndarray

    def only(self, at: np.ndarray) -> Links:
        """Some of them."""
        return Links(self.left[at], self.right[at], self.bits[at])


def decide(records: Records, pairs: Links, raise_bits: float) -> tuple[np.ndarray, np.ndarray]:
    """Status of each pair (`STATUS`), and the cluster label of each record: row of the smallest id in it.
    `raise_bits`: what winning its place adds to a pair (`graph.raise_bits`)."""
    left, right, bits = pairs.left, pairs.right, pairs.bits
    contested = records.alone[left] | records.alone[right]
    needed = np.where(contested, LINK_BITS - raise_bits, LINK_BITS)
    status = np.full(len(left), WEAK, dtype=np.uint8)
    status[bits >= needed] = LINKED
    status[records.other_nysid(left, right)] = CONFLICT
    sure = np.flatnonzero(status == LINKED)
    lost = rivals(records, pairs.only(sure))
    status[sure[lost]] = RIVAL
    sure = sure[~lost]
    # what a steward decided is no matter of what is needed
    beyond = np.where(bits >= DECIDED_BITS, bits, bits - needed)
    links = Links(left[sure], right[sure], beyond[sure])
    label, dropped = build(records, links, pairs.only(np.flatnonzero(bits <= APART_BITS)))
    status[sure[dropped]] = CONFLICT
    return status, label


def rivals(records: Records, links: Links) -> np.ndarray:
    """True for links that lose: another record of the same feed, which holds each person once, fits
    better, or so nearly as well that nobody could tell."""
    outdone = _losing(records, links, np.zeros(len(links.bits), dtype=bool), ~pl.col("near"))
    undecided = _losing(records, links, outdone, pl.col("rivals") > 1)
    return (outdone | undecided) & (links.bits < DECIDED_BITS)


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


def build(records: Records, links: Links, apart: Links) -> tuple[np.ndarray, np.ndarray]:
    """Cluster label of each record, and which links were left out: they are too weak, or would bring a
    forbidden pair together. The links' bits are those beyond what two records need; `apart`: pairs whose
    evidence speaks against one person."""
    label = components(len(records), links.left, links.right)
    bad = np.union1d(conflicted(records, label, apart.left, apart.right), _doubted(label, links))
    dropped = np.zeros(len(links.bits), dtype=bool)
    doubtful = np.flatnonzero(np.isin(label[links.left], bad))
    order = doubtful[np.lexsort((links.right[doubtful], links.left[doubtful], -links.bits[doubtful]))]
    # only within one component can two records be brought together
    inside = label[apart.left] == label[apart.right]
    groups = _Groups(records, Links(apart.left[inside], apart.right[inside], apart.bits[inside]))
    for i in order:
        dropped[i] = not groups.join(int(links.left[i]), int(links.right[i]), float(links.bits[i]))
    kept = ~dropped
    return components(len(records), links.left[kept], links.right[kept]), dropped


def _doubted(label: np.ndarray, links: Links) -> np.ndarray:
    """Labels of components with a link that may be too weak for what it joins."""
    size = np.bincount(label, minlength=1)
    most = np.log2(np.maximum(1, (size // 2) * (size - size // 2)))
    of = label[links.left]
    return np.unique(of[links.bits < most[of]])


class _Groups:
    """Growing groups of records that refuse to take in a forbidden pair."""

    def __init__(self, records: Records, apart: Links):
        self._records = records
        self._members: dict[int, set[int]] = {}
        self._apart: dict[int, set[int]] = {}
        self._parted: dict[int, set[int]] = {}
        for a, b, bits in zip(apart.left.tolist(), apart.right.tolist(), apart.bits.tolist()):
            for kept in (self._apart, self._parted)[: 2 if bits <= -DECIDED_BITS else 1]:
                kept.setdefault(a, set()).add(b)
                kept.setdefault(b, set()).add(a)

    def join(self, a: int, b: int, bits: float) -> bool:
        """Bring two records' groups together; False where a rule forbids it."""
        one, other = self._of(a), self._of(b)
        if one is other:
            return True
        weak = bits < math.log2(len(one) * len(other))
        if weak or self._forbidden(one, other, bits >= DECIDED_BITS):
            return False
        large, small = (one, other) if len(one) >= len(other) else (other, one)
        large |= small
        for member in small:
            self._members[member] = large
        return True

    def _of(self, record: int) -> set[int]:
        return self._members.setdefault(record, {record})

    def _forbidden(self, one: set[int], other: set[int], decided: bool) -> bool:
        if len(self._numbers(one) | self._numbers(other)) > 1:
            return True
        if decided:
            return any(self._parted.get(member, set()) & other for member in one)
        if self._single_feeds(one) & self._single_feeds(other):
            return True
        return any(self._apart.get(member, set()) & other for member in one)

    def _numbers(self, group: set[int]) -> set[int]:
        return {int(self._records.nysid[m]) for m in group} - {int(NULL)}

    def _single_feeds(self, group: set[int]) -> set[int]:
        return {int(self._records.feeds[m]) for m in group if self._records.alone[m]}
