"""Backup and restore, as docs/runbook.md tells it, rehearsed."""

import shutil

import pytest

from connectors.base import connection_from_environment
from leadhub.foundation import keys, ledger
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.steps.site import open_site

pytestmark = pytest.mark.timeout(300)


def _site(nights):
    return open_site(connection_from_environment, Settings(var=nights.var))


def _lose_everything(nights):
    for name in ("landing", "landing_keys", "lake", "ledger", "releases"):
        shutil.rmtree(nights.var / name, ignore_errors=True)


def test_state_and_root_key_come_back_together(nights, first_night, tmp_path):
    nights.restore(first_night)
    expected = nights.outcome()
    nights.save(tmp_path / "state")
    root = nights.var / "keys" / "root.key"
    safe = root.read_bytes()
    try:
        _lose_everything(nights)
        root.unlink()
        with pytest.raises(TerminalError, match="key_missing"):
            _site(nights)
        nights.restore(tmp_path / "state")
        keys.load(root, create=True)
        with pytest.raises(TerminalError, match="wrong_key"):
            _site(nights)
    finally:
        root.write_bytes(safe)
    assert nights.outcome() == expected
    assert nights.run() == 0, "a night that was committed before the backup is simply recognised"
    assert nights.outcome() == expected


def test_deliveries_made_after_the_backup_are_recognised(nights, tmp_path):
    nights.restore()
    assert nights.run(failpoint="night.after_commit:kill") == -9
    nights.save(tmp_path / "state")
    assert nights.run() == 0
    sent = {p: p.read_bytes() for p in (nights.var / "sftp").glob("*/outbox/*/*/*") if p.is_file()}
    assert sent
    _lose_everything(nights)
    for name in ("landing", "landing_keys", "lake", "ledger", "releases"):
        if (tmp_path / "state" / name).exists():
            shutil.copytree(tmp_path / "state" / name, nights.var / name)
    assert nights.run() == 0
    again = {p: p.read_bytes() for p in (nights.var / "sftp").glob("*/outbox/*/*/*") if p.is_file()}
    assert again == sent, "nothing was delivered twice, and nothing of it changed"
    for path in (nights.var / "ledger").glob("*.jsonl"):
        assert [e.kind for e in ledger.entries(path)][-2:] == ["intent", "committed"]
