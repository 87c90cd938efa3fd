"""How well scored pairs match the truth: the same arithmetic for every system.

A system hands over `pairs` (left, right, score): record names as text, or row numbers of the tables; each
pair that it looked at, the likelier the higher. All true pairs count: one never looked at is missed.

    truth = truth_of(dataset)
    report = evaluate(truth, pairs, threshold=0.5)
    report.raw.best.f1, report.one_to_one.chosen.f1
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from benchmarks.linkage.datasets import Dataset

ROUNDS = 200
INTERVAL = (2.5, 97.5)  # percentiles of the rounds
STEPS = 200  # thresholds that are tried for persons


@dataclass(frozen=True)
class Truth:
    """Entities of the records by row, `left` (n,), `right` (m,) int32; a single table is both sides."""

    left: np.ndarray
    right: np.ndarray
    left_record: pl.Series
    right_record: pl.Series
    pairs_of_entity: np.ndarray  # (entities,) int64: how many true pairs each entity has
    is_link: bool

    @property
    def total(self) -> int:
        return int(self.pairs_of_entity.sum())


@dataclass(frozen=True)
class Scored:
    """Pairs by row number, best score first: `left`, `right` (n,) int32, `score` (n,), `true` (n,) bool."""

    left: np.ndarray
    right: np.ndarray
    score: np.ndarray
    true: np.ndarray

    def __getitem__(self, chosen: np.ndarray) -> Scored:
        return Scored(self.left[chosen], self.right[chosen], self.score[chosen], self.true[chosen])


@dataclass(frozen=True)
class Quality:
    """What a threshold gives; `interval` is F1's 95 % bootstrap interval over entities at it."""

    threshold: float
    f1: float
    precision: float
    recall: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Side:
    """`best`: at the threshold the truth would choose; `chosen`: at the one the system chose without."""

    best: Quality
    chosen: Quality | None


@dataclass(frozen=True)
class Persons:
    """F1 of persons as pairs: every two records that a chain of pairs joins, at the best threshold and at
    the one that the system chose."""

    best: float
    chosen: float | None


@dataclass(frozen=True)
class Report:
    """Raw pairs; after one-to-one assignment (two tables), or as persons (one); `block_recall`: of pairs
    looked at."""

    raw: Side
    one_to_one: Side | None
    persons: Persons | None
    block_recall: float
    pairs: int


def truth_of(dataset: Dataset) -> Truth:
    """Entities as numbers from 0, the same for both tables."""
    left, right = dataset.tables[0], dataset.tables[-1]
    together = pl.concat([left["truth"], right["truth"]]).rank("dense").to_numpy().astype(np.int32) - 1
    a, b = together[: left.height], together[left.height :]
    entities = int(together.max()) + 1
    in_left, in_right = np.bincount(a, minlength=entities), np.bincount(b, minlength=entities)
    pairs = in_left * in_right if dataset.is_link else in_left * (in_left - 1) // 2
    return Truth(a, b, left["record"], right["record"], pairs.astype(np.int64), dataset.is_link)


def evaluate(truth: Truth, pairs: pl.DataFrame, threshold: float | None, *, seed: int = 7) -> Report:
    """Everything the tables of results need. `threshold` is None for a system that chooses none."""
    scored = scored_pairs(truth, pairs)
    recall = float(scored.true.sum() / truth.total)
    single = _side(truth, one_to_one(truth, scored), threshold, seed) if truth.is_link else None
    joined = None if truth.is_link else persons(truth, scored, threshold)
    return Report(_side(truth, scored, threshold, seed), single, joined, recall, len(scored.score))


def scored_pairs(truth: Truth, pairs: pl.DataFrame) -> Scored:
    """Row numbers, each pair once with its best score, ordered by score; ties by row."""
    left = _rows(pairs["left"], truth.left_record)
    right = _rows(pairs["right"], truth.right_record)
    score = pairs["score"].cast(pl.Float64).to_numpy()
    if not truth.is_link:  # an unordered pair: the smaller row is the left one
        left, right = np.minimum(left, right), np.maximum(left, right)
        apart = left != right
        left, right, score = left[apart], right[apart], score[apart]
    key = left.astype(np.int64) * len(truth.right) + right
    by_key = np.argsort(key)
    key, score = key[by_key], score[by_key]
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    if len(starts) < len(key):
        key, score = key[starts], np.maximum.reduceat(score, starts)
    order = np.argsort(-score, kind="stable")
    left, right = (part.astype(np.int32) for part in np.divmod(key[order], len(truth.right)))
    return Scored(left, right, score[order], truth.left[left] == truth.right[right])


