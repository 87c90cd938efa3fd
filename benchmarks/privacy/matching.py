"""Records of the lake matched to records of a roll by what both show: maximum likelihood over features.

A feature is a category a record (0: nothing known). Where the roll's record is the right one, the lake
shows the same category but for an error of probability `slip`; else one drawn from how often the lake
shows it. The log likelihood ratio of a pair is then a sum over features, and the best guess the record of
the roll with the highest: naive Bayes, as Fellegi and Sunter (1969) weigh agreements, turned on tokens
instead of text.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

_CHUNK = 512
#: features with more categories are compared by sorting
_FEW = 64
#: share of the guesses that the attacker is surest of
SUREST = 0.01


@dataclass(frozen=True)
class Guesses:
    """Of each record of the lake: the row of the roll that it is taken for, and by how much that one is
    likelier than the next (nats)."""

    row: np.ndarray
    margin: np.ndarray


@dataclass(frozen=True)
class Leak:
    """Shares of the lake's records. `right`: re-identified; `chance`: so many would be by the same guesses
    dealt out anew among records of one sex and race; `surest`: of the surest guesses, those that are
    right."""

    right: float
    chance: float
    surest: float

    @property
    def beyond(self) -> float:
        return max(0.0, self.right - self.chance)


def match(lake: pl.DataFrame, roll: pl.DataFrame, slip: float) -> Guesses:
    """Both frames have the same columns, one a feature, of categories (uint64, 0: unknown)."""
    one, back = _distinct(lake)
    other, rows = _distinct(roll)
    first = np.full(len(other), len(rows), dtype=np.int64)
    np.minimum.at(first, rows, np.arange(len(rows)))
    alike = np.bincount(rows, minlength=len(other))
    count = np.bincount(back, minlength=len(one))
    many = [i for i in range(one.shape[1]) if len(np.unique(one[:, i])) > _FEW]
    left, right = _indicators(one, other, count, slip, {*many})
    best, margin = np.zeros(len(one), dtype=np.int64), np.zeros(len(one))
    places = {i: np.argsort(other[:, i], kind="stable") for i in many}
    worth = {i: np.subtract(*_worth(one[:, i], count, slip)) for i in many}
    for at in range(0, len(one), _CHUNK):
        score = left[at : at + _CHUNK] @ right.T
        for i in many:
            mine, theirs = _equal(one[at : at + _CHUNK, i], other[:, i], places[i])
            score[mine, theirs] += worth[i][at + mine]
        top = score.argmax(axis=1)
        here = np.arange(len(top))
        value = score[here, top].copy()
        score[here, top] = -np.inf
        # several records of the roll that look alike cannot be told apart
        margin[at : at + _CHUNK] = np.where(alike[top] > 1, 0.0, value - score.max(axis=1, initial=0.0))
        best[at : at + _CHUNK] = top
    return Guesses(first[best][back], margin[back])


def _distinct(frame: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Each distinct row once, and which of them each row is."""
    values = frame.to_numpy().astype(np.uint64)
    mixed = np.zeros(len(values), dtype=np.uint64)
    odd = np.random.default_rng(0).integers(1, 2**63, values.shape[1], dtype=np.uint64) * 2 + 1
    for i in range(values.shape[1]):
        mixed = (mixed ^ (mixed >> np.uint64(29))) * odd[i] + values[:, i]
    _, first, back = np.unique(mixed, return_index=True, return_inverse=True)
    return values[first], back


def _worth(lake: np.ndarray, count: np.ndarray, slip: float) -> tuple[np.ndarray, np.float32]:
    """Of each row what it is worth that the roll shows its category, and another one."""
    _, back = np.unique(lake, return_inverse=True)
    usual = np.bincount(back, count)[back] / max(1, count[lake != 0].sum())
    return np.log((1 - slip) / usual + slip).astype(np.float32), np.float32(np.log(slip))


def _equal(lake: np.ndarray, roll: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of rows with one category that is known; `place` sorts the roll."""
    told = np.flatnonzero(lake)
    low, high = (np.searchsorted(roll, lake[told], side, sorter=place) for side in ("left", "right"))
    size = high - low
    offset = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return np.repeat(told, size), place[np.repeat(low, size) + offset]


def _indicators(
    lake: np.ndarray, roll: np.ndarray, count: np.ndarray, slip: float, many: set[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Two matrices whose product is the score of each pair: a column for each category that both show (but
    of features with `many`), and one for both being known, where a difference counts against."""
    left, right = [np.zeros(len(lake))], [np.zeros(len(roll))]
    for i in range(lake.shape[1]):
        equal, differ = _worth(lake[:, i], count, slip)
        shown = [] if i in many else np.setdiff1d(np.intersect1d(lake[:, i], roll[:, i]), [0])
        for category in shown:
            left.append(np.where(lake[:, i] == category, equal - differ, 0))
            right.append(roll[:, i] == category)
        left.append(np.where(lake[:, i] != 0, differ, 0))
        right.append(roll[:, i] != 0)
    return np.stack(left, axis=1).astype(np.float32), np.stack(right, axis=1).astype(np.float32)


def judge(guess: np.ndarray, truth: np.ndarray, groups: np.ndarray, margin: np.ndarray) -> Leak:
    """`guess`, `truth`: comparable values a record, empty (or 0) where there is none. `groups`: what
    everybody knows of a record anyway."""
    known = truth != (0 if truth.dtype.kind == "u" else "")
    right = (guess == truth) & known
    order = np.random.default_rng(7).permutation(len(groups))
    place = order[np.argsort(groups[order], kind="stable")]
    dealt = np.empty_like(guess)
    # everybody gets the guess of the next one of the group
    dealt[place] = guess[np.concatenate([np.roll(run, 1) for run in _runs(place, groups)])]
    surest = np.argsort(-margin, kind="stable")[: max(1, int(SUREST * len(margin)))]
    chance = (dealt == truth) & known
    return Leak(float(right.mean()), float(chance.mean()), float(right[surest].mean()))


def _runs(place: np.ndarray, groups: np.ndarray) -> list[np.ndarray]:
    ends = np.flatnonzero(groups[place][1:] != groups[place][:-1]) + 1
    return np.split(place, ends)
