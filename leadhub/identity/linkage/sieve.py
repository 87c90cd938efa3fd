"""Which of many words are among a few: one pass over them as they lie in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.words import as_words, distinct, mix, raw, there

#: bits of a token that give way to the number of its record; the others are its block
ROW_BITS = np.uint64(26)
#: a flag for each beginning of a word, so many that one in 32 is up at most, as far as the processor's
#: cache holds them
_SPARSE, _FLAGS = 6, (16, 22)
#: words whose flags are looked up together: two threads that pass in turn wait for one another in between
_CHUNK = 1 << 18
_ALL = np.uint64(0)


class Room(threading.local):
    """Working memory, each thread's own: memory that is new each time costs as much as the pass."""

    def __init__(self) -> None:
        self.places = np.empty(_CHUNK, dtype=np.int64)
        self.up = np.empty(_CHUNK, dtype=bool)
        self.mixed = np.empty(_CHUNK, dtype=np.uint64)


class Few:
    """A few words, each once (`words`, sorted); words are tokens or hashes, and so uniform. Of their bits,
    `but` the lowest do not count."""

    def __init__(self, words: np.ndarray, but: np.uint64 = _ALL):
        self._but = but
        self.words = distinct(words >> but << but)
        bits = len(self.words).bit_length()
        self._flag = np.uint64(64 - min(_FLAGS[1], max(_FLAGS[0], bits + _SPARSE)))
        self._up = np.zeros(1 << (64 - int(self._flag)), dtype=bool)
        self._up[_places(self.words, self._flag)] = True
        # where the words of each beginning stand, of which few have two
        self._beginning = np.uint64(64 - (bits + 2))
        sizes = np.bincount(_places(self.words, self._beginning), minlength=1 << (bits + 2))
        self._begun = np.cumsum(sizes) - sizes
        self._ended = np.append(self.words, ~_ALL)

    def among(self, words: np.ndarray) -> np.ndarray:
        """Places of those of many words that are among the few, rising."""
        return self.met(words)[0]

    def met(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same, and which of `words` each is."""
        found = [(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64))]
        room = Room()
        for begin in range(0, len(words), _CHUNK):
            at, which = self.met_in(words[begin : begin + _CHUNK], room)
            found.append((at + begin, which))
        at, which = map(np.concatenate, zip(*found))
        return at, which

    def met_in(self, words: np.ndarray, room: Room) -> tuple[np.ndarray, np.ndarray]:
        """The same, of so many words at most as are looked up together."""
        places, up = room.places[: len(words)], room.up[: len(words)]
        np.right_shift(words, self._flag, out=places.view(np.uint64))
        # no place lies outside; with a mode it lets other threads work meanwhile, and checks none first
        self._up.take(places, out=up, mode="clip")
        at = np.flatnonzero(up)
        likely = words[at] >> self._but << self._but
        which = self._begun[_places(likely, self._beginning)]
        there = self._ended[which]
        late = np.flatnonzero(there < likely)
        while len(late):
            which[late] += 1
            there[late] = self._ended[which[late]]
            late = late[there[late] < likely[late]]
        same = (there == likely) & (which < len(self.words))
        return at[same], which[same]


def _places(words: np.ndarray, shift: np.uint64) -> np.ndarray:
    return (words >> shift).view(np.int64)


def meeting(
    records: Records, asked: np.ndarray, key: str, room: Room
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of the records (as they lie) that stand in one of the blocks `asked` for (sorted, each once),
    which of them, and their tokens: a block is not all of a token."""
    few = Few(asked << ROW_BITS, but=ROW_BITS)
    nowhere = np.zeros(0, dtype=np.int64)
    found = [(nowhere, nowhere, np.zeros(0, dtype=np.uint64))]
    if len(asked):
        for begun, columns, words in _passed(records, key, room):
            at, which = few.met_in(words, room)
            known = np.logical_and.reduce([there(column, at) for column in columns])
            found.append((at[known] + begun, which[known], words[at[known]]))
    rows, which, tokens = map(np.concatenate, zip(*found))
    return rows, which, tokens


def _passed(records: Records, key: str, room: Room) -> Iterator[tuple[int, list[pa.Array], np.ndarray]]:
    """The first row of each piece of the records, its columns that a key is made of, and the key's tokens;
    where a column is null, they may be any."""
    names = records.columns_of(key)
    if not set(names) <= set(records.columns):
        return
    begun = 0
    columns = pa.table({name: as_words(records.columns[name]) for name in names})
    for batch in columns.to_batches(max_chunksize=_CHUNK):
        words = [raw(column) for column in batch.columns]
        if records.apart is not None:
            words = [each ^ records.apart[begun : begun + len(batch)] for each in words]
        yield begun, batch.columns, words[0] if len(words) == 1 else mix(words, room.mixed[: len(batch)])
        begun += len(batch)
