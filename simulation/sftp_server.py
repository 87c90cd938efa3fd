"""The county's SFTP server: one account an agency, keys only, each account in its own folder.

::

    <root>/ssh_host_ed25519_key    made at the first start, mode 600
          /<account>/inbox/        agency → hub: drops
                    /outbox/       hub → agency: acknowledgements, rejection reports, deliveries

For the demo and the tests: asyncssh in a thread, on loopback, without root. A real installation runs
OpenSSH with `ChrootDirectory` and `internal-sftp` (`deploy/sftp`); the hub cannot tell the two apart.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import asyncssh

from leadhub.foundation import files


class SftpServer:
    """`start` and `stop`, or use as a context manager. `port` 0 takes a free one.

    `logins` are the accounts for which authentication began, `opened` the (account, path) of every file
    that was opened: what an agency's own log would tell.
    """

    def __init__(self, root: Path, port: int = 0):
        self.root, self.port = root.resolve(), port
        self.logins: list[str] = []
        self.opened: list[tuple[str, str]] = []
        self._accounts: dict[str, frozenset[bytes]] = {}
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._listener: asyncssh.SSHAcceptor | None = None

    def add_account(self, name: str, public_keys: Iterable[str]) -> Path:
        """Let the holders of these keys (lines "ssh-ed25519 AAAA…") into the account; gives its folder."""
        if not name.replace("_", "").isalnum():
            raise ValueError(f"[{name}] cannot name an account")
        self._accounts[name] = frozenset(asyncssh.import_public_key(k).public_data for k in public_keys)
        for box in ("inbox", "outbox"):
            (self.root / name / box).mkdir(parents=True, exist_ok=True)
        return self.root / name

    def connection(self, account: str, private_key: str) -> dict[str, Any]:
        """The account as an Airflow connection in JSON form, the host key pinned."""
        return {
            "conn_type": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "login": account,
            "extra": {"private_key": private_key, "host_key": self.host_key()},
        }

    def host_key(self) -> str:
        """The public host key, as a connection pins it."""
        algorithm, data, *_ = self._host_key().export_public_key().decode().split()
        return f"{algorithm} {data}"

    def _host_key(self) -> asyncssh.SSHKey:
        path = self.root / "ssh_host_ed25519_key"
        if not path.exists():
            files.write_bytes(path, asyncssh.generate_private_key("ssh-ed25519").export_private_key())
        return asyncssh.read_private_key(path)

    # life -------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sftp-server", daemon=True)
        self._thread.start()
        self._listener = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(30)
        self.port = self._listener.get_port()

    async def _listen(self) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_factory=lambda: _Doorkeeper(self),
            server_host_keys=[self._host_key()],
            sftp_factory=lambda channel: _Account(self, channel),
            public_key_auth=True,
            password_auth=False,
            kbdint_auth=False,
            agent_forwarding=False,
            allow_pty=False,
            allow_scp=False,
        )

    def stop(self) -> None:
        """Close every connection and the port; the files stay."""
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()
        self._loop = self._thread = self._listener = None

    async def _close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
        for connection in tuple(self._connections):
            connection.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def __enter__(self) -> SftpServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Doorkeeper(asyncssh.SSHServer):
    def __init__(self, server: SftpServer):
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        self._server.logins.append(username)
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key.public_data in self._server._accounts.get(username, frozenset())


class _Account(asyncssh.SFTPServer):
    """One session, kept inside its account's folder.

    asyncssh maps names into the folder; a link could still lead out of it, so none is made and none
    that leads out is followed.
    """

    def __init__(self, server: SftpServer, channel: asyncssh.SSHServerChannel):
        self._server, self._name = server, channel.get_extra_info("username")
        self._top = os.fsencode(server.root / self._name)
        super().__init__(channel, chroot=self._top)

    def map_path(self, path: bytes) -> bytes:
        mapped = super().map_path(path)
        self._check(os.path.dirname(mapped))
        return mapped

    def _check(self, path: bytes) -> None:
        real = os.path.realpath(path)
        if real != self._top and not real.startswith(self._top + b"/"):
            raise asyncssh.SFTPPermissionDenied("outside of the account")

    def _follow(self, path: bytes) -> None:
        self._check(self.map_path(path))

    def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        self._follow(path)
        self._server.opened.append((self._name, os.fsdecode(path)))
        return super().open(path, pflags, attrs)

    def open56(self, path: bytes, desired_access: int, flags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        self._follow(path)
        self._server.opened.append((self._name, os.fsdecode(path)))
        return super().open56(path, desired_access, flags, attrs)

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        self._follow(path)
        async for name in super().scandir(path):
            yield name

    def stat(self, path: bytes) -> Any:
        self._follow(path)
        return super().stat(path)

    def setstat(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> Any:
        self._follow(path)
        return super().setstat(path, attrs)

    def statvfs(self, path: bytes) -> Any:
        self._follow(path)
        return super().statvfs(path)

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("no links")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("no links")
