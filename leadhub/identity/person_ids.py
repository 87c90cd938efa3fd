"""Person ids, and the keys that partners get instead of them.

A person id says nothing about the person: it is a counter seen through AES-256, a permutation of
128-bit blocks, so that ids are unique without a look-up and their order cannot be told without the key
(45 CFR 164.514(c): not derived from information about the individual).
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from leadhub.foundation.keys import Keys
from leadhub.identity import keyed

_BLOCK = 16


def person_ids(first: int, count: int, keys: Keys) -> list[str]:
    """Ids of the ordinals `first` … `first + count − 1`: ``p<key version>:<32 hex digits>``."""
    blocks = b"".join(n.to_bytes(_BLOCK, "big") for n in range(first, first + count))
    # one block a value, never two alike: the mode leaks equality of blocks, and there is none
    permutation = Cipher(algorithms.AES(keys.derive("person")), modes.ECB())  # noqa: S305
    sealed = permutation.encryptor().update(blocks)
    text, marker, digits = sealed.hex(), f"p{keys.version}:", 2 * _BLOCK
    return [marker + text[i : i + digits] for i in range(0, len(text), digits)]


def person_key(values: pa.Array | pa.ChunkedArray, partner: str, keys: Keys) -> pa.Array:
    """What `partner` knows a person by: ``k<key version>:<32 hex digits>``, HMAC under the partner's key.

    Two partners' keys of one person have nothing in common; null for null.
    """
    ids = keyed.to_series(values).cast(pl.String)
    return keyed.to_array(
        keyed.hmac_column(ids, keys.hmac_text_key(f"partner:{partner}"), f"k{keys.version}:")
    )
