"""Which algorithms the hub uses, for what, and where they run; for the security officer.

"Approved" is said of algorithms, never "validated" of this program: validation is of modules (FIPS 140-3).
"""

from __future__ import annotations

from dataclasses import dataclass

from leadhub.foundation.errors import TerminalError

OPENSSL, RUST = "OpenSSL", "outside OpenSSL"


@dataclass(frozen=True)
class Use:
    """`approved`: the standard that approves it, or empty."""

    what: str
    algorithm: str
    approved: str
    runs: str


USES = (
    Use("keys by purpose", "HKDF-SHA-256 (RFC 5869)", "SP 800-56C", OPENSSL),
    Use(
        "the root key's file",
        "PBKDF2-HMAC-SHA-512 (passphrase), AES-256-GCM",
        "SP 800-132, 800-38D",
        OPENSSL,
    ),
    Use("files at rest", "AES-256-GCM", "SP 800-38D", OPENSSL),
    Use("drop keys", "AES-256 key wrap with padding", "SP 800-38F", OPENSSL),
    Use("sealed ids", "AES-SIV-CMAC-512 (RFC 5297)", "", OPENSSL),
    Use("linkage tokens of several parts", "AES-256-CMAC", "SP 800-38B", OPENSSL),
    Use("linkage tokens, record and person ids", "HMAC-SHA-256", "FIPS 198-1", f"polars-hash, {RUST}"),
    Use("ledger, manifests", "SHA-256", "FIPS 180-4", OPENSSL),
    Use("drops and deliveries", "OpenPGP (RFC 9580)", "", f"Sequoia, {RUST}"),
    Use("SFTP", "SSH, host keys pinned", "", OPENSSL),
)


def openssl() -> tuple[str, bool]:
    """Version of the OpenSSL that is used, and whether its FIPS provider is active."""
    from cryptography.hazmat.backends.openssl import backend

    return backend.openssl_version_text(), bool(backend._fips_enabled)


def check_fips(required: bool) -> None:
    """Raises: TerminalError `settings_invalid` where it is required and not active."""
    if required and not openssl()[1]:
        raise TerminalError(
            "settings_invalid",
            "LEADHUB_REQUIRE_FIPS is set, and OpenSSL's FIPS provider is not active; start with an OpenSSL "
            "that has it, or unset it; `leadhub doctor` says what runs where",
        )
