"""What the structure of the sources tells about pairs: who stands once in a source can match once there."""

from __future__ import annotations

import numpy as np

from leadhub.identity.linkage.records import Records

#: log₂ odds from which the first model is sure of a match, and down to which of none
SURE_BITS = 6.6
NEVER_BITS = -5.6


def components(size: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Label of each of `size` records: the smallest row number it is linked to, over any path."""
    label = np.arange(size)
    while True:
        low = np.minimum(label[left], label[right])
        before = label.copy()
        np.minimum.at(label, label[left], low)
        np.minimum.at(label, label[right], low)
        label = label[label]
        if np.array_equal(before, label):
            return label


def assign(records: Records, left: np.ndarray, right: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Greedy one-to-one assignment, the heaviest pair first: True for the pairs that are kept.

    A place is (record, feed of the other record), and is contested only where that feed holds each person
    once. In rounds: a pair that is the best of both its places is kept, its rivals go.
    """
    kept = np.zeros(len(left), dtype=bool)
    feeds = len(records.feed_names)
    order = np.lexsort((right, left, -bits))
    rank = np.empty(len(left), dtype=np.int64)
    rank[order] = np.arange(len(left))
    open_ = np.arange(len(left))
    one = left * feeds + records.feeds[right]
    other = right * feeds + records.feeds[left]
    one_contested, other_contested = records.alone[right], records.alone[left]
    places = len(records) * feeds
    while len(open_):
        best = np.full(places, len(left), dtype=np.int64)
        np.minimum.at(best, one[open_], rank[open_])
        np.minimum.at(best, other[open_], rank[open_])
        wins = (~one_contested[open_] | (best[one[open_]] == rank[open_])) & (
            ~other_contested[open_] | (best[other[open_]] == rank[open_])
        )
        winners = open_[wins]
        kept[winners] = True
        taken = np.zeros(places, dtype=bool)
        taken[one[winners]] = one_contested[winners]
        taken[other[winners]] |= other_contested[winners]
        open_ = open_[~wins]
        open_ = open_[~(taken[one[open_]] | taken[other[open_]])]
    return kept


def labels(records: Records, left: np.ndarray, right: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """What is as good as known without labels: 1 a match, 0 none, −1 not known.

    Where a source holds each person once: the best of its place is a match if the model thinks so, and
    what loses to it is none. Elsewhere: what the model is sure of, and what a path of sure matches joins,
    are matches; pairs between two groups that each hold together surely are none.
    """
    label = np.full(len(left), -1, dtype=np.int8)
    contested = records.alone[left] | records.alone[right]
    at = np.flatnonzero(contested)
    if len(at):
        kept = assign(records, left[at], right[at], bits[at])
        label[at[~kept]] = 0
        label[at[kept & (bits[at] > 0)]] = 1
    free = np.flatnonzero(~contested)
    if len(free):
        label[free[bits[free] < NEVER_BITS]] = 0
        sure = free[bits[free] > SURE_BITS]
        group = components(len(records), left[sure], right[sure])
        size = np.bincount(group, minlength=len(records))
        together = group[left[free]] == group[right[free]]
        firm = (size[group[left[free]]] > 2) & (size[group[right[free]]] > 2)
        label[free[together & (bits[free] > -4.3)]] = 1
        label[free[together & (bits[free] <= -4.3)]] = -1
        label[free[~together & firm & (bits[free] < 0)]] = 0
    return label
