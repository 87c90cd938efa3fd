"""Columns as codes into their distinct values, so that what is done to values is done once for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from leadhub.identity import keyed


@dataclass(frozen=True)
class Coded:
    """Row i of a column has `once[codes[i]]`; nothing where the code (int64) is −1."""

    codes: np.ndarray
    once: pl.Series

    @classmethod
    def of(cls, values: pl.Series) -> Coded:
        codes, once = keyed.distinct(values)
        return cls(codes.cast(pl.Int64).fill_null(-1).to_numpy(), once)

    @classmethod
    def nothing(cls, rows: int, dtype: type[pl.DataType] = pl.String) -> Coded:
        return cls(np.full(rows, -1, dtype=np.int64), pl.Series([], dtype=dtype))

    def values(self) -> pl.Series:
        """The column itself."""
        return self.spread(self.once)

    def spread(self, along: pl.Series) -> pl.Series:
        """A row's entry of `along` (an entry for each of `once`), null where the row has nothing."""
        at = pl.Series(self.codes)
        return along.gather(at.set(at == -1, None).cast(pl.UInt32))

    def map(self, function: Callable[[pl.Series], pl.Series]) -> Coded:
        """The column under a map of values, null to null; values that became equal are one again."""
        made = Coded.of(function(self.once))
        return Coded(np.append(made.codes, np.int64(-1))[self.codes], made.once)

    def among(self, values: Sequence[str]) -> np.ndarray:
        """Of each row, whether its value is one of these."""
        return np.append(self.once.is_in(values).fill_null(value=False).to_numpy(), False)[self.codes]

    def without(self, rows: np.ndarray) -> Coded:
        """Nothing in these rows (a mask)."""
        return Coded(np.where(rows, np.int64(-1), self.codes), self.once)

    def otherwise(self, other: Coded) -> Coded:
        """The other column's value where this one has none."""
        both = Coded.of(pl.concat([self.once, other.once]))
        mine, theirs = np.split(both.codes, [len(self.once)])
        codes = np.where(
            self.codes == -1,
            np.append(theirs, np.int64(-1))[other.codes],
            np.append(mine, np.int64(-1))[self.codes],
        )
        return Coded(codes, both.once)
