"""Rules that look at each letter of a name, for all names at once: their letters end to end in numpy."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import keyed

#: Soundex digit by letter: 0 for vowels and Y, which part equal codes; _UNHEARD for H and W, which do not
_UNHEARD = 9
_SOUND = np.zeros(256, dtype=np.uint8)
for _digit, _members in enumerate(("BFPV", "CGJKQSXZ", "DT", "L", "MN", "R"), start=1):
    _SOUND[[ord(letter) for letter in _members]] = _digit
_SOUND[[ord("H"), ord("W")]] = _UNHEARD
#: names shorter than this have too many neighbours
LEAST_LETTERS = 4


def soundex(names: pl.Series) -> pl.Series:
    """American Soundex as the US National Archives state it: H and W do not part equal codes.

    Null for names without Latin letters.
    """
    latin = names.str.replace_all(r"[^A-Z]", "").replace("", None)
    written, lengths = in_bytes(latin)
    word = np.repeat(np.arange(len(lengths)), lengths)
    begins = np.append(True, word[1:] != word[:-1])[: len(word)]
    sounds = _SOUND[written]
    heard = (sounds != _UNHEARD) | begins
    word, begins, sounds = word[heard], begins[heard], sounds[heard]
    again = np.append(False, sounds[1:] == sounds[:-1])[: len(sounds)]
    told = (sounds > 0) & (sounds != _UNHEARD) & ~again & ~begins
    word, sounds = word[told], sounds[told]
    # the how manieth digit of its word
    at = np.arange(len(word)) - np.searchsorted(word, word) + 1
    codes = np.full((len(lengths), 4), ord("0"), dtype=np.uint8)
    known = lengths > 0
    codes[known, 0] = written[(np.cumsum(lengths) - lengths)[known]]
    codes[word[at <= 3], at[at <= 3]] = sounds[at <= 3] + ord("0")
    made = _texts(codes.tobytes(), np.full(len(lengths), 4))
    return made.set(pl.Series(~known), None)


def without_each(names: pl.Series) -> tuple[np.ndarray, pl.Series]:
    """Each name, and the name without its last letter, and so on to without its first: how many texts each
    name has, and the texts. A name of fewer than LEAST_LETTERS stands alone; null has none."""
    count = names.str.len_chars().fill_null(0).cast(pl.Int64).to_numpy()
    letters = np.frombuffer(_text(names).encode("utf-32-le"), dtype=np.uint32)
    several = count >= LEAST_LETTERS
    # a name of n letters, and n of n − 1
    room = np.where(several, count**2, count)
    starts, places = np.cumsum(count) - count, np.cumsum(room) - room
    spread = np.empty(room.sum(), dtype=np.uint32)
    for n in np.unique(count):
        rows = np.flatnonzero(count == n)
        # of which letters of the name the texts consist
        kept = np.arange(n)
        if n >= LEAST_LETTERS:
            kept = np.concatenate([kept, *(np.delete(kept, i) for i in reversed(range(n)))])
        spread[places[rows, None] + np.arange(len(kept))] = letters[starts[rows, None] + kept]
    counts = np.where(several, count + 1, count > 0)
    lengths = np.repeat(np.where(several, count - 1, count), counts)
    lengths[(np.cumsum(counts) - counts)[several]] += 1
    return counts, _texts(spread.tobytes().decode("utf-32-le").encode(), _widths(spread, lengths))


def _widths(letters: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Bytes in UTF-8 of texts of so many letters, one after the other."""
    wide = np.flatnonzero(letters > 0x7F)
    if not len(wide):
        return lengths
    more = sum((letters[wide] > most).astype(np.int64) for most in (0x7F, 0x7FF, 0xFFFF))
    text = np.searchsorted(np.cumsum(lengths), wide, side="right")
    return lengths + np.bincount(text, weights=more, minlength=len(lengths)).astype(np.int64)


def _text(texts: pl.Series) -> str:
    return in_bytes(texts)[0].tobytes().decode()


def in_bytes(texts: pl.Series) -> tuple[np.ndarray, np.ndarray]:
    """All bytes (uint8), and how many each text has (int64; null has none)."""
    array = keyed.to_array(texts.fill_null(""))
    if not len(array):
        return np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int64)
    _, offsets, written = array.buffers()
    ends = np.frombuffer(offsets, dtype=np.int32)[array.offset :][: len(array) + 1]
    return np.frombuffer(written or b"", dtype=np.uint8)[ends[0] : ends[-1]], np.diff(ends).astype(np.int64)


def _texts(written: bytes, lengths: np.ndarray) -> pl.Series:
    """Texts of so many bytes, one after the other."""
    offsets = np.append(0, np.cumsum(lengths)).astype(np.int32)
    return keyed.to_series(
        pa.StringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(written))
    )
