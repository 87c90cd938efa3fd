"""How far a partner's ledger had come, signed, in the partner's own hands.

Whoever keeps a ledger can cut its end off, or write it anew as a whole; against a checkpoint that somebody
else kept, both show (Haber and Stornetta 1991). So one leaves with each delivery, about that partner's
chain alone. Ed25519 (RFC 8032, FIPS 186-5) with a key derived from the root: the same entry has the same
checkpoint, byte for byte. `openssl pkeyutl -verify` checks the signature without this program.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.ledger import Checkpoint, Entry

_PURPOSE = "checkpoint"


def name(dataset: str, sequence: int) -> str:
    """Of the file in the partner's outbox."""
    return f"checkpoints/{dataset}_{sequence:06d}.json"


def public_key(keys: Keys, version: int | None = None) -> bytes:
    """PEM, to be given to the partners once; after a rotation `succession` brings the next one."""
    return (
        _signer(keys, version)
        .public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )


def successions(keys: Keys) -> dict[str, bytes]:
    """File in the partner's outbox → the key that follows a key, signed by the key that it follows: whoever
    holds the first public key can go on from there."""
    found = {}
    for version in range(2, keys.version_of(_PURPOSE) + 1):
        pem = public_key(keys, version).decode()
        statement = files.canonical_json({"checkpoint_key": version, "public_key": pem}).decode()
        found[f"checkpoints/key_{version:04d}.json"] = _signed(statement, keys, version - 1)
    return found


def make(partner: str, entry: Entry, keys: Keys) -> bytes:
    """The checkpoint at a committed entry: JSON with `statement`, what was signed, as it was signed."""
    statement = files.canonical_json(
        {"partner": partner, "seq": entry.seq, "hash": entry.hash, "at": entry.at}
    ).decode()
    return _signed(statement, keys)


def read(data: bytes, partner: str, keys: Keys) -> Checkpoint:
    """Raises: TerminalError `signature_invalid` for what this hub did not sign for this partner."""
    try:
        given = json.loads(data)
        signature = base64.b64decode(given["ed25519"], validate=True)
        statement = given["statement"].encode()
        versions = range(keys.version_of(_PURPOSE), 0, -1)
        said: dict[str, Any] = json.loads(given["statement"])
        if said["partner"] == partner and any(_verifies(signature, statement, keys, v) for v in versions):
            return Checkpoint(said["seq"], said["hash"])
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error):
        pass
    raise TerminalError(
        "signature_invalid", f"this is no checkpoint that the hub signed for [{partner}]; ask for another"
    )


def _signer(keys: Keys, version: int | None = None) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(keys.derive(_PURPOSE, version=version))


def _signed(statement: str, keys: Keys, version: int | None = None) -> bytes:
    signature = base64.b64encode(_signer(keys, version).sign(statement.encode())).decode()
    return files.canonical_json({"statement": statement, "ed25519": signature})


def _verifies(signature: bytes, statement: bytes, keys: Keys, version: int) -> bool:
    try:
        _signer(keys, version).public_key().verify(signature, statement)
    except InvalidSignature:
        return False
    return True
