"""Seeded chance: each part of the county draws from its own stream, so that a change in one part leaves
the others as they were."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import polars as pl


def stream(seed: int, label: str) -> np.random.Generator:
    """The generator of one part; the same seed and label give the same draws."""
    return np.random.default_rng([seed, zlib.crc32(label.encode())])


def pick(rng: np.random.Generator, choices: dict[str, float], size: int) -> np.ndarray:
    """`size` keys of `choices`, drawn with its values as weights."""
    return pick_from(rng, list(choices), list(choices.values()), size)


def pick_from(
    rng: np.random.Generator, values: Sequence, weights: Sequence[float] | np.ndarray, size: int
) -> np.ndarray:
    edges = np.cumsum(np.asarray(weights, dtype=float))
    at = np.searchsorted(edges, rng.random(size) * edges[-1], side="right")
    return np.array(values, dtype=object)[np.minimum(at, len(values) - 1)]


def zipf_mandelbrot(ranks: int) -> np.ndarray:
    """Weights by rank; the 1st, 10th, 100th and 1000th stand as 78 : 36 : 7 : 1, near the fall-off of
    surnames in the United States."""
    return 1 / (np.arange(1, ranks + 1) + 5) ** 0.85


def growing_numbers(rng: np.random.Generator, size: int, first: int) -> np.ndarray:
    """Increasing numbers with gaps, as a system deals them that also serves others."""
    return first + np.cumsum(rng.integers(1, 4, size))


def shuffled_numbers(rng: np.random.Generator, size: int, first: int) -> np.ndarray:
    """Distinct numbers in no order, so that they say nothing about who came first."""
    return rng.permutation(growing_numbers(rng, size, first))


def labels(prefix: str, numbers: np.ndarray, width: int) -> pl.Series:
    """`prefix` and the number with leading zeros."""
    return pl.select(pl.lit(prefix) + pl.Series(numbers).cast(pl.String).str.zfill(width)).to_series()


def canary_ids(ids: pl.Series, canary: pl.Series, prefix: str) -> pl.Series:
    """Canaries get local ids that a scan cannot mistake."""
    return ids.scatter(canary.arg_true(), [f"{prefix}QXCANARY{i}" for i in range(int(canary.sum()))])
