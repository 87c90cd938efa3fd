"""What the root key's file holds: the root, or the root wrapped, so that the file alone opens nothing.

::

    64 hex digits             the root itself (kind `file` without a passphrase)
    pbkdf2:<base64>           salt, nonce, AES-256-GCM under a key made from a passphrase (kind `file`)
    vault:v<n>:<base64>       wrapped by HashiCorp Vault's transit engine (kind `vault`)
    gcpkms1:<base64>          wrapped by Google Cloud KMS (kind `gcp_kms`)

A file says by its beginning what unwraps it; the settings say what wraps the next one (`leadhub keys
wrap`). Every process of a night unwraps once. A provider that cannot be reached is tried again, one that
says no is not; nothing that a provider answers is quoted.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from leadhub.foundation.errors import TerminalError, TransientError

Kind = Literal["file", "vault", "gcp_kms"]
#: PBKDF2-HMAC-SHA-512 (SP 800-132), as often as OWASP's Password Storage Cheat Sheet asks: a seventh of a
#: second, which each process of a night pays
_ROUNDS = 210_000
LEAST_PASSPHRASE = 16
_SALT, _NONCE = 16, 12
_ABOUT = b"leadhub root key"
_TIMEOUT_SECONDS = 10.0
#: where a machine in Google's cloud asks for its own token
_METADATA_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"


@dataclass(frozen=True)
class Wrapping:
    """What wraps a root key, and what unwraps one that it finds. `kms_key` is a resource name
    (projects/…/cryptoKeys/…); without `kms_token_file` the machine's own token is asked for."""

    kind: Kind = "file"
    passphrase_file: Path | None = None
    vault_addr: str = ""
    vault_mount: str = "transit"
    vault_key: str = ""
    vault_token_file: Path | None = None
    kms_addr: str = "https://cloudkms.googleapis.com"
    kms_key: str = ""
    kms_token_file: Path | None = None

    def wrap(self, root: bytes) -> str:
        """The content of a root key file. Raises: as `unwrap`."""
        if self.kind == "vault":
            return str(self._vault("encrypt", plaintext=_text(root))["ciphertext"])
        if self.kind == "gcp_kms":
            return "gcpkms1:" + str(self._kms("encrypt", plaintext=_text(root))["ciphertext"])
        if self.passphrase_file is None:
            return root.hex()
        salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
        sealed = AESGCM(self._from_passphrase(salt)).encrypt(nonce, root, _ABOUT)
        return "pbkdf2:" + _text(salt + nonce + sealed)

    def unwrap(self, content: str) -> bytes:
        """The root in a key file's content, whichever kind it is of; empty where it is none.

        Raises: TerminalError `wrong_key` (another passphrase or key wrapped it, or it was changed),
        `credentials_refused`, `key_missing`, `settings_invalid`; TransientError `source_unreachable`,
        `source_timeout`.
        """
        try:
            if content.startswith("vault:"):
                return _bytes(self._vault("decrypt", ciphertext=content)["plaintext"])
            if content.startswith("gcpkms1:"):
                return _bytes(
                    self._kms("decrypt", ciphertext=content.removeprefix("gcpkms1:"))["plaintext"]
                )
            if content.startswith("pbkdf2:"):
                return self._open(_bytes(content.removeprefix("pbkdf2:")))
            return bytes.fromhex(content)
        except (ValueError, KeyError):
            return b""

    def describe(self, content: str) -> str:
        """How a key file is kept, for `leadhub doctor`."""
        kept = {"vault:": "wrapped by Vault", "gcpkms1:": "wrapped by Google Cloud KMS"}
        kept |= {"pbkdf2:": "encrypted under a passphrase"}
        said = next((words for form, words in kept.items() if content.startswith(form)), "")
        return said or "not encrypted (docs/runbook.md, `leadhub keys wrap`)"

    # a passphrase ---------------------------------------------------------------------------------

    def _from_passphrase(self, salt: bytes) -> bytes:
        said = _secret(self.passphrase_file, "LEADHUB_PASSPHRASE_FILE")
        if len(said) < LEAST_PASSPHRASE:
            raise TerminalError(
                "settings_invalid",
                f"LEADHUB_PASSPHRASE_FILE holds fewer than {LEAST_PASSPHRASE} characters; make it longer",
            )
        return PBKDF2HMAC(hashes.SHA512(), 32, salt, _ROUNDS).derive(said.encode())

    def _open(self, data: bytes) -> bytes:
        salt, nonce, sealed = data[:_SALT], data[_SALT : _SALT + _NONCE], data[_SALT + _NONCE :]
        try:
            return AESGCM(self._from_passphrase(salt)).decrypt(nonce, sealed, _ABOUT)
        except InvalidTag:
            raise TerminalError(
                "wrong_key",
                "the passphrase does not open the root key, or its file was changed; give the right one",
            ) from None

    # services -------------------------------------------------------------------------------------

    def _vault(self, act: str, **given: str) -> Mapping[str, Any]:
        _required(LEADHUB_VAULT_ADDR=self.vault_addr, LEADHUB_VAULT_KEY=self.vault_key)
        token = _secret(self.vault_token_file, "LEADHUB_VAULT_TOKEN_FILE")
        url = f"{self.vault_addr.rstrip('/')}/v1/{self.vault_mount}/{act}/{self.vault_key}"
        return _asked("Vault", "POST", url, {"X-Vault-Token": token}, given)["data"]

    def _kms(self, act: str, **given: str) -> Mapping[str, Any]:
        _required(LEADHUB_KMS_KEY=self.kms_key)
        token = _secret(self.kms_token_file, "") if self.kms_token_file else _machine_token()
        url = f"{self.kms_addr.rstrip('/')}/v1/{self.kms_key}:{act}"
        about = {"additionalAuthenticatedData": _text(_ABOUT)}
        return _asked("Cloud KMS", "POST", url, {"Authorization": f"Bearer {token}"}, given | about)


