"""AES-256-CMAC (NIST SP 800-38B, RFC 4493) of whole columns, cut to a machine word.

Of many short messages a hash function spends most of its time on beginning and ending each. A block
cipher does not: all first blocks of a column are one call, then all second blocks.

A word is 64 bits: among 10⁷ distinct values two meet with probability 3·10⁻⁶.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes

from leadhub.identity import letters

BLOCK = 16
#: texts whose blocks fit the processor's cache
_CHUNK = 1 << 14
#: by how many bytes a message fills of its last block, and last for a block before that: what is kept of 16
#: bytes, and what ends the message
_MORE = BLOCK + 1
_KEPT = b"".join(b"\xff" * n + bytes(BLOCK - n) for n in (*range(_MORE), BLOCK))
_ENDED = b"".join((bytes(n) + b"\x80" + bytes(BLOCK))[:BLOCK] for n in range(_MORE + 1))


def _as_words(blocks: bytes) -> np.ndarray:
    return np.frombuffer(blocks, dtype=np.uint64).reshape(-1, 2)


class Mac:
    """The function under one key (16, 24 or 32 bytes)."""

    def __init__(self, key: bytes):
        # the mode is a means to reach the bare block cipher: the chaining below is CMAC's own
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305
        whole = _doubled(self._cipher.encryptor().update(bytes(BLOCK)))
        self._kept, self._ended = _as_words(_KEPT), _as_words(_ENDED).copy()
        self._ended[:BLOCK] ^= _as_words(_doubled(whole))
        self._ended[BLOCK] = self._last = _as_words(whole)[0]
        self._ended[_MORE] = 0

    def texts(self, texts: pl.Series) -> np.ndarray:
        """The first word of each text's MAC (uint64, of its UTF-8); 0 for null."""
        written, lengths = letters.in_bytes(texts)
        starts = np.cumsum(lengths) - lengths
        # any 16 bytes that begin in a text
        padded = np.append(written, np.zeros(BLOCK, dtype=np.uint8))
        windows = np.ndarray(len(written) + 1, dtype=f"V{BLOCK}", buffer=padded, strides=(1,))
        cipher, words = _Blocks(self._cipher.encryptor(), _CHUNK), np.empty(len(texts), dtype=np.uint64)
        for begin in range(0, len(texts), _CHUNK):
            rows = slice(begin, begin + _CHUNK)
            words[rows] = self._chained(cipher, windows, starts[rows], lengths[rows])
        if texts.null_count():
            words[texts.is_null().to_numpy()] = 0
        return words

    def _chained(
        self, cipher: _Blocks, windows: np.ndarray, starts: np.ndarray, lengths: np.ndarray
    ) -> np.ndarray:
        words = np.empty(len(starts), dtype=np.uint64)
        left, state, rows = lengths, None, np.arange(len(starts))
        while True:
            fills = np.minimum(left, _MORE)
            block = windows[starts].view(np.uint64).reshape(-1, 2)
            block &= self._kept[fills]
            block ^= self._ended[fills]
            if state is not None:
                block ^= state
            sealed = cipher.encrypt(block)
            words[rows] = sealed[:, 0]
            more = np.flatnonzero(fills == _MORE)
            if not len(more):
                return words
            rows, starts, left, state = rows[more], starts[more] + BLOCK, left[more] - BLOCK, sealed[more]

    def over(self, rows: int) -> Macs:
        """For many messages of words, of up to so many rows: one thread at a time."""
        return Macs(_Blocks(self._cipher.encryptor(), rows), self._last, rows)


def _doubled(block: bytes) -> bytes:
    """In the field of 2¹²⁸ elements: CMAC's subkeys are its zero block's cipher text doubled once, and
    twice."""
    number = int.from_bytes(block, "big")
    shifted = (number << 1) & ((1 << 128) - 1)
    return (shifted ^ 0x87 if number >> 127 else shifted).to_bytes(BLOCK, "big")


class _Blocks:
    """The block cipher over up to `most` blocks, in the same working memory each time: memory that is new
    costs as much as the cipher."""

    def __init__(self, encryptor: CipherContext, most: int):
        self.encryptor = encryptor
        self._sealed = bytearray(most * BLOCK + BLOCK - 1)

    def encrypt(self, block: np.ndarray) -> np.ndarray:
        """Of two words a row as many. Valid until the next call."""
        room = memoryview(self._sealed)[: block.nbytes + BLOCK - 1]
        self.encryptor.update_into(block.view(np.uint8).data.cast("B"), room)
        return np.frombuffer(self._sealed, dtype=np.uint64, count=block.size).reshape(block.shape)


class Macs:
    """MACs of up to `rows` rows, each over a name that all have and some words of its own."""

    def __init__(self, cipher: _Blocks, last: np.ndarray, rows: int):
        self._cipher, self._last = cipher, last
        self._open = np.empty((rows, 2), dtype=np.uint64)

    def rows(self, name: bytes, parts: Sequence[np.ndarray]) -> np.ndarray:
        """The first word of each row's MAC, uint64: over `name` (16 bytes) and `parts` (uint64 a row), two
        a block, the last block filled up with zeros. Valid until the next call."""
        block = self._open[: len(parts[0])]
        # of the first block, which is the name, the cipher text is every row's; then a column a row
        state = list(np.frombuffer(self._cipher.encryptor.update(name), dtype=np.uint64))
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
            sealed = self._cipher.encrypt(block)
            state = [sealed[:, 0], sealed[:, 1]]
        return state[0]
