"""How good linking is, on data whose truth is known: pairwise precision, recall and F1, over all pairs.

A true pair that no match key proposed counts as missed. Pure: arrays in, figures out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: thresholds at which the curve is stated
CURVE_POINTS = 41


@dataclass(frozen=True)
class Figures:
    """Precision, recall and F1 at a threshold (log₂ odds)."""

    precision: float
    recall: float
    f1: float
    threshold_bits: float | None = None


@dataclass(frozen=True)
class Judged:
    """`chosen`: at the threshold that needs no labels. `best`: at the best one, known only afterwards.
    `curve`: from strict to lenient."""

    chosen: Figures
    best: Figures
    curve: tuple[Figures, ...]


def true_pairs(truth: np.ndarray, sources: np.ndarray, *, across: bool) -> int:
    """Pairs of records of one entity; `across` counts those between two sources alone."""
    pairs = _pairs_in(truth)
    return pairs - (_pairs_in(_joint(truth, sources)) if across else 0)


def _pairs_in(labels: np.ndarray) -> int:
    counts = np.unique(labels, return_counts=True)[1].astype(np.int64)
    return int((counts * (counts - 1) // 2).sum())


def _joint(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    first = np.unique(one, return_inverse=True)[1].astype(np.int64)
    second = np.unique(other, return_inverse=True)[1].astype(np.int64)
    return first * (int(second.max(initial=0)) + 1) + second


def judge(bits: np.ndarray, match: np.ndarray, total: int, *, chosen_bits: float) -> Judged:
    """Scored pairs, whether each is a true one, and how many true pairs there are in all."""
    order = np.argsort(-bits, kind="stable")
    score, found = bits[order], np.cumsum(match[order])
    last = np.flatnonzero(np.append(score[1:] != score[:-1], True)) if len(score) else np.array([], int)
    if not len(last):
        none = figures(0, 0, total, chosen_bits)
        return Judged(none, none, (none,))
    f1 = 2 * found[last] / (last + 1 + total)
    best = int(last[f1.argmax()])
    count = int((bits >= chosen_bits).sum())
    shown = last[np.unique(np.linspace(0, len(last) - 1, CURVE_POINTS).astype(int))]
    return Judged(
        chosen=figures(int(found[count - 1]) if count else 0, count, total, chosen_bits),
        best=figures(int(found[best]), best + 1, total, float(score[best])),
        curve=tuple(figures(int(found[i]), int(i) + 1, total, float(score[i])) for i in shown),
    )


def figures(right: int, said: int, total: int, threshold: float | None = None) -> Figures:
    """From counts: pairs said and true, pairs said, pairs true."""
    return Figures(
        precision=round(right / said, 5) if said else 1.0,
        recall=round(right / total, 5) if total else 1.0,
        f1=round(2 * right / (said + total), 5) if said + total else 1.0,
        threshold_bits=None if threshold is None else round(threshold, 3),
    )


def judge_clusters(cluster: np.ndarray, truth: np.ndarray, sources: np.ndarray, *, across: bool) -> Figures:
    """Persons as pairs: every two records of one cluster are said to be one person."""

    def count(labels: np.ndarray) -> int:
        return true_pairs(labels, sources, across=across)

    return figures(count(_joint(cluster, truth)), count(cluster), count(truth))


def by_group(
    groups: np.ndarray,
    truth: np.ndarray,
    sources: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    linked: np.ndarray,
    *,
    across: bool,
) -> dict[str, dict[str, float]]:
    """For each group (text, "" where not stated): how many records, and precision and recall of the pairs
    that touch it. `left`, `right`, `linked`: candidate pairs and whether they are linked."""
    match = truth[left] == truth[right]
    everyone = true_pairs(truth, sources, across=across)
    found = {}
    for group in sorted(set(groups.tolist()) - {""}):
        inside = groups == group
        touches = inside[left] | inside[right]
        said, right_ = int((touches & linked).sum()), int((touches & linked & match).sum())
        total = everyone - true_pairs(truth[~inside], sources[~inside], across=across)
        figure = figures(right_, said, total)
        found[group] = {
            "records": int(inside.sum()),
            "true_pairs": total,
            "precision": figure.precision,
            "recall": figure.recall,
            "f1": figure.f1,
        }
    return found