def one_to_one(truth: Truth, scored: Scored) -> Scored:
    """Greedy assignment: the best pair first, then every pair whose two records are both still free.

    A round takes each pair that is the best of both its records: the greedy choice without a loop over
    pairs. Pairs are in order of score already, so "best" is the smallest position.
    """
    taken = np.zeros(len(scored.score), bool)
    open_ = np.arange(len(scored.score))
    used_left, used_right = np.zeros(len(truth.left), bool), np.zeros(len(truth.right), bool)
    while len(open_):
        left, right = scored.left[open_], scored.right[open_]
        best = (_first(left, len(truth.left)) == np.arange(len(open_))) & (
            _first(right, len(truth.right)) == np.arange(len(open_))
        )
        taken[open_[best]] = True
        used_left[left[best]], used_right[right[best]] = True, True
        open_ = open_[~(used_left[left] | used_right[right])]
    return scored[taken]


def persons(truth: Truth, scored: Scored, threshold: float | None) -> Persons:
    """Connected components of one table's pairs; the best of STEPS thresholds, evenly apart."""
    least, most = scored.score.min(initial=0.0), scored.score.max(initial=0.0)
    own = None if threshold is None else _joined(truth, scored, threshold)
    best = max(_joined(truth, scored, score) for score in np.linspace(least, most, STEPS))
    return Persons(max(best, own or 0.0), own)


def _joined(truth: Truth, scored: Scored, threshold: float) -> float:
    kept = int(np.searchsorted(-scored.score, -threshold, side="right"))
    size = len(truth.left)
    links = coo_matrix((np.ones(kept), (scored.left[:kept], scored.right[:kept])), (size, size))
    person = connected_components(links, directed=False)[1].astype(np.int64)
    said, right = (_pairs_in(of) for of in (person, person * (int(truth.left.max()) + 1) + truth.left))
    return 2 * right / max(said + truth.total, 1)


def _pairs_in(labels: np.ndarray) -> int:
    sizes = np.unique(labels, return_counts=True)[1].astype(np.int64)
    return int((sizes * (sizes - 1) // 2).sum())


def quality(truth: Truth, scored: Scored, threshold: float, *, seed: int) -> Quality:
    """Precision, recall and F1 of the pairs with score >= threshold."""
    kept = int(np.searchsorted(-scored.score, -threshold, side="right"))
    right = int(scored.true[:kept].sum())
    precision, recall = right / max(kept, 1), right / max(truth.total, 1)
    f1 = 2 * right / max(kept + truth.total, 1)
    return Quality(float(threshold), f1, precision, recall, _interval(truth, scored, kept, seed))


def best_threshold(truth: Truth, scored: Scored) -> float:
    """The score at which F1 is largest; pairs of one score stand or fall together."""
    if not len(scored.score):
        return float("inf")
    ends = np.flatnonzero(np.append(np.diff(scored.score) != 0, True))
    right = np.cumsum(scored.true)[ends]
    return float(scored.score[ends[np.argmax(2 * right / (ends + 1 + truth.total))]])


def _side(truth: Truth, scored: Scored, threshold: float | None, seed: int) -> Side:
    chosen = None if threshold is None else quality(truth, scored, threshold, seed=seed)
    return Side(quality(truth, scored, best_threshold(truth, scored), seed=seed), chosen)


def _interval(truth: Truth, scored: Scored, kept: int, seed: int) -> tuple[float, float]:
    """F1's bootstrap interval over entities.

    A pair counts half for each of its two entities. Entities with the same counts (right, said, true) are
    exchangeable, so a round draws how often each distinct triple occurs: one multinomial draw.
    """
    entities = len(truth.pairs_of_entity)
    of_left, of_right = truth.left[scored.left[:kept]], truth.right[scored.right[:kept]]
    said = np.bincount(of_left, minlength=entities) + np.bincount(of_right, minlength=entities)  # in halves
    right = np.bincount(of_left[scored.true[:kept]], minlength=entities)
    base = int(max(said.max(initial=0), truth.pairs_of_entity.max())) + 1
    codes, counts = np.unique((right * base + said) * base + truth.pairs_of_entity, return_counts=True)
    triples = np.stack([codes // base**2, codes // base % base, codes % base])
    drawn = np.random.default_rng(seed).multinomial(entities, counts / entities, size=ROUNDS)
    right_sum, said_sum, true_sum = (drawn @ triples.T).T
    f1 = 2 * right_sum / np.maximum(said_sum / 2 + true_sum, 1)
    low, high = np.percentile(f1, INTERVAL)
    return float(low), float(high)


def _first(values: np.ndarray, size: int) -> np.ndarray:
    """For each entry, the first position at which its value stands."""
    first = np.empty(size, np.int64)
    first[values[::-1]] = np.arange(len(values))[::-1]
    return first[values]


def _rows(names: pl.Series, records: pl.Series) -> np.ndarray:
    """Row numbers of records given by name or by row."""
    if names.dtype.is_integer():
        return names.cast(pl.Int32).to_numpy()
    lookup = pl.DataFrame({"name": records, "row": np.arange(len(records), dtype=np.int32)})
    rows = pl.DataFrame({"name": names}).join(lookup, on="name", how="left", maintain_order="left")["row"]
    if rows.null_count():
        raise ValueError(f"[{rows.null_count()}] pairs name records that are not in the set")
    return rows.to_numpy()
