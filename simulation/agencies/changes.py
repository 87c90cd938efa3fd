"""What an agency changes between two nights besides its daily business: corrections and deletions."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import polars as pl


def some(rng: np.random.Generator, rows: np.ndarray, share: float, at_least: int) -> np.ndarray:
    """A sample of `rows`, sorted: `share` of them, and as many as `at_least` where there are."""
    count = min(len(rows), max(at_least, round(share * len(rows))))
    return np.sort(rng.choice(rows, count, replace=False))


def moments(rng: np.random.Generator, size: int, start: datetime) -> pl.Series:
    """Working hours of the day that begins at `start`."""
    seconds = rng.integers(13 * 3600, 21 * 3600, size).astype("timedelta64[s]").astype("timedelta64[us]")
    return pl.Series([start] * size, dtype=pl.Datetime("us", "UTC")) + pl.Series(seconds).cast(
        pl.Duration("us")
    )


def corrected(
    recorded: pl.DataFrame,
    clean: pl.DataFrame,
    rng: np.random.Generator,
    seen: pl.Series,
    start: datetime,
) -> tuple[pl.DataFrame, pl.Series]:
    """Some faulty records of before `start` as they stand a day later, and when each was corrected (null:
    not at all). All frames have one row a record."""
    wrong = recorded.select(
        pl.any_horizontal(pl.col(c).ne_missing(clean[c]) for c in recorded.columns)
    ).to_series()
    rows = some(rng, (wrong & (seen < start)).arg_true().to_numpy(), 0.006, 3)
    hit = pl.Series(np.isin(np.arange(recorded.height), rows))
    after = recorded.select(clean[c].zip_with(hit, recorded[c]).alias(c) for c in recorded.columns)
    stamps = pl.Series([None] * recorded.height, dtype=pl.Datetime("us", "UTC"))
    return after, stamps.scatter(rows, moments(rng, len(rows), start))


def next_day(start: datetime) -> datetime:
    return start + timedelta(days=1)
