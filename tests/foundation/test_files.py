"""Whole or absent: the n-th call fails, for every n, and nothing half-written is ever visible (F2, F3)."""

import errno
import os
import resource
import subprocess
import sys

import pytest

from leadhub.foundation import files
from leadhub.foundation.errors import TransientError

CALLS = ("fsync", "replace", "open")


def _fails(path):
    try:
        files.write_json(path, {"state": "new"})
    except TransientError as error:
        return error.reason == "io_failed"
    return False


def test_f02_whichever_call_fails_the_file_is_old_or_new(tmp_path, monkeypatch):
    path = tmp_path / "receipt.json"
    files.write_json(path, {"state": "old"})
    failed = 0
    for name in CALLS:
        for nth in range(1, 9):
            real, count = getattr(os, name), 0

            def failing(*args, real=real, nth=nth, **kwargs):
                nonlocal count
                count += 1
                if count == nth:
                    raise OSError(errno.EIO, "broken")
                return real(*args, **kwargs)

            with monkeypatch.context() as patch:
                patch.setattr(os, name, failing)
                failed += _fails(path)
            assert files.read_json(path)["state"] in ("old", "new")
            assert [p.name for p in tmp_path.iterdir()] == ["receipt.json"]
            files.write_json(path, {"state": "old"})
    assert failed >= len(CALLS)


def test_f03_a_full_disk_says_so_and_leaves_nothing(tmp_path):
    script = (
        "import resource, sys; from pathlib import Path; from leadhub.foundation import files\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "try: files.write_bytes(Path(sys.argv[1]), b'x' * 5000)\n"
        "except Exception as error: print(error.reason)\n"
    )
    target = tmp_path / "large"
    done = subprocess.run(
        [sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "disk_full"
    assert list(tmp_path.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1000


def test_the_order_is_file_then_rename_then_folder(tmp_path, monkeypatch):
    seen = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor):
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file"
        seen.append(f"fsync {kind}")
        real_fsync(descriptor)

    def replace(source, target):
        seen.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    files.write_bytes(tmp_path / "a", b"1")
    assert seen == ["fsync file", "rename", "fsync folder"]


def test_a_folder_is_committed_by_one_rename(tmp_path):
    staging = tmp_path / ".staging"
    (staging / "inside").mkdir(parents=True)
    (staging / "inside" / "b").write_text("2")
    files.commit_folder(staging, tmp_path / "final" / "7")
    assert (tmp_path / "final" / "7" / "inside" / "b").read_text() == "2"
    assert not staging.exists()


def test_canonical_json_has_one_form():
    assert files.canonical_json({"b": 1, "a": "é"}) == '{\n  "a": "é",\n  "b": 1\n}\n'.encode()
    with pytest.raises(ValueError, match="JSON"):
        files.canonical_json({"x": float("nan")})


def test_no_name_can_be_foreseen_and_no_link_is_followed(tmp_path):
    """Who shares a folder could lay a link where another is about to write."""
    victim = tmp_path / "victim"
    victim.write_bytes(b"root key")
    (tmp_path / f".receipt.json.{os.getpid()}.tmp").symlink_to(victim)
    files.write_json(tmp_path / "receipt.json", {"state": "new"})
    assert victim.read_bytes() == b"root key"
    (tmp_path / "lock").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        files.open_shared(tmp_path / "lock", os.O_RDWR)
