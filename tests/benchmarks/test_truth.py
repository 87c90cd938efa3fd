"""The evaluation agrees with the plain definitions, on small sets where those can be written out."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from benchmarks.linkage import truth as t
from benchmarks.linkage.datasets import Dataset


def linked(left: list[str], right: list[str]) -> t.Truth:
    tables = (
        pl.DataFrame({"record": [f"a{i}" for i in range(len(left))], "truth": left}),
        pl.DataFrame({"record": [f"b{i}" for i in range(len(right))], "truth": right}),
    )
    return t.truth_of(Dataset("small", tables))


def random_case(seed: int, n: int = 40) -> tuple[t.Truth, pl.DataFrame]:
    rng = np.random.default_rng(seed)
    truth = linked([str(e) for e in rng.permutation(60)[:n]], [str(e) for e in rng.permutation(60)[:n]])
    left, right = np.divmod(rng.permutation(n * n)[: n * 8], n)
    score = rng.integers(0, 30, len(left)) + 20 * (truth.left[left] == truth.right[right])
    return truth, pl.DataFrame({"left": left, "right": right, "score": score})


def greedy(pairs: t.Scored) -> list[tuple[int, int]]:
    taken: list[tuple[int, int]] = []
    for left, right in zip(pairs.left.tolist(), pairs.right.tolist()):
        if all(left != a and right != b for a, b in taken):
            taken.append((left, right))
    return taken


@pytest.mark.parametrize("seed", range(5))
def test_one_to_one_is_the_greedy_assignment(seed):
    truth, pairs = random_case(seed)
    scored = t.scored_pairs(truth, pairs)
    assigned = t.one_to_one(truth, scored)
    assert sorted(zip(assigned.left.tolist(), assigned.right.tolist())) == sorted(greedy(scored))


@pytest.mark.parametrize("seed", range(5))
def test_best_threshold_is_the_best_of_all(seed):
    truth, pairs = random_case(seed)
    scored = t.scored_pairs(truth, pairs)
    best = t.quality(truth, scored, t.best_threshold(truth, scored), seed=1)
    assert best.f1 == max(
        t.quality(truth, scored, score, seed=1).f1 for score in set(scored.score.tolist())
    )
    assert best.interval[0] <= best.f1 <= best.interval[1]


def test_a_pair_never_looked_at_is_missed():
    truth = linked(["x", "y", "z", "w"], ["x", "y", "z", "v"])
    report = t.evaluate(truth, pl.DataFrame({"left": ["a0"], "right": ["b0"], "score": [0.9]}), 0.5)
    assert (report.raw.chosen.precision, report.raw.chosen.recall) == (1.0, pytest.approx(1 / 3))
    assert report.block_recall == pytest.approx(1 / 3)
    assert report.raw.best.f1 == pytest.approx(2 / (1 + 3))


def test_deduplication_counts_an_unordered_pair_once():
    table = pl.DataFrame({"record": ["r0", "r1", "r2"], "truth": ["x", "x", "x"]})
    truth = t.truth_of(Dataset("one", (table,)))
    pairs = pl.DataFrame(
        {"left": ["r0", "r1", "r2"], "right": ["r1", "r0", "r2"], "score": [0.9, 0.8, 1.0]}
    )
    report = t.evaluate(truth, pairs, 0.5)
    assert truth.total == 3
    assert (report.pairs, report.raw.chosen.precision) == (1, 1.0)
    assert report.one_to_one is None


def test_a_system_without_threshold_has_no_chosen_quality():
    truth, pairs = random_case(3)
    assert t.evaluate(truth, pairs, None).raw.chosen is None


def test_an_unknown_record_is_refused():
    truth = linked(["x"], ["x"])
    with pytest.raises(ValueError, match="not in the set"):
        t.scored_pairs(truth, pl.DataFrame({"left": ["a0"], "right": ["nobody"], "score": [1.0]}))


def test_persons_are_whatever_a_chain_of_pairs_joins():
    table = pl.DataFrame({"record": list("abcde"), "truth": ["x", "x", "x", "y", "y"]})
    truth = t.truth_of(Dataset("small", (table,)))
    pairs = pl.DataFrame({"left": ["a", "b", "c"], "right": ["b", "c", "d"], "score": [9.0, 8.0, -1.0]})
    report = t.evaluate(truth, pairs, threshold=-1.0)
    # a, b and c by two pairs; then all five but e are one
    assert report.persons.best == pytest.approx(2 * 3 / (3 + 4))
    assert report.persons.chosen == pytest.approx(2 * 3 / (6 + 4))
