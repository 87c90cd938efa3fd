"""Parts with several values: which records share one of them.

What a record shares depends on its values alone, so the question is answered once for each pair of distinct
lists of values that share anything, and looked up for pairs of records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity.linkage.words import NULL, distinct

_NOTHING = -1
_ODD = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93))
#: 4 MB, which the processor's cache holds
_SIEVE_BITS = 25


@dataclass(frozen=True)
class Neighbours:
    """`value`: number of each record's list, −1 where missing; `alike`: a hash table of the pairs of
    lists that share something, as words `low << 32 | high`; `sieve`: a Bloom filter of them (Bloom 1970),
    for most pairs share nothing."""

    value: np.ndarray
    alike: np.ndarray
    sieve: np.ndarray

    def known(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Of pairs of records: whether both have values."""
        return (self.value[left] != _NOTHING) & (self.value[right] != _NOTHING)

    def share(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Of pairs of records: whether they share a value."""
        one, other = self.value[left], self.value[right]
        same = (one == other) & (one != _NOTHING)
        pairs = _packed(one, other)
        likely = np.flatnonzero(_in_sieve(self.sieve, pairs) & (one != _NOTHING) & (other != _NOTHING))
        same[likely[_in_table(self.alike, pairs[likely])]] = True
        return same


@dataclass(frozen=True)
class Lists:
    """The same for few records, of which few pairs are asked for: (records, most tokens of one), NULL where
    a record has fewer."""

    tokens: np.ndarray

    def known(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """As `Neighbours`."""
        own = self.tokens[:, 0]
        return (own[left] != NULL) & (own[right] != NULL)

    def share(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """As `Neighbours`."""
        one, other = self.tokens[left], self.tokens[right]
        found = np.zeros(len(left), dtype=bool)
        for token in one.T:
            found |= (other == token[:, None]).any(axis=1) & (token != NULL)
        return found


def _packed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    # as 64 bits before the shift; what is missing is dropped by the caller
    low, high = np.minimum(one, other).astype(np.uint64), np.maximum(one, other).astype(np.uint64)
    return (low << np.uint64(32)) | high


def _table(pairs: np.ndarray) -> np.ndarray:
    """Open addressing with linear probing; 0 is an empty place (a pair of values is never 0)."""
    bits = max(4, (2 * len(pairs)).bit_length())
    table = np.zeros(1 << bits, dtype=np.uint64)
    place = (pairs * _ODD[0]) >> np.uint64(64 - bits)
    while len(pairs):
        free = table[place] == 0
        table[place[free]] = pairs[free]
        left_over = table[place] != pairs
        pairs, place = pairs[left_over], (place[left_over] + np.uint64(1)) & np.uint64(len(table) - 1)
    return table


def _in_table(table: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    found = np.zeros(len(pairs), dtype=bool)
    at = np.arange(len(pairs))
    bits = len(table).bit_length() - 1
    place = (pairs * _ODD[0]) >> np.uint64(64 - bits)
    while len(at):
        there = table[place]
        found[at[there == pairs]] = True
        go_on = (there != pairs) & (there != 0)
        at, pairs = at[go_on], pairs[go_on]
        place = (place[go_on] + np.uint64(1)) & np.uint64(len(table) - 1)
    return found


def _sieve(alike: np.ndarray) -> np.ndarray:
    sieve = np.zeros(1 << (_SIEVE_BITS - 3), dtype=np.uint8)
    for odd in _ODD:
        place = (alike * odd) >> np.uint64(64 - _SIEVE_BITS)
        np.bitwise_or.at(
            sieve, place >> np.uint64(3), np.uint8(1) << (place & np.uint64(7)).astype(np.uint8)
        )
    return sieve


def _in_sieve(sieve: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    found = np.ones(len(pairs), dtype=np.uint8)
    for odd in _ODD:
        place = (pairs * odd) >> np.uint64(64 - _SIEVE_BITS)
        found &= sieve[place >> np.uint64(3)] >> (place & np.uint64(7)).astype(np.uint8)
    return (found & 1).astype(bool)


def lists(column: pa.ChunkedArray | None, rows: np.ndarray, apart: np.ndarray | None) -> Lists:
    """As `find`, of a few rows of a column."""
    if column is None or not len(rows):
        return Lists(np.zeros((len(rows), 1), dtype=np.uint64))
    found, place = _some(column, rows)
    marked = np.zeros(len(rows), dtype=np.uint64)
    if apart is not None:
        marked[place] = apart
    begun, made = 0, []
    for chunk in found.chunks:
        codes, each, marker = _distinct(chunk, marked[begun : begun + len(chunk)])
        offsets, counts = each.offsets.to_numpy(), each.value_lengths().fill_null(0).to_numpy()
        flat = each.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
        # and one that is missing
        table = np.zeros((len(each) + 1, max(1, counts.max(initial=0))), dtype=np.uint64)
        table[:-1][np.arange(table.shape[1]) < counts[:, None]] = flat ^ np.repeat(marker, counts)
        made.append(table[codes])
        begun += len(chunk)
    whole = np.zeros((len(rows), max(table.shape[1] for table in made)), dtype=np.uint64)
    begun = 0
    for table in made:
        whole[begun : begun + len(table), : table.shape[1]] = table
        begun += len(table)
    return Lists(whole[place])


def find(column: pa.ChunkedArray | None, order: np.ndarray, apart: np.ndarray | None) -> Neighbours:
    """`column`: the tokens of each record, its own value's first (lists, or a dictionary of them in each
    chunk); `order`: its rows in order of the records; `apart`, in that order: see `records`."""
    value = np.full(len(order), _NOTHING, dtype=np.int32)
    if column is None or not len(order):
        nothing = np.zeros(0, np.uint64)
        return Neighbours(value, _table(nothing), _sieve(nothing))
    marked = np.zeros(len(order), dtype=np.uint64)
    if apart is not None:
        marked[order] = apart
    begun, sums, counts, tokens, entry = 0, [], [], [], np.empty(len(value), dtype=np.int64)
    entries = 0
    for chunk in column.chunks:
        rows = slice(begun, begun + len(chunk))
        codes, lists, marker = _distinct(chunk, marked[rows])
        entry[rows] = np.where(codes == _NOTHING, _NOTHING, codes + entries)
        offsets = lists.offsets.to_numpy()
        flat = lists.values.to_numpy(zero_copy_only=False)[offsets[0] : offsets[-1]]
        counts.append(np.diff(offsets))
        flat = flat ^ np.repeat(marker, counts[-1])
        sums.append(np.diff(np.append(NULL, np.cumsum(flat))[offsets - offsets[0]]))
        tokens.append(flat)
        begun, entries = begun + len(chunk), entries + len(lists)
    # tokens are uniform: lists are equal where their sums are
    _, first, number = np.unique(np.concatenate(sums), return_index=True, return_inverse=True)
    known = entry != _NOTHING
    unordered = np.full(len(value), _NOTHING, dtype=np.int32)
    unordered[known] = number[entry[known]]
    alike = _alike(*_listed(first, np.concatenate(counts), np.concatenate(tokens)))
    return Neighbours(unordered[order], _table(alike), _sieve(alike))


def _some(column: pa.ChunkedArray, rows: np.ndarray) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Some rows of a column, in its own order, and the place of each of `rows` among them."""
    rising = rows.argsort()
    there, begun, taken = rows[rising], 0, []
    for chunk in column.chunks:
        here = slice(*np.searchsorted(there, (begun, begun + len(chunk))))
        taken.append(chunk.take(pa.array(there[here] - begun)))
        begun += len(chunk)
    place = np.empty(len(rows), dtype=np.int64)
    place[rising] = np.arange(len(rows))
    return pa.chunked_array(taken, column.type), place


