"""The root key in shares: any so many officers together restore it, fewer learn nothing.

Shamir's secret sharing (1979) as SLIP-39 words, by `shamir-mnemonic`: a share is a line of words with a
checksum of its own, to be written on paper and read back by hand. The library's passphrase is not used: a
forgotten one would lose what the shares are for.
"""

from __future__ import annotations

import re

import shamir_mnemonic

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import ROOT_BYTES, Keys

MOST = 16


def split(keys: Keys, threshold: int, count: int) -> list[str]:
    """`count` shares, any `threshold` of which give the root key.

    Raises: TerminalError `settings_invalid` unless 2 ≤ threshold ≤ count ≤ 16: one officer alone is no
    split; `key_missing` for a role's ring.
    """
    if keys.role:
        raise TerminalError("key_missing", f"role [{keys.role}] holds no root key; run this with it")
    if not 2 <= threshold <= count <= MOST:
        raise TerminalError("settings_invalid", f"--needed is 2 to --shares, --shares at most {MOST}")
    [shares] = shamir_mnemonic.generate_mnemonics(1, [(threshold, count)], keys.root)
    return shares


def combine(shares: list[str]) -> Keys:
    """Raises: TerminalError `wrong_key` where shares are too few, misread, or of different splits."""
    try:
        root = shamir_mnemonic.combine_mnemonics([" ".join(s.split()) for s in shares])
    except shamir_mnemonic.MnemonicError as error:
        # the library's words name counts and word positions, never a share
        why = str(error).partition(". Supplied")[0]
        raise TerminalError("wrong_key", f"these shares give no key: {_plain(why)}") from None
    if len(root) != ROOT_BYTES:
        raise TerminalError("wrong_key", "these shares are of something else than a root key")
    return Keys(root)


def _plain(why: str) -> str:
    """Without what the library quotes of a share."""
    return re.split(r"\"| '| starting with", why)[0].strip().rstrip(".:") or "a share is not one"
