"""Encrypted files: AES-256-GCM in chunks, streaming, truncation and reordering detected.

The construction is STREAM (Hoang, Reyhanitabar, Rogaway, Vizár 2015) as used by the age format, with
approved algorithms: a key per file by HKDF from the drop's data key and a random salt, nonce =
chunk counter (11 bytes) and a final-chunk flag (1 byte). Since the file key is used once, counter
nonces never repeat (NIST SP 800-38D 8.2).

Layout: ``LHE1`` | salt (16) | chunks of ciphertext, each 1 MiB of plaintext + 16 bytes of tag.
"""

from __future__ import annotations

import io
import os
import secrets
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.keywrap import (
    InvalidUnwrap,
    aes_key_unwrap_with_padding,
    aes_key_wrap_with_padding,
)

from leadhub.foundation.errors import TerminalError

MAGIC = b"LHE1"
SALT = 16
CHUNK = 1 << 20
TAG = 16


def _broken(why: str) -> TerminalError:
    return TerminalError(
        "invalid_envelope", f"an encrypted file does not open: {why}; restore it or land it again"
    )


def new_data_key() -> bytes:
    return secrets.token_bytes(32)


def wrap(key: bytes, data_key: bytes) -> str:
    """Data key under a key-encryption key (NIST SP 800-38F, RFC 5649), as hex."""
    return aes_key_wrap_with_padding(key, data_key).hex()


def unwrap(key: bytes, wrapped: str) -> bytes:
    """Raises: TerminalError `wrong_key`."""
    try:
        return aes_key_unwrap_with_padding(key, bytes.fromhex(wrapped))
    except (InvalidUnwrap, ValueError):
        raise TerminalError(
            "wrong_key", "a data key does not unwrap: the landing key is not the one it was made with"
        ) from None


def _cipher(data_key: bytes, salt: bytes) -> AESGCM:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=b"leadhub/envelope/1")
    return AESGCM(kdf.derive(data_key))


def _nonce(counter: int, final: bool) -> bytes:
    return counter.to_bytes(11, "big") + (b"\x01" if final else b"\x00")


class EnvelopeWriter(io.RawIOBase):
    """A writable stream that encrypts into `sink`. `close()` writes the final chunk; `abort()` does not."""

    def __init__(self, sink: BinaryIO, data_key: bytes):
        salt = os.urandom(SALT)
        self._sink, self._cipher, self._header = sink, _cipher(data_key, salt), MAGIC + salt
        self._buffer, self._counter = bytearray(), 0
        sink.write(self._header)

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:  # type: ignore[override]
        view = memoryview(data).cast("B")
        self._buffer += view
        # a full buffer waits for one more byte: the last chunk must be known to be last
        while len(self._buffer) > CHUNK:
            self._emit(bytes(self._buffer[:CHUNK]), final=False)
            del self._buffer[:CHUNK]
        return len(view)

    def _emit(self, chunk: bytes, *, final: bool) -> None:
        sealed = self._cipher.encrypt(_nonce(self._counter, final), chunk, self._header)
        self._sink.write(sealed)
        self._counter += 1

    def close(self) -> None:
        if not self.closed:
            self._emit(bytes(self._buffer), final=True)
            super().close()

    def abort(self) -> None:
        super().close()


def decrypt_chunks(source: BinaryIO, data_key: bytes) -> Iterator[bytes]:
    """Plaintext chunk by chunk; each is authenticated before it is given out.

    Raises: TerminalError `invalid_envelope` on any changed, missing, swapped or added byte. A caller
    that must not act on a truncated file reads to the end first.
    """
    header = source.read(len(MAGIC) + SALT)
    if len(header) != len(MAGIC) + SALT or not header.startswith(MAGIC):
        raise _broken("no header")
    cipher, counter = _cipher(data_key, header[len(MAGIC) :]), 0
    chunk = source.read(CHUNK + TAG)
    while True:
        following = source.read(CHUNK + TAG)
        final = not following
        try:
            yield cipher.decrypt(_nonce(counter, final), chunk, header)
        except (InvalidTag, ValueError):
            raise _broken(f"chunk {counter}") from None
        if final:
            return
        chunk, counter = following, counter + 1


def encrypt(data: bytes, data_key: bytes) -> bytes:
    sink = io.BytesIO()
    writer = EnvelopeWriter(sink, data_key)
    writer.write(data)
    writer.close()
    return sink.getvalue()


def decrypt(data: bytes, data_key: bytes) -> bytes:
    """Raises: TerminalError `invalid_envelope`; nothing is returned unless all of it is authentic."""
    return b"".join(decrypt_chunks(io.BytesIO(data), data_key))


def decrypt_with_any(data: bytes, keys: list[bytes]) -> bytes:
    """With the first of `keys` that opens it: what was made before a rotation opens with an older one.

    Raises: TerminalError `invalid_envelope` where none does.
    """
    for key in keys[:-1]:
        try:
            return decrypt(data, key)
        except TerminalError:
            continue
    return decrypt(data, keys[-1])
