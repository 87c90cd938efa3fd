"""Keyed hashes over several values at once, for whole tables: AES-CMAC over digests of the parts.

A match key joins two to four parts of a record, so its values are nearly all distinct, and forty of them a
record make the bulk of all hashing. So each distinct *part* is hashed once (HMAC-SHA-256, `keyed`), and a
match key is the AES-256-CMAC (NIST SP 800-38B) of its name's digest and its parts' digests, 128 bits each:
the messages are whole blocks, and a column is a few passes of AES over all rows together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from leadhub.identity import keyed

BLOCK = 16
#: a token is as wide as a machine word: among 10⁷ distinct values two meet with probability 3·10⁻⁶
TOKEN_BYTES = 8


@dataclass(frozen=True)
class Digests:
    """A column as keyed digests: row i has `blocks[codes[i]]`; a code of −1 is a missing value.

    `blocks` is (distinct values, 16) of uint8; `bits`: how rare each is (`rarity`), float32.
    """

    codes: np.ndarray
    blocks: np.ndarray
    bits: np.ndarray

    @property
    def known(self) -> np.ndarray:
        return self.codes >= 0

    def row_bits(self) -> np.ndarray:
        """float32 a row; of no meaning where missing."""
        return self.bits[self.codes] if len(self.bits) else np.zeros(len(self.codes), dtype=np.float32)

    def tokens(self) -> np.ndarray:
        """uint64 a row, 0 where missing."""
        words = self.blocks.view(np.uint64)[:, 0]
        if not len(words):
            return np.zeros(len(self.codes), dtype=np.uint64)
        return np.where(self.known, words[self.codes], np.uint64(0))


def digest(codes: np.ndarray, once: pl.Series, key: str, bits: np.ndarray | None = None) -> Digests:
    """`once` holds the text of each code (−1: missing), null where a rule found nothing; `key` is an HMAC
    text key."""
    hexed = keyed.hmac_column(once, key, "")
    missing = hexed.is_null().to_numpy()
    raw = hexed.fill_null("0" * 2 * BLOCK).str.decode("hex").rechunk()
    plain = raw.to_arrow(compat_level=pl.CompatLevel.oldest()).buffers()[2]
    blocks = np.frombuffer(plain, dtype=np.uint8, count=len(raw) * BLOCK).reshape(-1, BLOCK)
    if missing.any():
        codes = np.where(missing[codes] & (codes >= 0), -1, codes)
    return Digests(codes, blocks, np.zeros(len(blocks), dtype=np.float32) if bits is None else bits)


class Mac:
    """AES-256-CMAC over rows of whole blocks."""

    def __init__(self, key: bytes):
        # the mode is a means to reach the bare block cipher: the chaining below is CMAC's own
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        zero = int.from_bytes(self._encrypt(np.zeros((1, BLOCK), np.uint8)).tobytes(), "big")
        doubled = (zero << 1) & ((1 << 128) - 1)
        subkey = doubled ^ 0x87 if zero >> 127 else doubled
        self._last = np.frombuffer(subkey.to_bytes(BLOCK, "big"), dtype=np.uint64)

    def _encrypt(self, blocks: np.ndarray) -> np.ndarray:
        plain = np.ascontiguousarray(blocks)
        sealed = bytearray(plain.nbytes + BLOCK)
        self._cipher.encryptor().update_into(plain.data.cast("B"), sealed)
        return np.frombuffer(sealed, dtype=np.uint8, count=plain.nbytes).reshape(blocks.shape)

    def rows(self, name: bytes, parts: Sequence[Digests], apt: np.ndarray) -> np.ndarray:
        """Token of each row, uint64, over `name` (16 bytes) and its parts; 0 where one is missing, or where
        the row is not `apt`."""
        known = np.logical_and.reduce([apt, *(p.known for p in parts)])
        out = np.zeros(len(known), dtype=np.uint64)
        at = np.flatnonzero(known)
        if not len(at):
            return out
        first = self._encrypt(np.frombuffer(name, np.uint8).reshape(1, BLOCK)).view(np.uint64)
        state = np.broadcast_to(first, (len(at), 2))
        for i, part in enumerate(parts):
            block = part.blocks.view(np.uint64)[part.codes[at]]
            block ^= state
            if i == len(parts) - 1:
                block ^= self._last
            state = self._encrypt(block.view(np.uint8)).view(np.uint64)
        out[at] = state[:, 0]
        return out
