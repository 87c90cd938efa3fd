"""Sealed ids: an agency's own ids, readable only with that agency's key.

AES-SIV (RFC 5297) with a 512-bit key per agency: deterministic, so that equal ids stay equal and tables
join; authenticated, so that a wrong key or a changed character is found. What it tells: which ids are
equal, and how long they are.

Text: ``s<key version>:<base64 of tag and ciphertext>``.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from functools import cache

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import keyed

_KEY_BYTES = 64
_SEALED = re.compile(r"s([1-9]\d{0,5}):(.*)", re.DOTALL)


def _cipher(agency: str, keys: Keys, version: int | None = None) -> AESSIV:
    return AESSIV(keys.derive(f"seal:{agency}", _KEY_BYTES, version))


def _marker(keys: Keys) -> str:
    return f"s{keys.version_of('seal')}:"


def seal(values: pa.Array | pa.ChunkedArray, agency: str, keys: Keys) -> pa.Array:
    """Text values sealed under the newest key of `agency`; null for null. Each distinct value once."""
    cipher, marker = _cipher(agency, keys), _marker(keys)

    def one(value: str) -> str:
        return marker + binascii.b2a_base64(cipher.encrypt(value.encode(), None), newline=False).decode()

    return _map(values, one)


def open_sealed(values: pa.Array | pa.ChunkedArray, agency: str, keys: Keys) -> pa.Array:
    """The ids again, sealed under whatever version of the key; null for null.

    Raises: TerminalError `wrong_key` where a value was not sealed with this key for this agency.
    """
    newest = keys.version_of("seal")
    ciphers = cache(lambda version: _cipher(agency, keys, version))

    def one(sealed: str) -> str:
        marked = _SEALED.fullmatch(sealed)
        try:
            if marked is None or not 1 <= int(marked[1]) <= newest:
                raise ValueError
            text = binascii.a2b_base64(marked[2], strict_mode=True)
            return ciphers(int(marked[1])).decrypt(text, None).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise TerminalError(
                "wrong_key",
                f"a sealed id does not open with the keys of [{agency}], up to version {newest}; "
                "use the key ring that the tables were made with",
            ) from None

    return _map(values, one)


def is_current(values: pa.Array | pa.ChunkedArray, keys: Keys) -> bool:
    """Whether all are sealed under the newest version."""
    return bool(pc.all(pc.starts_with(values, _marker(keys)), min_count=0).as_py())


def _map(values: pa.Array | pa.ChunkedArray, function: Callable[[str], str]) -> pa.Array:
    def each(distinct: pl.Series) -> pl.Series:
        return pl.Series([None if v is None else function(v) for v in distinct.to_list()], dtype=pl.String)

    return keyed.to_array(keyed.by_distinct(keyed.to_series(values).cast(pl.String), each))
