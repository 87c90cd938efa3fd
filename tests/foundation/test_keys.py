"""Keys: one root, a key a purpose; a wrong root is found before any row (F14, G14)."""

import pytest

from leadhub import cli_keys
from leadhub.foundation import files, keys, roles, shares
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.wrapping import Wrapping


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


@pytest.mark.parametrize("role", roles.ROLES)
def test_a_roles_ring_has_the_same_keys_and_no_others(tmp_path, role):
    whole, path = keys.Keys(bytes(32)), tmp_path / "role.ring"
    keys.store(path, whole.of_role(role), Wrapping())
    ring = keys.load(path)
    assert ring.role == role
    assert ring.check_value() == whole.check_value()
    kinds = set().union(*(r.keys for r in roles.ROLES.values()))
    for kind in kinds:
        for purpose in (kind, f"{kind}:part"):
            if kind in roles.ROLES[role].keys:
                assert ring.derive(purpose) == whole.derive(purpose)
            else:
                with pytest.raises(
                    TerminalError, match=rf"key_missing.*\[{role}\].*\[{kind}\]; run this as"
                ):
                    ring.derive(purpose)


def test_no_ring_holds_the_root_nor_together_do_all():
    secret = bytes(range(32))
    rings = [keys.Keys(secret).of_role(role) for role in roles.ROLES]
    for ring in rings:
        assert secret not in ring.content()
        assert secret.hex().encode() not in ring.content()
        assert not any(key.hex() in repr(ring) for key in ring.kinds.values())
        with pytest.raises(TerminalError, match="key_missing"):
            shares.split(ring, 2, 3)
    with pytest.raises(TerminalError, match="key_missing"):
        rings[0].of_role("publishing")


def test_what_names_people_and_what_is_said_of_them_are_in_no_one_ring():
    """Linking cannot open an agency's id or a drop; publishing cannot open tokens; landing knows nobody's
    person id, and neither of the others can make a token of a guessed name."""
    holds = {role: facts.keys for role, facts in roles.ROLES.items()}
    assert not holds["linking"] & {"landing", "token", "number", "record", "seal", "partner"}
    assert not holds["publishing"] & {"landing", "token", "record", "storage", "person"}
    assert not holds["landing"] & {"person", "partner", "checkpoint", "statistics"}


def test_a_ring_is_wrapped_as_a_root_is(tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("a long enough passphrase")
    secret.chmod(0o640)
    wrapping, path = Wrapping(passphrase_file=secret), tmp_path / "linking.ring"
    keys.store(path, keys.Keys(bytes(32)).of_role("linking"), wrapping)
    assert path.read_text().startswith("pbkdf2:")
    assert keys.load(path, wrapping).role == "linking"


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b'{"role": "x"}', b'{"role": 1, "kinds": []}', b"1" * 40]
)
def test_a_malformed_ring_is_refused(tmp_path, content):
    path = tmp_path / "x.ring"
    path.write_text(content.hex())
    path.chmod(0o600)
    with pytest.raises(TerminalError, match="wrong_key"):
        keys.load(path)


def test_rings_are_written_for_their_users_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("LEADHUB_VAR", str(tmp_path / "var"))
    whole = keys.load(tmp_path / "var" / "keys" / "root.key", create=True)
    cli_keys.for_roles(tmp_path / "rings")
    for role in roles.ROLES:
        path = tmp_path / "rings" / f"{role}.ring"
        assert path.stat().st_mode & 0o777 == 0o600
        assert keys.load(path) == whole.of_role(role)
    with pytest.raises(TerminalError, match="there already"):
        cli_keys.for_roles(tmp_path / "rings")


def test_a_secret_in_a_shared_folder_is_still_its_owners(tmp_path):
    tmp_path.chmod(0o2770)
    keys.load(tmp_path / "root.key", create=True)
    assert (tmp_path / "root.key").stat().st_mode & 0o777 == 0o600
    files.write_json(tmp_path / "below" / "said.json", {})
    assert (tmp_path / "below" / "said.json").stat().st_mode & 0o777 == 0o660
    assert (tmp_path / "below").stat().st_mode & 0o7777 == 0o2770
