"""The two keys of an SFTP connection: the server's, pinned, and ours."""

from __future__ import annotations

import base64
import binascii
import io
from contextlib import suppress

import paramiko

from connectors.base import Connection
from leadhub.foundation.errors import TerminalError

_PINNABLE = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
#: an RSA key signs with SHA-2, never SHA-1 (RFC 8332)
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_OURS = (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey)


def pinned_host_key(connection: Connection) -> tuple[tuple[str, ...], bytes]:
    """Signature algorithms and key of extra `host_key`, a line "ssh-ed25519 AAAA…".

    Raises: TerminalError `settings_invalid`.
    """
    given = str(connection.extra.get("host_key") or "").split()
    with suppress(binascii.Error, ValueError, IndexError):
        algorithm, data = given[0], base64.b64decode(given[1], validate=True)
        if algorithm in _PINNABLE and data[4 : 4 + len(algorithm)] == algorithm.encode():
            return _RSA if algorithm == "ssh-rsa" else (algorithm,), data
    raise TerminalError(
        "settings_invalid",
        f"the connection to [{connection.host}] has no valid extra [host_key]; pin the agency's key as "
        '"ssh-ed25519 AAAA…"',
    )


def private_key(connection: Connection) -> paramiko.PKey:
    """Extra `private_key` (OpenSSH or PEM text), opened with extra `private_key_passphrase` if given.

    Raises: TerminalError `settings_invalid`.
    """
    text = str(connection.extra.get("private_key") or "")
    passphrase = connection.extra.get("private_key_passphrase") or None
    for kind in _OURS:
        with suppress(paramiko.SSHException, ValueError, TypeError, IndexError):
            return kind.from_private_key(io.StringIO(text), passphrase)
    raise TerminalError(
        "settings_invalid",
        f"the connection to [{connection.host}] has no extra [private_key] that can be read; "
        "passwords are not used",
    )
