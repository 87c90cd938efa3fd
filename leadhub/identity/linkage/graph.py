"""What the structure of the sources tells about pairs: who stands once in a source can match once there."""

from __future__ import annotations

import numpy as np

from leadhub.identity.linkage.records import Records

#: log₂ odds from which the first model is sure of a match, and down to which of none
SURE_BITS = 6.6
NEVER_BITS = -5.6
#: the most that winning an assignment can add to a pair
MOST_RAISE = 5.0


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
    if not len(left):
        return np.zeros(0, dtype=bool)
    feeds = len(records.feed_names)
    order = np.argsort(-bits, kind="stable")
    left, right = left[order], right[order]
    one = left * feeds + records.feeds[right]
    other = right * feeds + records.feeds[left]
    one_contested, other_contested = records.alone[right], records.alone[left]
    best = np.empty(len(records) * feeds, dtype=np.int64)
    taken = np.zeros(len(best), dtype=bool)
    kept = np.zeros(len(left), dtype=bool)
    open_ = np.arange(len(left))
    while len(open_):
        # written from the lightest pair to the heaviest: at each place the heaviest stays
        places = np.column_stack([one[open_], other[open_]]).ravel()
        best[places[::-1]] = np.repeat(open_, 2)[::-1]
        wins = (~one_contested[open_] | (best[one[open_]] == open_)) & (
            ~other_contested[open_] | (best[other[open_]] == open_)
        )
        winners = open_[wins]
        kept[winners] = True
        taken[one[winners]] |= one_contested[winners]
        taken[other[winners]] |= other_contested[winners]
        open_ = open_[~wins]
        open_ = open_[~(taken[one[open_]] | taken[other[open_]])]
    out = np.zeros(len(left), dtype=bool)
    out[order] = kept
    return out


def raise_bits(bits: np.ndarray, people: float) -> float:
    """What winning an assignment adds to a pair, where `people` pairs of one person are expected in all.

    A pair that is the best of both its places has had its rivals refuted, which its weight does not know.
    It is one figure for all, such that the posteriors of the winners sum to the people expected.
    """
    low, high = 0.0, MOST_RAISE
    for _ in range(30):
        raise_ = (low + high) / 2
        expected = float((1.0 / (1.0 + np.exp2(-(bits + raise_).astype(np.float64)))).sum())
        low, high = (low, raise_) if expected > people else (raise_, high)
    return round(low, 4)


def labels(
    records: Records,
    left: np.ndarray,
    right: np.ndarray,
    bits: np.ndarray,
    person: np.ndarray | None = None,
) -> np.ndarray:
    """What is as good as known without labels: 1 a match, 0 none, −1 not known.

    Where a source holds each person once: the best of its place is a match if the model thinks so, and
    what loses to it is none. Elsewhere, at first: what the model is sure of, and what a path of sure
    matches joins, are matches; pairs between two groups that each hold together surely are none. Once
    there is a `person` of each record, they tell.
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
        left, right, bits = left[free], right[free], bits[free]
        label[free] = (
            _sure(left, right, bits, len(records)) if person is None else _told(left, right, bits, person)
        )
    return label


def _sure(left: np.ndarray, right: np.ndarray, bits: np.ndarray, records: int) -> np.ndarray:
    sure = bits > SURE_BITS
    group = components(records, left[sure], right[sure])
    size = np.bincount(group, minlength=records)
    together = group[left] == group[right]
    firm = (size[group[left]] > 2) & (size[group[right]] > 2)
    label = np.full(len(left), -1, dtype=np.int8)
    label[bits < NEVER_BITS] = 0
    label[together & (bits > -4.3)] = 1
    label[together & (bits <= -4.3)] = -1
    label[~together & firm & (bits < 0)] = 0
    return label


def _told(left: np.ndarray, right: np.ndarray, bits: np.ndarray, person: np.ndarray) -> np.ndarray:
    """By persons: one person's records are a match. Two persons' are none where they are as good as
    strangers, or each of the two has already more than half of the records that a person mostly has: of
    smaller groups, two may be one person's."""
    size = np.bincount(person)[person]
    together = person[left] == person[right]
    whole = size > max(1, int(np.median(size[size > 1])) // 2) if together.any() else size > 1
    label = np.full(len(left), -1, dtype=np.int8)
    label[(bits < NEVER_BITS) | (whole[left] & whole[right])] = 0
    label[together] = 1
    return label
