"""Which of many words are among a few: one pass over them as they lie in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from leadhub.identity.linkage.records import Records, mix, raw, there

#: bits of a token that give way to the number of its record; the others are its block
ROW_BITS = np.uint64(26)
#: flags that stay in the processor's cache beside the words, and those of the bits below
_FIRST, _SECOND = 17, 19
_CHUNK = 1 << 15
_ALL = np.uint64(0)


class Few:
    """A few words, each once (`words`, sorted); words are tokens or hashes, and so uniform. Of their bits,
    `but` the lowest do not count: at most those that the flags leave."""

    def __init__(self, words: np.ndarray, but: np.uint64 = _ALL):
        self._but = but
        self.words = distinct(words >> but << but)
        self._first, self._second = (np.zeros(1 << bits, dtype=bool) for bits in (_FIRST, _SECOND))
        self._first[_upper(self.words)] = True
        self._second[_below(self.words)] = True

    def among(self, words: np.ndarray) -> np.ndarray:
        """Places of those of many words that are among the few, rising."""
        found = [np.zeros(0, dtype=np.int64)]
        found += [self._in(words[at : at + _CHUNK]) + at for at in range(0, len(words), _CHUNK)]
        return np.concatenate(found)

    def _in(self, words: np.ndarray) -> np.ndarray:
        at = np.flatnonzero(self._first[_upper(words)])
        few = words[at]
        likely = self._second[_below(few)]
        at, few = at[likely], few[likely] >> self._but << self._but
        place = np.searchsorted(self.words, few)
        return at[self.words[np.minimum(place, len(self.words) - 1)] == few] if len(few) else at


def distinct(words: np.ndarray) -> np.ndarray:
    """Sorted, each once: sorting is several times faster than hashing here."""
    words = np.sort(words)
    return words[np.concatenate([[True], words[1:] != words[:-1]])] if len(words) else words


def _upper(words: np.ndarray) -> np.ndarray:
    return (words >> np.uint64(64 - _FIRST)).view(np.int64)


def _below(words: np.ndarray) -> np.ndarray:
    return (words << np.uint64(_FIRST) >> np.uint64(64 - _SECOND)).view(np.int64)


def meeting(records: Records, asked: np.ndarray, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Blocks and rows of the records (as they lie) that stand in one of the blocks `asked` for."""
    few = Few(asked << ROW_BITS, but=ROW_BITS)
    blocks, rows = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)]
    names = records.columns_of(key)
    if len(few.words) and set(names) <= set(records.table.column_names):
        columns = pa.table({name: records.table.column(name).cast(pa.uint64()) for name in names})
        begun, mixed = 0, np.empty(_CHUNK, dtype=np.uint64)
        for batch in columns.to_batches(max_chunksize=_CHUNK):
            words = [raw(column) for column in batch.columns]
            if records.apart is not None:
                words = [each ^ records.apart[begun : begun + len(batch)] for each in words]
            one = words[0] if records.stored(key) else mix(words, mixed[: len(batch)])
            at = few.among(one)
            for column in batch.columns:
                at = at[there(column, at).view(bool)]
            blocks.append(one[at] >> ROW_BITS)
            rows.append(at + begun)
            begun += len(batch)
    return np.concatenate(blocks), np.concatenate(rows)
