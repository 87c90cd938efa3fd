"""Keys, versioned by purpose, from one root by HKDF-SHA-256 (RFC 5869).

The root is 32 random bytes in a file of mode 600 (`Settings.root_key_file`). Every purpose has its
own key, so that no one of them opens another's. A key check value, kept beside the state, finds a
wrong root before the first row is touched.

Purposes: `landing` (wraps drop keys) · `token:<kind>` (HMAC of identifiers) · `record` (record ids)
· `seal:<agency>` (local ids) · `person` (person ids) · `partner:<partner>` (person keys)
· `storage:linkage` (token files at rest) · `checkpoint` (signs them) · `check`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError

ROOT_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """The key ring. `version` marks every keyed output ("t1:…", "s1:…")."""

    root: bytes
    version: int = 1

    def __repr__(self) -> str:
        return f"Keys(version={self.version})"

    def derive(self, purpose: str, length: int = 32) -> bytes:
        info = f"leadhub/v{self.version}/{purpose}".encode()
        return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(self.root)

    def hmac_text_key(self, purpose: str) -> str:
        """The MAC key as the 64 ASCII hex digits that polars-hash takes; those bytes *are* the key."""
        return self.derive(purpose).hex()

    def check_value(self) -> str:
        return hmac.new(self.derive("check"), b"leadhub key check", hashlib.sha256).hexdigest()[:16]


def load(path: Path, *, create: bool = False) -> Keys:
    """Read the root key; `create` makes a new one where there is none.

    Raises: TerminalError `key_missing` or `wrong_key` (malformed file).
    """
    if not path.exists():
        if not create:
            raise TerminalError(
                "key_missing",
                f"no root key at [{path.name}]; restore it from its backup, or run `leadhub init`",
            )
        files.write_bytes(path, secrets.token_bytes(ROOT_BYTES).hex().encode() + b"\n")
    if os.stat(path).st_mode & 0o077:
        raise TerminalError("wrong_key", f"[{path.name}] is readable by others; chmod 600 it")
    try:
        root = bytes.fromhex(path.read_text().strip())
    except ValueError:
        root = b""
    if len(root) != ROOT_BYTES:
        raise TerminalError("wrong_key", f"[{path.name}] does not hold a root key of 64 hex digits")
    return Keys(root)


def verify(keys: Keys, check_file: Path) -> None:
    """Compare with the check value of the state; the first call records it.

    Raises: TerminalError `wrong_key`, before any row is read.
    """
    value = {"key": "root", "version": keys.version, "check": keys.check_value()}
    if not check_file.exists():
        files.write_json(check_file, value)
        return
    if files.read_json(check_file) != value:
        raise TerminalError(
            "wrong_key",
            f"the root key (version {keys.version}) is not the one this state was made with; "
            "restore the right key file before running again",
        )
