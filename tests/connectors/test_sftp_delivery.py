"""Deliveries over SFTP: whole or absent at every instant, and nobody reaches beyond an account."""

from __future__ import annotations

import getpass
import io
import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest
from sftp_agency import NIGHT, Agency, connection, ssh_key

from connectors.base import Connection
from connectors.sftp import Outbox
from connectors.sftp_session import SftpSession
from leadhub.foundation.errors import TerminalError, TransientError
from leadhub.foundation.keys import Keys
from leadhub.intake.landing import Landing
from simulation.sftp_server import SftpServer

_numbers = itertools.count()
PRIVATE, PUBLIC = ssh_key()
POINTS = ("delivery.mid_upload", "delivery.before_rename", "delivery.after_rename")
REMOTE = "diversion_status/000001_2026-11-20"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with SftpServer(tmp_path_factory.mktemp("sftp")) as running:
        yield running


@pytest.fixture
def account(server: SftpServer) -> str:
    name = f"partner{next(_numbers)}"
    server.add_account(name, [PUBLIC])
    return name


@pytest.fixture
def where(server: SftpServer, account: str) -> Connection:
    return connection(server, account, PRIVATE)


@pytest.fixture
def outbox(server: SftpServer, account: str) -> Path:
    return server.root / account / "outbox"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return package(tmp_path / "release", b"one")


def package(folder: Path, content: bytes) -> Path:
    """Three files, one of them in a folder of its own and longer than one request."""
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "part-0.csv").write_bytes(content * 200_000)
    (folder / "README.txt").write_bytes(b"")
    (folder / "manifest.json").write_bytes(b'{"content": "' + content + b'"}')
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


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


# the server -------------------------------------------------------------------------------------------

ESCAPES = (
    "../secret/inbox/s.txt",
    "/../secret/inbox/s.txt",
    "inbox/../../secret/inbox/s.txt",
    "/../../../../../../../../../../etc/hostname",
    "absolute/s.txt",
    "relative/s.txt",
    "link.txt",
    "chain.txt",
)
OPERATIONS: dict[str, Callable[[paramiko.SFTPClient, str], object]] = {
    "read": lambda c, p: c.open(p, "rb").read(),
    "write": lambda c, p: c.open(p, "r+").write(b"x"),
    "append": lambda c, p: c.open(p, "a").write(b"x"),
    "stat": lambda c, p: c.stat(p).st_size,
    "list": lambda c, p: c.listdir(p.rpartition("/")[0] or p),
    "remove beyond": lambda c, p: c.remove(p) if "/" in p else c.stat(p).st_size,
    "rename away": lambda c, p: c.posix_rename(p, "inbox/taken") if "/" in p else c.stat(p).st_size,
    "rename over": lambda c, p: c.posix_rename("inbox/mine.txt", p) if "/" in p else c.stat(p).st_size,
    "chmod": lambda c, p: c.chmod(p, 0o777),
    "truncate": lambda c, p: c.truncate(p, 0),
    "new folder": lambda c, p: c.mkdir(f"{p}.d") if "/" in p else c.listdir(p),
    "read link": lambda c, p: c.readlink(p) if "/" not in p else c.stat(p).st_size,
    "make link": lambda c, p: c.symlink(p, "inbox/made"),
}


def client(server: SftpServer, account: str, private: str) -> paramiko.SFTPClient:
    transport = paramiko.Transport(("127.0.0.1", server.port))
    transport.connect(username=account, pkey=paramiko.Ed25519Key.from_private_key(io.StringIO(private)))
    return paramiko.SFTPClient.from_transport(transport)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_no_operation_leaves_an_account_by_any_way_out(
    server: SftpServer, account: str, operation: str
) -> None:
    top = server.root / account
    secret = server.add_account("secret", [ssh_key()[1]]) / "inbox" / "s.txt"
    secret.write_bytes(b"another agency's")
    secret.chmod(0o600)
    (top / "inbox" / "mine.txt").write_bytes(b"mine")
    (top / "absolute").symlink_to(secret.parent)
    (top / "relative").symlink_to("../secret/inbox")
    (top / "link.txt").symlink_to(secret)
    (top / "chain.txt").symlink_to("link.txt")
    session = client(server, account, PRIVATE)
    for escape in ESCAPES:
        with pytest.raises(OSError):  # noqa: PT011  (which error it is, is the server's affair)
            OPERATIONS[operation](session, escape)
    session.get_channel().get_transport().close()
    assert secret.read_bytes() == b"another agency's"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert os.listdir(secret.parent) == ["s.txt"]
    assert sorted(os.listdir(top / "inbox")) == ["mine.txt"]


def test_an_account_opens_for_its_own_keys_only(server: SftpServer, account: str) -> None:
    own, own_public = ssh_key()
    server.add_account(account, [own_public, PUBLIC])
    for private in (own, PRIVATE):
        assert sorted(client(server, account, private).listdir()) == ["inbox", "outbox"]
    server.add_account("someone_else", [ssh_key()[1]])
    for name, private in (("someone_else", own), (account, ssh_key()[0]), ("nobody", own)):
        with pytest.raises(paramiko.AuthenticationException):
            client(server, name, private)
    with pytest.raises(paramiko.SSHException):
        paramiko.Transport(("127.0.0.1", server.port)).connect(username=account, password="x")


