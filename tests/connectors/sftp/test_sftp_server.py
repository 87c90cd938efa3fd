"""The simulated SFTP server: nobody reaches beyond an account. What it serves, OpenSSH's serves too."""

from __future__ import annotations

import getpass
import io
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import paramiko
import pytest

from connectors.base import Connection
from connectors.sftp import Outbox
from leadhub.foundation.keys import Keys
from leadhub.intake.landing import Landing
from simulation.sftp_server import SftpServer
from tests.connectors.sftp.sftp_agency import NIGHT, PRIVATE, PUBLIC, Agency, ssh_key
from tests.connectors.sftp.sftp_partner import REMOTE, tree

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
