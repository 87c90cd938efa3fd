"""Words of whole columns are the standard's, as another implementation makes them."""

import numpy as np
import polars as pl
import pytest
from cryptography.hazmat.primitives.ciphers import algorithms
from cryptography.hazmat.primitives.cmac import CMAC
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.identity import cmac
from leadhub.identity.cmac import Mac

KEYS = st.sampled_from([bytes(range(n)) for n in (16, 24, 32)])


def word(key: bytes, message: bytes) -> int:
    """RFC 4493 by another implementation."""
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return int.from_bytes(mac.finalize()[:8], "little")


def texts(values) -> pl.Series:
    return pl.Series(values, dtype=pl.String)


@settings(max_examples=60, deadline=None)
@given(KEYS, st.lists(st.one_of(st.none(), st.text(max_size=40)), max_size=20))
def test_each_text_has_its_own_mac_whatever_stands_beside_it(key, values):
    made = Mac(key).texts(texts(values)).tolist()
    assert made == [0 if value is None else word(key, value.encode()) for value in values]


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 31, 32, 33, 48, 1000])
def test_messages_that_fill_blocks_and_that_do_not(length):
    key = bytes(32)
    assert Mac(key).texts(texts(["a" * length])).tolist() == [word(key, b"a" * length)]


def test_a_column_of_more_texts_than_are_looked_at_together():
    values = [str(i) * (i % 7) for i in range(2 * cmac._CHUNK + 3)]
    made = Mac(bytes(16)).texts(texts(values))
    some = [0, 6, cmac._CHUNK - 1, cmac._CHUNK, len(values) - 1]
    assert [int(made[i]) for i in some] == [word(bytes(16), values[i].encode()) for i in some]
    # a slice begins within the column's memory
    assert np.array_equal(Mac(bytes(16)).texts(texts(values)[5:]), made[5:])


@settings(max_examples=60, deadline=None)
@given(KEYS, st.binary(min_size=16, max_size=16), st.integers(1, 5), st.integers(0, 2**64 - 1))
def test_words_after_a_name_are_a_message_of_whole_blocks(key, name, count, first):
    parts = [np.array([first ^ i, i], dtype=np.uint64) for i in range(count)]
    made = Mac(key).over(2).rows(name, parts).tolist()
    blank = bytes(8 * (count % 2))
    messages = [name + b"".join(p[row].tobytes() for p in parts) + blank for row in (0, 1)]
    assert made == [word(key, message) for message in messages]
