"""Which of all records have a token that one of a few has: one pass over a column as it lies in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from leadhub.identity.linkage.records import NULL, Records

#: bits of a token that give way to the number of its record; the others are its block
ROW_BITS = np.uint64(26)
#: half a megabyte of flags, and words that stay in the processor's cache beside them
_BITS = np.uint64((1 << 19) - 1)
_CHUNK = 1 << 15


def meeting(records: Records, some: Records, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Blocks and rows of the records with a block that one of `some` has too, `some` among them."""
    tokens = some.key(key)
    few = np.unique(tokens[tokens != NULL] >> ROW_BITS)
    flags = np.zeros(int(_BITS) + 1, dtype=bool)
    flags[few & _BITS] = True
    chunks, record = records.chunks(key)
    blocks, rows, begun = [np.zeros(0, dtype=np.uint64)], [np.zeros(0, dtype=np.int64)], 0
    for chunk in chunks:
        block, place = _likely(chunk, flags)
        # most meet nothing, and were passed over; of the rest some have a flag in common by chance
        there = few[np.minimum(np.searchsorted(few, block), len(few) - 1)] == block if len(few) else []
        blocks.append(block[there])
        rows.append(place[there] + begun)
        begun += len(chunk)
    row = np.concatenate(rows)
    return np.concatenate(blocks), row if record is None else record[row]


def _likely(chunk: pa.Array, flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Blocks whose flag is set, and their places."""
    values = chunk.buffers()[1]
    words = np.frombuffer(values, dtype=np.uint64)[chunk.offset : chunk.offset + len(chunk)]
    found = []
    for at in range(0, len(words), _CHUNK):
        flag = (words[at : at + _CHUNK] >> ROW_BITS) & _BITS
        found.append(np.flatnonzero(flags[flag.view(np.int64)]) + at)
    place = np.concatenate(found) if found else np.zeros(0, dtype=np.int64)
    # what lies beneath a null is no token
    known = chunk.take(pa.array(place)).fill_null(0).to_numpy()
    return known[known != NULL] >> ROW_BITS, place[known != NULL]
