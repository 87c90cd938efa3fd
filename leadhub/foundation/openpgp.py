"""OpenPGP (RFC 9580, and RFC 4880 as stock GnuPG speaks it): drops in, deliveries and signatures out.

Keys are NIST P-384 (ECDSA and ECDH): approved algorithms that every GnuPG since 2.1 understands. Secret
key files hold no passphrase; mode 600 and the file system protect them, as they do the root key.

Error texts of the library may quote what they read, so none is passed on.
"""

from __future__ import annotations

import os
import resource
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pysequoia
from pysequoia.packet import PacketPile, Tag

from leadhub.foundation import files, openpgp_keys
from leadhub.foundation.errors import TerminalError

#: what the library raises on bad input: RuntimeError, and OSError for a broken seal
_REFUSALS = (RuntimeError, OSError, ValueError)
#: a message may be compressed inside; text grows some twenty times, a bomb a thousand times
_EXPANSION, _EXPANSION_FLOOR = 100, 64 << 20
_file_size_limit = threading.Lock()


def generate(path: Path, user_id: str) -> None:
    """A new secret key (signing and encryption subkeys, no expiry) in a file of mode 600."""
    files.write_bytes(path, openpgp_keys.secret_key(user_id).encode())


def certificate(path: Path) -> bytes:
    """The armoured public certificate of a secret key file. Raises: as `decrypt` for the key."""
    return str(_secret(path).extract_certificate()).encode()


def fingerprint(cert: bytes) -> str:
    """Forty hex digits in capitals, as `gpg --with-colons --fingerprint` prints them.

    Raises: TerminalError `recipient_key_mismatch` where `cert` is not one public certificate.
    """
    return _public(cert).fingerprint.upper()


def encrypt(data: bytes, recipient_cert: bytes) -> bytes:
    """A binary message. Raises: TerminalError `recipient_key_mismatch`."""
    with _encrypting():
        return pysequoia.encrypt(data, [_public(recipient_cert)], armor=False)


def encrypt_file(source: Path, target: Path, recipient_cert: bytes) -> None:
    """As `encrypt`, streaming; `target` (mode 600) appears whole or not at all.

    Raises: TerminalError `recipient_key_mismatch`; TransientError `disk_full` or `io_failed`.
    """
    recipient = _public(recipient_cert)
    with files.writing(target) as aside, _encrypting():
        pysequoia.encrypt_file(source, f"/proc/self/fd/{aside.fileno()}", [recipient], armor=False)


def decrypt(data: bytes, key_path: Path, *, max_bytes: int | None = None) -> bytes:
    """The content of an encrypted message, binary or armoured; nothing unless all of it is authentic.

    `max_bytes` caps the content (default: a hundred times the message, at least 64 MiB). The plaintext
    is in memory only.
    Raises: TerminalError `decryption_failed` (also where `data` was never encrypted), `too_large`,
    `key_missing`, `wrong_key`.
    """
    key = _secret(key_path)
    limit = max_bytes if max_bytes is not None else max(_EXPANSION_FLOOR, _EXPANSION * len(data))
    with _memory("message", data) as message, _memory("content") as content:
        try:
            # the library takes a message that is signed or merely wrapped for a decrypted one
            if Tag.SEIP not in [packet.tag for packet in PacketPile.from_bytes(data)]:
                raise ValueError
            with _writes_limited_to(limit):
                pysequoia.decrypt_file(_path(message), _path(content), key.decryptor())
        except _REFUSALS:
            if os.fstat(content).st_size >= limit:
                raise TerminalError(
                    "too_large", f"a message holds more than {limit} bytes; ask its sender to split it"
                ) from None
            raise TerminalError(
                "decryption_failed",
                "a file is not an OpenPGP message to the hub's key, or was altered; ask its sender "
                "to encrypt it to the hub's current certificate",
            ) from None
        with open(content, "rb", closefd=False) as handle:
            handle.seek(0)
            return handle.read()


def sign_detached(data: bytes, key_path: Path) -> bytes:
    """An armoured detached signature that stock `gpg --verify` accepts.

    Raises: as `decrypt` for the key.
    """
    signer = _secret(key_path).signer()
    return pysequoia.sign(signer, data, mode=pysequoia.SignatureMode.DETACHED)


def verify_detached(data: bytes, signature: bytes, cert: bytes) -> None:
    """Return if `signature` over `data` was made by the owner of `cert`.

    Raises: TerminalError `signature_invalid`; `recipient_key_mismatch` where `cert` is unusable.
    """
    signer = _public(cert)
    try:
        found = pysequoia.verify(
            data, store=lambda _: [signer], signature=pysequoia.Sig.from_bytes(signature)
        )
        valid = bool(found.valid_sigs)
    except _REFUSALS:
        valid = False
    if not valid:
        raise TerminalError(
            "signature_invalid", "a signature does not fit its file and certificate; do not use the file"
        )


def _secret(path: Path) -> pysequoia.Tsk:
    if not path.exists():
        raise TerminalError(
            "key_missing",
            f"no OpenPGP key at [{path.name}]; restore its backup, or run `leadhub init`",
        )
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise TerminalError("wrong_key", f"[{path.name}] is readable by others; chmod 600 it")
    try:
        data = path.read_bytes()
        # a certificate parses too, and would fail only later
        if Tag.SecretKey not in [packet.tag for packet in PacketPile.from_bytes(data)]:
            raise ValueError
        return pysequoia.Tsk.from_bytes(data)
    except _REFUSALS:
        raise TerminalError("wrong_key", f"[{path.name}] does not hold one OpenPGP secret key") from None


def _public(cert: bytes) -> pysequoia.Cert:
    try:
        # a secret key would parse too; whoever installed one by mistake must hear of it
        if Tag.SecretKey in [packet.tag for packet in PacketPile.from_bytes(cert)]:
            raise ValueError
        return pysequoia.Cert.from_bytes(cert)
    except _REFUSALS:
        raise TerminalError(
            "recipient_key_mismatch",
            "an installed key is not one public OpenPGP certificate; install it again",
        ) from None


@contextmanager
def _encrypting() -> Iterator[None]:
    try:
        yield
    except RuntimeError:
        raise TerminalError(
            "recipient_key_mismatch",
            "a recipient's certificate cannot be encrypted to (expired, revoked or for signing only); "
            "ask the recipient for a current one",
        ) from None


@contextmanager
def _memory(name: str, data: bytes = b"") -> Iterator[int]:
    """A file in memory, for a library that streams only between files."""
    descriptor = os.memfd_create(name)
    try:
        with open(descriptor, "wb", closefd=False) as handle:
            handle.write(data)
        yield descriptor
    finally:
        os.close(descriptor)


def _path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}"


@contextmanager
def _writes_limited_to(limit: int) -> Iterator[None]:
    """The kernel refuses to grow any file beyond `limit`: the library has no cap of its own.

    It keeps the interpreter lock while it works, so no other thread writes under this limit meanwhile.
    """
    with _file_size_limit:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        bound = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_FSIZE, (bound, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
