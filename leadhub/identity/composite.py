"""Keyed hashes over several values at once, for whole tables: AES-CMAC over digests of the parts.

A match key joins two to four parts of a record, so its values are nearly all distinct, and a hundred of
them a record make the bulk of all hashing. So each distinct *part* is hashed once (HMAC-SHA-256, `keyed`),
and a match key is the AES-256-CMAC (NIST SP 800-38B) of its name's digest and its parts' digests: the
messages are whole blocks, and a column is a few passes of AES over many rows together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from leadhub.identity import keyed

BLOCK = 16
#: a digest and a token are as wide as a machine word: among 10⁷ distinct values two meet with probability
#: 3·10⁻⁶
TOKEN_BYTES = 8
#: texts that tell whether the others repeat: to look each up takes nearly as long as to hash it
_LOOKED_AT = 10_000


@dataclass(frozen=True)
class Digests:
    """A column as keyed digests: row i has `words[codes[i]]` (uint64), 0 where missing.

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


def digest(codes: np.ndarray, once: pl.Series, key: str, bits: np.ndarray | None = None) -> Digests:
    """`once` holds the text of each code (−1: missing), null where a rule found nothing; `key` is an HMAC
    text key; `bits` along `once`."""
    told = np.zeros(len(once), dtype=np.float32) if bits is None else bits
    return Digests(codes, np.append(words(once, key), np.uint64(0)), np.append(told, np.float32(0)))


def words(once: pl.Series, key: str) -> np.ndarray:
    """The first word of each text's HMAC, uint64; 0 for null."""
    begun = once.head(_LOOKED_AT)
    if 2 * begun.n_unique() > len(begun):
        return _words(once, key)
    codes, distinct = keyed.distinct(once)
    return np.append(_words(distinct, key), np.uint64(0))[codes.fill_null(len(distinct)).to_numpy()]


def _words(texts: pl.Series, key: str) -> np.ndarray:
    first = keyed.hmac_hex(texts, key).str.slice(0, 2 * TOKEN_BYTES)
    big_endian = first.str.to_integer(base=16, dtype=pl.UInt64).fill_null(0)
    return big_endian.to_numpy().byteswap()


class Mac:
    """AES-256-CMAC over rows of whole blocks."""

    def __init__(self, key: bytes):
        # the mode is a means to reach the bare block cipher: the chaining below is CMAC's own
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        zero = int.from_bytes(self._cipher.encryptor().update(bytes(BLOCK)), "big")
        doubled = (zero << 1) & ((1 << 128) - 1)
        subkey = doubled ^ 0x87 if zero >> 127 else doubled
        self._last = np.frombuffer(subkey.to_bytes(BLOCK, "big"), dtype=np.uint64)

    def over(self, rows: int) -> Macs:
        """For many keys of up to so many rows: one thread at a time."""
        return Macs(self._cipher.encryptor(), self._last, rows)


class Macs:
    """Tokens of up to `rows` rows, in the same working memory for each match key: memory that is new each
    time costs as much as the cipher."""

    def __init__(self, encryptor: CipherContext, last: np.ndarray, rows: int):
        self._encryptor, self._last = encryptor, last
        self._open = np.empty((rows, 2), dtype=np.uint64)
        self._sealed = bytearray(rows * BLOCK + BLOCK - 1)

    def rows(self, name: bytes, parts: Sequence[np.ndarray]) -> np.ndarray:
        """Token of each row, uint64: over `name` (16 bytes) and its parts' digests (uint64 a row), two a
        block, the last block filled up with zeros. Valid until the next call."""
        block = self._open[: len(parts[0])]
        # of the first block, which is the name, the cipher text is every row's; then a column a row
        state = list(np.frombuffer(self._encryptor.update(name), dtype=np.uint64))
        for i in range(0, len(parts), 2):
            for side in (0, 1):
                column = block[:, side]
                ending = self._last[side] if i + 2 >= len(parts) else np.uint64(0)
                if i == 0:
                    state[side], ending = state[side] ^ ending, np.uint64(0)
                part = parts[i + side] if i + side < len(parts) else np.uint64(0)
                np.bitwise_xor(part, state[side], out=column)
                if ending:
                    np.bitwise_xor(column, ending, out=column)
            state = self._encrypt(block)
        return state[0]

    def _encrypt(self, block: np.ndarray) -> list[np.ndarray]:
        room = memoryview(self._sealed)[: block.nbytes + BLOCK - 1]
        self._encryptor.update_into(block.view(np.uint8).data.cast("B"), room)
        sealed = np.frombuffer(self._sealed, dtype=np.uint64, count=block.size).reshape(block.shape)
        return [sealed[:, 0], sealed[:, 1]]