def _distinct(chunk: pa.Array, marked: np.ndarray) -> tuple[np.ndarray, pa.ListArray, np.ndarray]:
    """Place of each row's list (−1: none), the lists, and the marker of each list."""
    if not pa.types.is_dictionary(chunk.type):
        missing = chunk.is_null().to_numpy(zero_copy_only=False)
        return np.where(missing, _NOTHING, np.arange(len(chunk))), chunk, marked
    codes = chunk.indices.fill_null(_NOTHING).to_numpy(zero_copy_only=False).astype(np.int64)
    # a dictionary is one tokenising's, under one marker
    marker = marked[0] if len(marked) else NULL
    return codes, chunk.dictionary, np.full(len(chunk.dictionary), marker)


def _listed(lists: np.ndarray, counts: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The tokens of some of the lists that lie one after another, and the number of each token's list."""
    size = counts[lists]
    begun = (np.cumsum(counts) - counts)[lists] - (np.cumsum(size) - size)
    return np.repeat(np.arange(len(lists)), size), tokens[np.repeat(begun, size) + np.arange(size.sum())]


def _alike(number: np.ndarray, token: np.ndarray) -> np.ndarray:
    """All pairs of lists (by their numbers) with an equal token."""
    by_token = pl.Series(token).arg_sort().to_numpy()
    token, number = token[by_token], number[by_token]
    found = [np.zeros(0, dtype=np.uint64)]
    for step in range(1, len(token)):
        at = np.flatnonzero(token[step:] == token[:-step])
        if not len(at):
            break
        one, other = number[at], number[at + step]
        found.append(_packed(one[one != other], other[one != other]))
    return distinct(np.concatenate(found))
