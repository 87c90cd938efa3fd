"""Exchanges: agencies that send tokens in place of names, under a key that the hub does not hold.

An **exchange** is a group of agencies that agreed on one tokenising key, one linkage schema and one tier.
Its key is random and of no kin to the hub's own key ring; the exchange's name and the key's version enter
every token, so that a renamed key makes other tokens. The marker of its token tables begins with name and
fingerprint: tokens of two exchanges, or of an exchange and the hub's own feeds, never meet.

What leaves an agency is a token file (`leadhub.identity.token_file`), encrypted to the hub.

**Record ids** are the agency's own row ids, sealed (AES-SIV) under a row key that never leaves the agency:
neither the hub nor another agency, which holds the exchange key, can open or guess them. Equal ids
give equal record ids every night, so persons keep their ids; the agency opens what comes back.
"""

from __future__ import annotations

import re
import secrets
import string
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, ValidationError

from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.facts_file import Facts
from leadhub.foundation.keys import ROOT_BYTES, Keys
from leadhub.identity import sealing, tokens
from leadhub.identity.linkage.schema import LinkageSchema, Tier

NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"
FINGERPRINT = r"^[0-9a-f]{4}(-[0-9a-f]{4}){4}$"
_KIND = "leadhub exchange key"
#: ids are padded to a multiple of this, since sealing shows how long a value is
_ID_BLOCK = 16


@dataclass(frozen=True)
class ExchangeKey:
    """The tokenising key of one exchange."""

    exchange: str
    version: int
    secret: bytes

    def __repr__(self) -> str:
        return f"ExchangeKey({self.exchange}, version={self.version})"

    @cached_property
    def keys(self) -> Keys:
        """What tokens are made with."""
        info = f"leadhub/exchange/{self.exchange}".encode()
        root = HKDF(algorithm=hashes.SHA256(), length=ROOT_BYTES, salt=None, info=info).derive(self.secret)
        return Keys(root, self.version)

    @cached_property
    def fingerprint(self) -> str:
        """To be read out: five groups of four hex digits. It tells nothing of the key."""
        return grouped(self.keys.derive("fingerprint", 10).hex())

    def text(self) -> bytes:
        """The key file's content."""
        return files.canonical_json(
            {
                "kind": _KIND,
                "exchange": self.exchange,
                "version": self.version,
                "key": self.secret.hex(),
                "fingerprint": self.fingerprint,
            }
        )


class _KeyFile(Facts):
    kind: str = Field(pattern=f"^{_KIND}$")
    exchange: str = Field(pattern=NAME)
    version: int = Field(ge=1)
    key: str = Field(pattern=f"^[0-9a-f]{{{2 * ROOT_BYTES}}}$")
    fingerprint: str = Field(pattern=FINGERPRINT)


def check_name(name: str, what: str) -> None:
    """Raises: TerminalError `unsafe_name`."""
    if not re.match(NAME, name):
        raise TerminalError(
            "unsafe_name", f"[{name}]: {what} is named with small letters, digits, - and _, forty at most"
        )


def new_key(exchange: str, version: int = 1) -> ExchangeKey:
    """Raises: TerminalError `unsafe_name`."""
    check_name(exchange, "an exchange")
    return ExchangeKey(exchange, version, secrets.token_bytes(ROOT_BYTES))


def read_key(text: bytes, name: str) -> ExchangeKey:
    """Raises: TerminalError `wrong_key` for what is no key file, or one altered since it was made."""
    try:
        said = _KeyFile.model_validate_json(text)
    except ValidationError:
        raise TerminalError(
            "wrong_key", f"[{name}] is no exchange key; ask who keeps the key for the file once more"
        ) from None
    key = ExchangeKey(said.exchange, said.version, bytes.fromhex(said.key))
    if key.fingerprint != said.fingerprint:
        raise TerminalError(
            "wrong_key",
            f"[{name}] was altered: its key has not the fingerprint beside it; ask for the file once more",
        )
    return key


def grouped(digits: str) -> str:
    """A fingerprint as it is read out, however it was typed."""
    plain = "".join(c for c in digits.lower() if c in string.hexdigits)
    return "-".join(plain[i : i + 4] for i in range(0, len(plain), 4))


def schema_name(schema: LinkageSchema) -> str:
    return f"{schema.name}{schema.version}-{schema.fingerprint}"


def tokenise(
    identifiers: pa.Table, *, key: ExchangeKey, feed: str, schema: LinkageSchema, tier: Tier
) -> pa.Table:
    """As `tokens.tokenise`, under the exchange's key and marker. Lists are plain, as files hold them."""
    made = tokens.tokenise(identifiers, feed=feed, keys=key.keys, schema=schema, tier=tier)
    marker = f"{key.exchange}-{key.fingerprint}.{tokens.marker(schema, tier, key.keys)}"
    at = made.column_names.index("marker")
    return plain_lists(made.set_column(at, "marker", pa.array([marker] * made.num_rows, pa.string())))


def plain_lists(table: pa.Table) -> pa.Table:
    """Parts with several values as lists, however they came: as files hold them."""
    for at, field in enumerate(table.schema):
        column = table.column(at)
        if pa.types.is_dictionary(field.type):
            taken = [chunk.dictionary.take(chunk.indices) for chunk in column.chunks]
            column = pa.chunked_array(taken, field.type.value_type)
        if pa.types.is_large_list(column.type):
            column = column.cast(pa.list_(column.type.value_type))
        table = table.set_column(at, field.name, column)
    return table


def seal_ids(ids: pa.Array, feed: str, row_keys: Keys) -> pa.Array:
    """Record ids of an agency's row ids (text without blanks around it)."""
    padded = [v + " " * (-len(v.encode()) % _ID_BLOCK) for v in ids.to_pylist()]
    return sealing.seal(pa.array(padded, pa.string()), feed, row_keys)


def open_ids(record_ids: pa.Array | pa.ChunkedArray, feed: str, row_keys: Keys) -> pa.Array:
    """The agency's row ids again. Raises: TerminalError `wrong_key`."""
    return pc.utf8_rtrim(sealing.open_sealed(record_ids, feed, row_keys), " ")