def test_the_host_key_stays_the_same(tmp_path: Path) -> None:
    keys = set()
    for _ in range(2):
        with SftpServer(tmp_path) as server:
            keys.add(server.host_key())
    assert len(keys) == 1
    assert (tmp_path / "ssh_host_ed25519_key").stat().st_mode & 0o777 == 0o600


@pytest.mark.skipif(shutil.which("sftp") is None, reason="OpenSSH's client is not installed")
def test_a_stock_client_drops_and_fetches(server: SftpServer, account: str, tmp_path: Path) -> None:
    (server.root / account / "outbox" / "for_you.txt").write_bytes(b"hello")
    (tmp_path / "key").write_text(PRIVATE)
    (tmp_path / "key").chmod(0o600)
    (tmp_path / "known").write_text(f"[127.0.0.1]:{server.port} {server.host_key()}\n")
    (tmp_path / "drop.csv").write_bytes(b"a,b\n")
    (tmp_path / "batch").write_text(
        f"put {tmp_path}/drop.csv inbox/.drop.csv.part\nrename inbox/.drop.csv.part inbox/drop.csv\n"
        f"get outbox/for_you.txt {tmp_path}/fetched\n-ls ../..\nls inbox\n"
    )
    options = ["-oUserKnownHostsFile=" + str(tmp_path / "known"), "-oIdentitiesOnly=yes", "-oBatchMode=yes"]
    files = ["-i", str(tmp_path / "key"), "-b", str(tmp_path / "batch")]
    target = ["-P", str(server.port), f"{account}@127.0.0.1"]
    done = subprocess.run(
        ["sftp", "-q", "-F", "none", *files, *options, *target], capture_output=True, timeout=60
    )
    assert done.returncode == 0, done.stderr.decode()
    assert (server.root / account / "inbox" / "drop.csv").read_bytes() == b"a,b\n"
    assert (tmp_path / "fetched").read_bytes() == b"hello"


_SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@pytest.fixture
def openssh(tmp_path: Path) -> Iterator[tuple[Path, Connection]]:
    """OpenSSH's server on a folder, as its own user; the folder and a connection."""
    folder = tmp_path / "account"
    for box in ("inbox", "outbox"):
        (folder / box).mkdir(parents=True)
    keys = {kind: tmp_path / f"host_{kind}" for kind in ("ed25519", "ecdsa")}
    for kind, host in keys.items():
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(host)], check=True)
    (tmp_path / "keys").write_text(PUBLIC)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (tmp_path / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nPidFile none\nUsePAM no\nStrictModes no\n"
        f"HostKey {keys['ed25519']}\nHostKey {keys['ecdsa']}\n"
        f"AuthorizedKeysFile {tmp_path}/keys\nPermitRootLogin yes\nPasswordAuthentication no\n"
        "Ciphers aes256-gcm@openssh.com,aes256-ctr\nMACs hmac-sha2-256-etm@openssh.com\n"
        f"Subsystem sftp internal-sftp -d {folder}\nForceCommand internal-sftp -d {folder}\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    running = subprocess.Popen(
        [str(_SSHD), "-D", "-e", "-f", str(tmp_path / "config")], stderr=(tmp_path / "log").open("wb")
    )
    try:
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        # of several keys the one that is pinned is asked for, though another is preferred
        pinned = " ".join(keys["ecdsa"].with_suffix(".pub").read_text().split()[:2])
        extra = {"private_key": PRIVATE, "host_key": pinned}
        yield folder, Connection("127.0.0.1", port, getpass.getuser(), extra=extra)
    finally:
        running.terminate()
        running.wait(10)


@pytest.mark.skipif(_SSHD is None, reason="OpenSSH's server is not installed")
def test_openssh_serves_drops_and_deliveries_alike(
    openssh: tuple[Path, Connection], release: Path, tmp_path: Path
) -> None:
    folder, where = openssh
    with Outbox(where) as box:
        assert box.deliver_folder(release, REMOTE) == "delivered"
        assert box.deliver_folder(release, REMOTE) == "already"
        box.put_file("acknowledgements/a.json", b"{}")
        box.put_file("acknowledgements/a.json", b"[]")
        assert box.read("acknowledgements/a.json") == b"[]"
        assert tree(folder / "outbox" / REMOTE) == tree(release)
        box.remove_folder(REMOTE)
    assert set(tree(folder / "outbox")) == {"acknowledgements/a.json"}

    class Elsewhere(Agency):
        inbox = folder / "inbox"

    with SftpServer(tmp_path / "unused") as unused:
        agency = Elsewhere(unused, Landing(tmp_path, Keys(b"k" * 32)), "x", PRIVATE)
    agency.hub.connection = where
    agency.drop(tables={"clients": b"client_id\n" + b"C1\n" * 300_000, "refs": b"referral_no\nR1\n"})
    agency.put("clients_20261120_02.csv\udce9".encode("utf-8", "surrogateescape"), b"x")
    os.symlink("/etc/passwd", folder / "inbox" / "clients_20261120_03.csv")
    found = agency.read(NIGHT)
    assert [(a.status, a.reason) for a in found] == [
        ("landed", None),
        ("refused", "unsafe_name"),
        ("refused", "unsafe_name"),
    ]
    agency.hub.finish(found)
    assert len(agency.names) == 2
