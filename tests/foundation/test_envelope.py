"""F16: an envelope that was changed in any way never opens, and gives nothing out."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation import envelope
from leadhub.foundation.errors import TerminalError

KEY = bytes(range(32))


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(envelope, "CHUNK", 16)


@given(data=st.binary(max_size=200))
@settings(max_examples=60)
def test_what_goes_in_comes_out(data):
    assert envelope.decrypt(envelope.encrypt(data, KEY), KEY) == data


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 32, 33, 160])
def test_chunk_borders(small_chunks, size):
    data = bytes(i % 251 for i in range(size))
    assert envelope.decrypt(envelope.encrypt(data, KEY), KEY) == data


def test_writes_in_any_portions_give_the_same_plaintext(small_chunks):
    sink = io.BytesIO()
    writer = envelope.EnvelopeWriter(sink, KEY)
    for portion in (b"", b"a" * 5, b"b" * 40, b"c"):
        writer.write(portion)
    writer.close()
    assert envelope.decrypt(sink.getvalue(), KEY) == b"a" * 5 + b"b" * 40 + b"c"


def test_f16_every_flipped_byte_is_found(small_chunks):
    sealed = envelope.encrypt(b"x" * 40, KEY)
    for place in range(len(sealed)):
        broken = bytearray(sealed)
        broken[place] ^= 1
        with pytest.raises(TerminalError, match="invalid_envelope"):
            envelope.decrypt(bytes(broken), KEY)


def test_f16_every_truncation_is_found(small_chunks):
    sealed = envelope.encrypt(b"x" * 40, KEY)
    for length in range(len(sealed)):
        with pytest.raises(TerminalError, match="invalid_envelope"):
            envelope.decrypt(sealed[:length], KEY)


def test_f16_swapped_and_added_chunks_are_found(small_chunks):
    sealed = envelope.encrypt(b"a" * 16 + b"b" * 16 + b"c" * 8, KEY)
    head, body = sealed[:20], sealed[20:]
    first, second, rest = body[:32], body[32:64], body[64:]
    for broken in (head + second + first + rest, head + first + first + second + rest, sealed + b"\0"):
        with pytest.raises(TerminalError, match="invalid_envelope"):
            envelope.decrypt(broken, KEY)


def test_another_key_does_not_open_it():
    with pytest.raises(TerminalError, match="invalid_envelope"):
        envelope.decrypt(envelope.encrypt(b"data", KEY), bytes(32))


def test_the_same_plaintext_is_sealed_differently_each_time():
    assert envelope.encrypt(b"data", KEY) != envelope.encrypt(b"data", KEY)


def test_a_wrapped_key_opens_with_its_own_key_only():
    data_key = envelope.new_data_key()
    assert envelope.unwrap(KEY, envelope.wrap(KEY, data_key)) == data_key
    with pytest.raises(TerminalError, match="wrong_key"):
        envelope.unwrap(bytes(32), envelope.wrap(KEY, data_key))
