"""What an agency changes between two nights besides its daily business: corrections and deletions."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import polars as pl


def some(rng: np.random.Generator, rows: np.ndarray, share: float, at_least: int) -> np.ndarray:
    """A sample of `rows`, sorted: `share` of them, and as many as `at_least` where there are."""
    count = min(len(rows), max(at_least, round(share * len(rows))))
    return np.sort(rng.choice(rows, count, replace=False))


def moments(rng: np.random.Generator, size: int, start: datetime) -> pl.Series:
    """Working hours of the day that begins at `start`."""
    seconds = rng.integers(13 * 3600, 21 * 3600, size).astype("timedelta64[s]").astype("timedelta64[us]")
    return pl.Series([start] * size, dtype=pl.Datetime("us", "UTC")) + pl.Series(seconds)


def corrected(
    recorded: pl.DataFrame,
    clean: pl.DataFrame,
    rng: np.random.Generator,
    seen: pl.Series,
    start: datetime,
) -> tuple[pl.DataFrame, pl.Series]:
    """The records as they stand on the day after `start`, and when each was corrected (null: not at all).

    Corrected are some of those that were `seen` before `start` with a wrong name or birth date. Row i of
    everything given is one record.
    """
    wrong = recorded.select(
        pl.any_horizontal(
            pl.col(c).ne_missing(clean[c]) for c in ("last_name", "first_name", "date_of_birth")
        )
    ).to_series()
    rows = some(rng, (wrong & (seen < start)).arg_true().to_numpy(), 0.05, 3)
    hit = pl.Series(np.isin(np.arange(recorded.height), rows))
    after = recorded.select(clean[c].zip_with(hit, recorded[c]).alias(c) for c in recorded.columns)
    stamps = pl.Series([None] * recorded.height, dtype=pl.Datetime("us", "UTC"))
    return after, stamps.scatter(rows, moments(rng, len(rows), start))
