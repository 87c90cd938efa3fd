"""Columns as keyed words: each distinct value once (AES-256-CMAC, `cmac`), and a code a row.

A match key joins two to four parts of a record, so its values are nearly all distinct, and a hundred of
them a record make the bulk of all hashing. So each distinct *part* is made a word first, and a match key
is the MAC of its name's digest and its parts' words.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from leadhub.identity.cmac import Mac


@dataclass(frozen=True)
class Digests:
    """Row i of a column has `words[codes[i]]` (uint64), 0 where missing.

    A code of −1 is a missing value: it points at the last word, which is 0. `bits`, along `words`: how rare
    each value is (`rarity`), float32.
    """

    codes: np.ndarray
    words: np.ndarray
    bits: np.ndarray

    def tokens(self, rows: slice = slice(None)) -> np.ndarray:
        """uint64 a row, 0 where missing."""
        return self.words[self.codes[rows]]

    def row_bits(self, rows: slice) -> np.ndarray:
        """float32 a row; 0 where missing."""
        return self.bits[self.codes[rows]]


def digest(codes: np.ndarray, once: pl.Series, mac: Mac, bits: np.ndarray | None = None) -> Digests:
    """`once` holds the text of each code (−1: missing), null where a rule found nothing; `bits` along
    `once`."""
    told = np.zeros(len(once), dtype=np.float32) if bits is None else bits
    return Digests(codes, np.append(mac.texts(once), np.uint64(0)), np.append(told, np.float32(0)))
