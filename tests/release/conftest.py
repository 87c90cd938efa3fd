"""Keys, and a partner to whom nothing was sent yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from leadhub.foundation import openpgp
from tests.release.publishing import Office, new_office, office


@pytest.fixture(scope="module")
def keys(tmp_path_factory) -> Path:
    """A folder with the hub's signing key and a partner's own."""
    root = tmp_path_factory.mktemp("keys")
    office(root)
    openpgp.generate(root / "keys" / "partner.pgp", "partner <partner@leadhub.example>")
    return root / "keys"


@pytest.fixture
def partner(tmp_path, keys) -> Office:
    return new_office(tmp_path, keys)


@pytest.fixture(scope="module")
def key(keys) -> Path:
    return keys / "signing.pgp"
