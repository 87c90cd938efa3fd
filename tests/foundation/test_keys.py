"""Keys: one root, a key a purpose; a wrong root is found before any row (F14, G14)."""

import pytest

from leadhub.foundation import keys
from leadhub.foundation.errors import TerminalError


def test_a_root_is_made_once_and_kept_private(tmp_path):
    path = tmp_path / "root.key"
    made = keys.load(path, create=True)
    assert keys.load(path) == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.root.hex() not in repr(made)


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(TerminalError, match=r"key_missing.*\[root\.key\]"):
        keys.load(tmp_path / "root.key")


@pytest.mark.parametrize("content", ["", "xyz", "00" * 31])
def test_a_malformed_root_is_refused(tmp_path, content):
    path = tmp_path / "root.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(TerminalError, match="wrong_key"):
        keys.load(path)


def test_a_root_that_others_can_read_is_refused(tmp_path):
    path = tmp_path / "root.key"
    keys.load(path, create=True)
    path.chmod(0o644)
    with pytest.raises(TerminalError, match="chmod 600"):
        keys.load(path)


def test_every_purpose_and_version_has_its_own_key():
    ring = keys.Keys(bytes(32))
    purposes = ["landing", "record", "seal:a", "seal:b", "partner:a", "token:link:x"]
    derived = {ring.derive(p) for p in purposes} | {keys.Keys(bytes(32), 2).derive("landing")}
    assert len(derived) == len(purposes) + 1


def test_f14_a_wrong_root_stops_before_the_first_row(tmp_path):
    state = keys.KeyState(tmp_path / "key_check.json", tmp_path / "rotated")
    keys.verify(keys.Keys(bytes(32)), state)
    keys.verify(keys.Keys(bytes(32)), state)
    with pytest.raises(TerminalError, match=r"wrong_key.*version 1"):
        keys.verify(keys.Keys(b"\1" * 32), state)


def test_a_backup_does_not_bring_an_older_version_back_but_of_the_tokens_in_it(tmp_path):
    state = keys.KeyState(tmp_path / "key_check.json", tmp_path / "rotated")
    ring = keys.verify(keys.Keys(bytes(32)), state)
    backup = state.check.read_bytes()
    for name in (*keys.ROTATED, "ids"):
        ring = keys.rotated(ring, state, name)
    assert keys.verify(keys.Keys(bytes(32)), state) == ring
    state.check.write_bytes(backup)
    assert keys.verify(keys.Keys(bytes(32)), state).versions == {
        "landing": 2,
        "ids": 3,
        "storage": 2,
        "signing": 2,
    }
