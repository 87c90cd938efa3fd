"""Deliveries over SFTP: whole or absent at every instant."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.base import Connection
from connectors.sftp import Outbox
from connectors.sftp_session import SftpSession
from leadhub.foundation.errors import TerminalError, TransientError
from simulation.sftp_server import SftpServer
from tests.connectors.sftp.sftp_agency import PRIVATE, PUBLIC, connection
from tests.connectors.sftp.sftp_partner import REMOTE, package, tree

POINTS = ("delivery.mid_upload", "delivery.before_rename", "delivery.after_rename")


# one file ---------------------------------------------------------------------------------------------


def test_a_file_appears_whole_and_replaces_an_older_one(where: Connection, outbox: Path) -> None:
    with Outbox(where) as box:
        for data in (b"first", b"", b"x" * 1_000_000):
            box.put_file("acknowledgements/2026-11-20_ab.ack.json", data)
            assert box.read("acknowledgements/2026-11-20_ab.ack.json") == data
        assert box.listdir("acknowledgements") == ["2026-11-20_ab.ack.json"]
        assert box.exists("acknowledgements")
        assert not box.exists("rejections")
        assert box.read("rejections/none.csv") is None
        assert box.read("acknowledgements") is None
        assert box.listdir("rejections") == []
    assert len(tree(outbox)) == 1


def test_a_file_that_arrives_altered_never_appears(
    where: Connection, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SftpSession.write
    monkeypatch.setattr(SftpSession, "write", lambda self, path, chunks: real(self, path, [*chunks, b"x"]))
    with Outbox(where) as box, pytest.raises(TransientError, match="delivery_failed"):
        box.put_file("acknowledgements/a.json", b"{}")
    assert tree(outbox) == {}


def test_an_answer_that_its_sender_alone_may_read_stops_no_other(
    where: Connection, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (outbox / "answer.json").write_bytes(b"{}")

    def refused(*_: object) -> Iterator[bytes]:
        raise TerminalError("credentials_refused", "permission denied")

    with Outbox(where) as box:
        assert box.read_answer("answer.json") == b"{}"
        # these tests may run as the superuser, from whom no mode keeps a file
        monkeypatch.setattr(SftpSession, "chunks", refused)
        with pytest.raises(TerminalError, match=r"unreadable_file.*answer\.json.*660"):
            box.read_answer("answer.json")


@pytest.mark.parametrize("path", ["", "/etc/x", "../inbox/x", "a/../../x", "a//b", "./a", "a\\b", "a/"])
def test_paths_stay_in_the_outbox(where: Connection, path: str) -> None:
    with Outbox(where) as box:
        for act in (
            lambda: box.put_file(path, b""),
            lambda: box.read(path),
            lambda: box.remove_folder(path),
        ):
            with pytest.raises(TerminalError, match="unsafe_name"):
                act()


# a folder ---------------------------------------------------------------------------------------------


def test_a_delivery_arrives_and_again_is_already_there(
    where: Connection, outbox: Path, release: Path
) -> None:
    with Outbox(where) as box:
        assert box.deliver_folder(release, REMOTE) == "delivered"
        assert tree(outbox / REMOTE) == tree(release)
        stamp = (outbox / REMOTE).stat().st_ino
        assert box.deliver_folder(release, REMOTE) == "already"
        assert (outbox / REMOTE).stat().st_ino == stamp
        assert box.listdir("diversion_status") == ["000001_2026-11-20"]
    assert os.listdir(outbox) == ["diversion_status"]


def test_another_delivery_in_its_place_stops(where: Connection, outbox: Path, tmp_path: Path) -> None:
    one, two = package(tmp_path / "1", b"one"), package(tmp_path / "2", b"two")
    with Outbox(where) as box:
        box.deliver_folder(one, REMOTE)
        with pytest.raises(TerminalError, match="conflicting_resubmission"):
            box.deliver_folder(two, REMOTE)
        (outbox / "empty").mkdir()
        with pytest.raises(TerminalError, match="conflicting_resubmission"):
            box.deliver_folder(two, "empty")
    assert tree(outbox / REMOTE) == tree(one)


def test_a_folder_without_manifest_is_no_delivery(where: Connection, tmp_path: Path) -> None:
    with Outbox(where) as box, pytest.raises(ValueError, match=r"manifest\.json"):
        box.deliver_folder(tmp_path, REMOTE)


def test_a_delivery_that_arrives_altered_is_not_renamed(
    where: Connection, outbox: Path, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SftpSession.write

    def spoil(self: SftpSession, path: str, chunks: Iterator[bytes]) -> None:
        real(self, path, (bytes(len(c)) if path.endswith(".csv") else c for c in chunks))

    monkeypatch.setattr(SftpSession, "write", spoil)
    with Outbox(where) as box, pytest.raises(TransientError, match="delivery_failed"):
        box.deliver_folder(release, REMOTE)
    assert not (outbox / REMOTE).exists()


def test_g1_a_watching_partner_sees_all_or_nothing(where: Connection, outbox: Path, release: Path) -> None:
    expected, seen, over = tree(release), [], threading.Event()

    def watch() -> None:
        while not over.is_set():
            try:
                seen.append(tree(outbox / REMOTE) if (outbox / REMOTE).exists() else {})
            except FileNotFoundError:
                seen.append({"gone": b"while it was read"})

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Outbox(where) as box:
        box.deliver_folder(release, REMOTE)
        time.sleep(0.05)
    over.set()
    watcher.join()
    assert {} in seen
    assert expected in seen
    assert all(s in ({}, expected) for s in seen)


@pytest.mark.parametrize("point", POINTS)
def test_f02_an_attempt_that_fails_leaves_all_or_nothing(
    where: Connection, outbox: Path, release: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setenv("LEADHUB_FAILPOINT", f"{point}:raise")
    with Outbox(where) as box, pytest.raises(TransientError):
        box.deliver_folder(release, REMOTE)
    converges(where, outbox, release, monkeypatch, point)


@pytest.mark.parametrize("point", POINTS)
def test_f01_f04_a_killed_attempt_leaves_all_or_nothing(
    where: Connection, outbox: Path, release: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    script = (
        "import json, sys; from pathlib import Path; from connectors.base import Connection;"
        "from connectors.sftp import Outbox; c = json.load(sys.stdin)\n"
        "with Outbox(Connection(**c)) as box: box.deliver_folder(Path(sys.argv[1]), sys.argv[2])"
    )
    given = {"host": where.host, "port": where.port, "login": where.login, "extra": dict(where.extra)}
    killed = subprocess.run(
        [sys.executable, "-c", script, str(release), REMOTE],
        input=json.dumps(given).encode(),
        env={**os.environ, "LEADHUB_FAILPOINT": f"{point}:kill"},
        capture_output=True,
        timeout=60,
    )
    assert killed.returncode == -9, killed.stderr.decode()
    converges(where, outbox, release, monkeypatch, point)


def converges(
    where: Connection, outbox: Path, release: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    there = point == "delivery.after_rename"
    assert (tree(outbox / REMOTE) if there else (outbox / REMOTE).exists()) == (
        tree(release) if there else False
    )
    monkeypatch.delenv("LEADHUB_FAILPOINT", raising=False)
    with Outbox(where) as box:
        assert box.deliver_folder(release, REMOTE) == ("already" if there else "delivered")
    assert tree(outbox / REMOTE) == tree(release)
    assert os.listdir(outbox) == ["diversion_status"], "nothing of the broken attempt is left"


def test_what_a_broken_attempt_left_is_not_delivered_with_another(
    where: Connection, outbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken, corrected = package(tmp_path / "1", b"one"), package(tmp_path / "2", b"two")
    (broken / "data" / "sealed.csv").write_bytes(b"a person sealed since")
    with Outbox(where) as box:
        monkeypatch.setenv("LEADHUB_FAILPOINT", "delivery.before_rename:raise")
        with pytest.raises(TransientError):
            box.deliver_folder(broken, REMOTE)
        monkeypatch.delenv("LEADHUB_FAILPOINT")
        assert box.deliver_folder(corrected, REMOTE) == "delivered"
    assert tree(outbox) == {f"{REMOTE}/{name}": data for name, data in tree(corrected).items()}


def test_a_server_that_goes_away_is_transient(
    tmp_path: Path, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = SftpServer(tmp_path / "dying")
    dying.start()
    dying.add_account("partner", [PUBLIC])
    real = SftpSession.rename
    monkeypatch.setattr(SftpSession, "rename", lambda *a: (dying.stop(), real(*a))[1])
    with Outbox(connection(dying, "partner", PRIVATE)) as box:
        with pytest.raises(TransientError, match="delivery_failed"):
            box.deliver_folder(release, REMOTE)
        with pytest.raises(TransientError, match="delivery_failed"):
            box.put_file("acknowledgements/x.json", b"")
    assert not (tmp_path / "dying" / "partner" / "outbox" / REMOTE).exists()


def test_a_delivery_is_taken_back_in_one_step(where: Connection, outbox: Path, release: Path) -> None:
    with Outbox(where) as box:
        box.deliver_folder(release, REMOTE)
        (outbox / REMOTE / "link").symlink_to(release)
        box.remove_folder(REMOTE)
        box.remove_folder(REMOTE)
        assert box.listdir("diversion_status") == []
    assert os.listdir(outbox) == ["diversion_status"]
    assert len(tree(release)) == 3, "links were not followed"


def test_f37_an_interrupted_removal_is_finished_by_the_next(
    where: Connection, outbox: Path, release: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = SftpSession.remove
    with Outbox(where) as box:
        box.deliver_folder(release, REMOTE)
        monkeypatch.setattr(SftpSession, "remove", lambda self, path: _lost() if self.lstat(path) else None)
        with pytest.raises(TransientError):
            box.remove_folder(REMOTE)
        assert not (outbox / REMOTE).exists()
        monkeypatch.setattr(SftpSession, "remove", real)
        box.remove_folder(REMOTE)
    assert tree(outbox) == {}


def _lost() -> None:
    raise TransientError("delivery_failed", "the line is lost")
