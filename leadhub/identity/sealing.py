"""Sealed ids: an agency's own ids, readable only with that agency's key.

AES-SIV (RFC 5297) with a 512-bit key per agency: deterministic, so that equal ids stay equal and tables
join; authenticated, so that a wrong key or a changed character is found. What it tells: which ids are
equal, and how long they are.

Text: ``s<key version>:<base64 of tag and ciphertext>``.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable

import polars as pl
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import keyed

_KEY_BYTES = 64


def _cipher(agency: str, keys: Keys) -> AESSIV:
    return AESSIV(keys.derive(f"seal:{agency}", _KEY_BYTES))


def seal(values: pa.Array | pa.ChunkedArray, agency: str, keys: Keys) -> pa.Array:
    """Text values sealed under the key of `agency`; null for null. Each distinct value once."""
    cipher, marker = _cipher(agency, keys), f"s{keys.version}:"

    def one(value: str) -> str:
        return marker + binascii.b2a_base64(cipher.encrypt(value.encode(), None), newline=False).decode()

    return _map(values, one)


def open_sealed(values: pa.Array | pa.ChunkedArray, agency: str, keys: Keys) -> pa.Array:
    """The ids again; null for null.

    Raises: TerminalError `wrong_key` where a value was not sealed with this key for this agency.
    """
    cipher, marker = _cipher(agency, keys), f"s{keys.version}:"

    def one(sealed: str) -> str:
        text = sealed.removeprefix(marker)
        try:
            if text == sealed:
                raise ValueError
            return cipher.decrypt(binascii.a2b_base64(text, strict_mode=True), None).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise TerminalError(
                "wrong_key",
                f"a sealed id does not open with the key of [{agency}], version {keys.version}; "
                "use the key ring that the tables were made with",
            ) from None

    return _map(values, one)


def _map(values: pa.Array | pa.ChunkedArray, function: Callable[[str], str]) -> pa.Array:
    def each(distinct: pl.Series) -> pl.Series:
        return pl.Series([None if v is None else function(v) for v in distinct.to_list()], dtype=pl.String)

    return keyed.to_array(keyed.by_distinct(keyed.to_series(values).cast(pl.String), each))