def _machine_token() -> str:
    host = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")
    told = _asked(
        "Cloud KMS",
        "GET",
        f"http://{host}{_METADATA_PATH}",
        {"Metadata-Flavor": "Google"},
        None,
        plain=True,
    )
    return str(told["access_token"])


def _asked(
    what: str, method: str, url: str, headers: dict[str, str], body: Any, *, plain: bool = False
) -> Any:
    import httpx

    place = urlsplit(url)
    if not plain and place.scheme != "https" and place.hostname not in ("127.0.0.1", "::1", "localhost"):
        raise TerminalError("settings_invalid", f"the address of {what} must begin with https://")
    try:
        answer = httpx.request(method, url, headers=headers, json=body, timeout=_TIMEOUT_SECONDS)
    except httpx.TimeoutException:
        raise TransientError(
            "source_timeout", f"{what} did not answer; the step may be run again"
        ) from None
    except httpx.HTTPError:
        raise TransientError("source_unreachable", f"{what} cannot be reached; try again") from None
    if answer.status_code in (401, 403):
        raise TerminalError("credentials_refused", f"{what} refused the hub's token; give it a new one")
    if answer.status_code in (400, 404):
        raise TerminalError(
            "wrong_key",
            f"{what} does not open the root key with the key of the settings; name the right one",
        )
    if answer.status_code != 200:
        raise TransientError("source_unreachable", f"{what} answered {answer.status_code}; try again")
    return answer.json()


def _secret(path: Path | None, setting: str) -> str:
    """The one line of a secret's file. Raises: TerminalError `settings_invalid`, `key_missing`."""
    if path is None:
        raise TerminalError("settings_invalid", f"the root key is wrapped, and {setting} is not set")
    if not path.is_file():
        raise TerminalError("key_missing", f"there is no file [{path.name}]; see {setting or path.name}")
    # whoever mounts a secret for a group knows it; the world may never read one
    if os.stat(path).st_mode & 0o007:
        raise TerminalError("settings_invalid", f"[{path.name}] is readable by everybody; chmod 600 it")
    said = path.read_text(encoding="utf-8").strip()
    if not said or re.search(r"[\r\n]", said):
        raise TerminalError("settings_invalid", f"[{path.name}] must hold one line")
    return said


def _required(**settings: str) -> None:
    lacking = [name for name, value in settings.items() if not value]
    if lacking:
        raise TerminalError("settings_invalid", f"the root key is wrapped, and {lacking} are not set")


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
