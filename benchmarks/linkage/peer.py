"""What every system under measurement returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import polars as pl

from benchmarks.linkage.datasets import Dataset


@dataclass(frozen=True)
class Outcome:
    """`pairs`: left, right (record names, or row numbers), score: every pair that was compared.

    `threshold`: the score at which the system itself would cut, without labels; None if it has none.
    `notes`: further measured figures by name, with the unit in the name.
    """

    pairs: pl.DataFrame
    threshold: float | None
    notes: dict[str, float] = field(default_factory=dict)


# (data set, threads) → outcome
System = Callable[[Dataset, int], Outcome]
