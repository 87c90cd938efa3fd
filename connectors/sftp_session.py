"""One SFTP session with a server we know: host key pinned, keys only, errors in our two families.

Connection extra: `host_key` ("ssh-ed25519 AAAA…", required), `private_key` (PEM or OpenSSH text,
required), `private_key_passphrase`. No agent, no key files of the user, no known_hosts, no password.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import paramiko
from paramiko.sftp import (
    CMD_CLOSE,
    CMD_DATA,
    CMD_EXTENDED,
    CMD_HANDLE,
    CMD_NAME,
    CMD_OPENDIR,
    CMD_READ,
    CMD_READDIR,
    int64,
)

from connectors.base import Connection
from connectors.sftp_keys import pinned_host_key, private_key
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError

#: seconds without any answer
TIMEOUT = 30.0
#: approved ciphers; the first is by far the fastest here
_CIPHERS = ("aes256-gcm@openssh.com", "aes256-ctr")
#: bytes a request, and requests on their way. paramiko's own read-ahead is not used: without a cap it
#: may hold a whole file in memory, and its cap polls, which costs a factor of twenty
_BLOCK, _AHEAD = 32 << 10, 64
_DISCONNECTED = (paramiko.SSHException, EOFError, OSError)


@dataclass(frozen=True)
class Entry:
    """What a server lists or says of one name, links not followed. `mtime` in seconds since 1970."""

    name: bytes
    mode: int
    size: int
    mtime: int

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)


class SftpSession:
    """Context manager. `failing` is the reason of transient errors once the session stands.

    Every method raises TransientError with that reason where trying again may help (or
    `source_timeout`), TerminalError `credentials_refused` where the account may not do it.
    """

    def __init__(self, connection: Connection, *, failing: str = "source_unreachable"):
        self._connection, self._failing = connection, failing
        self._pinned = pinned_host_key(connection)
        self._key = private_key(connection)
        self._fsync = True

    def __enter__(self) -> SftpSession:
        where = f"SFTP server [{self._connection.host}]"
        try:
            link = socket.create_connection((self._connection.host, self._connection.port), TIMEOUT)
        except OSError:
            raise TransientError("source_unreachable", f"{where} does not answer; try later") from None
        self._transport = paramiko.Transport(link)
        try:
            self._open(where)
        except BaseException:
            self._transport.close()
            raise
        return self

    def _open(self, where: str) -> None:
        transport, (algorithms, pinned) = self._transport, self._pinned
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = TIMEOUT
        options = transport.get_security_options()
        options.ciphers = _CIPHERS
        options.key_types = algorithms
        broken = TransientError("source_unreachable", f"{where} broke off; try again later")
        changed = TerminalError(
            "host_key_changed",
            f"{where} shows another host key than extra [host_key] of the connection; nothing was sent. "
            "Ask the agency by telephone before you pin a new one",
        )
        try:
            transport.start_client(timeout=TIMEOUT)
            # after a timeout paramiko returns as if all were well: then there is no key to be had
            shown = transport.get_remote_server_key().asbytes()
        except paramiko.ssh_exception.IncompatiblePeer as error:
            # a server that lost the pinned kind of key is not the server we know
            if "host key" in str(error):
                raise changed from None
            raise TerminalError(
                "settings_invalid",
                f"{where} agrees on no approved algorithm ({error}); ask the agency to allow AES-256",
            ) from None
        except _DISCONNECTED:
            raise broken from None
        if shown != pinned:
            raise changed
        refused = TerminalError(
            "credentials_refused",
            f"{where} does not let [{self._connection.login}] in with extra [private_key]; ask the agency "
            "to install the hub's public key",
        )
        try:
            transport.auth_publickey(self._connection.login, self._key)
        except _DISCONNECTED:
            # paramiko says the same of a refusal and of a line that went dead meanwhile
            if transport.is_active() and transport.auth_handler.auth_event.is_set():
                raise refused from None
            raise broken from None
        if not transport.is_authenticated():
            raise refused
        with self._errors("opening the session"):
            self._sftp = paramiko.SFTPClient.from_transport(transport)
            self._sftp.get_channel().settimeout(TIMEOUT)

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        """The server's own words are not passed on: they may hold names."""
        try:
            yield
        except LeadhubError:
            raise
        except TimeoutError:
            raise TransientError("source_timeout", f"SFTP, {what}: no answer; try again later") from None
        except (*_DISCONNECTED, UnicodeDecodeError) as error:
            if getattr(error, "errno", None) == errno.EACCES:
                raise TerminalError(
                    "credentials_refused",
                    f"SFTP, {what}: the account [{self._connection.login}] may not; ask the agency",
                ) from None
            raise TransientError(self._failing, f"SFTP, {what}: failed; try again later") from None

    # reading ----------------------------------------------------------------------------------------

    def entries(self, folder: str | bytes) -> list[Entry]:
        """Everything in a folder, by name; empty where there is none. Names are bytes as they came.

        paramiko's own listing fails as a whole on one name that is not UTF-8.
        """
        with self._errors("listing a folder"):
            try:
                found = list(self._listed(folder))
            except OSError as error:
                # some servers say so when the folder is opened, some when it is read
                if error.errno == errno.ENOENT:
                    return []
                raise
        return sorted((e for e in found if e.name not in (b".", b"..")), key=lambda e: e.name)

    def _listed(self, folder: str | bytes) -> Iterator[Entry]:
        kind, message = self._sftp._request(CMD_OPENDIR, folder)
        if kind != CMD_HANDLE:
            raise paramiko.SSHException
        handle = message.get_binary()
        with suppress(EOFError):
            while True:
                kind, message = self._sftp._request(CMD_READDIR, handle)
                if kind != CMD_NAME:
                    raise paramiko.SSHException
                for _ in range(message.get_int()):
                    name, _longname = message.get_binary(), message.get_binary()
                    yield _entry(name, paramiko.SFTPAttributes._from_msg(message))
        self._sftp._request(CMD_CLOSE, handle)

    def lstat(self, path: str | bytes) -> Entry | None:
        """What stands at `path`, a link not followed; None where nothing does."""
        with self._errors("looking up a file"):
            try:
                return _entry(os.path.basename(os.fsencode(path)), self._sftp.lstat(path))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return None
                raise

    def chunks(self, path: str, size: int) -> Iterator[bytes]:
        """The first `size` bytes of a file, fewer where it ends before."""
        with self._errors("reading a file"), self._sftp.open(path, "rb") as handle, suppress(_End):
            answers, waiting, asked = _Answers(), deque[tuple[int, int, int]](), 0
            while asked < size or waiting:
                while asked < size and len(waiting) < _AHEAD:
                    length = min(_BLOCK, size - asked)
                    number = self._sftp._async_request(
                        answers, CMD_READ, handle.handle, int64(asked), length
                    )
                    waiting.append((number, asked, length))
                    asked += length
                number, offset, length = waiting.popleft()
                data = self._answer(answers, number)
                while True:
                    yield data
                    offset, length = offset + len(data), length - len(data)
                    if not length:
                        break
                    # a server may answer with less than was asked for
                    number = self._sftp._async_request(
                        answers, CMD_READ, handle.handle, int64(offset), length
                    )
                    data = self._answer(answers, number)

    def _answer(self, answers: _Answers, number: int) -> bytes:
        """The data of one request. Raises: _End at the end of the file."""
        while number not in answers:
            self._sftp._read_response()
        kind, message = answers.pop(number)
        if kind == CMD_DATA and (data := message.get_string()):
            return data
        try:
            self._sftp._convert_status(message)
        except EOFError:
            raise _End from None
        raise paramiko.SSHException

    def read(self, path: str, limit: int) -> bytes:
        """A small file, at most `limit` bytes of it."""
        return b"".join(self.chunks(path, limit))

    # writing ----------------------------------------------------------------------------------------

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """A file anew, forced to the server's disk where the server offers that."""
        with self._errors("writing a file"), self._sftp.open(path, "wb") as handle:
            handle.set_pipelined(True)
            for chunk in chunks:
                handle.write(chunk)
            handle.set_pipelined(False)
            handle.flush()
            self._force(handle)

    def _force(self, handle: paramiko.SFTPFile) -> None:
        if not self._fsync:
            return
        try:
            self._sftp._request(CMD_EXTENDED, "fsync@openssh.com", handle.handle)
        except OSError:
            # "not supported" has no number of its own here; a disk that failed shows when we read back
            self._fsync = False

    def rename(self, old: str, new: str) -> None:
        """Atomic, and over an existing file (posix-rename@openssh.com)."""
        with self._errors("renaming"):
            self._sftp.posix_rename(old, new)

    def make_folder(self, path: str) -> None:
        """With its parents; there already is well."""
        if path and self.lstat(path) is None:
            self.make_folder(path.rpartition("/")[0])
            with self._errors("making a folder"):
                self._sftp.mkdir(path)

    def remove(self, path: str | bytes) -> None:
        """A file, a link or a folder with all that is in it; absent is well. Links are not followed."""
        found = self.lstat(path)
        if found is None:
            return
        if found.is_folder:
            for entry in self.entries(path):
                self.remove(os.fsencode(path) + b"/" + entry.name)
        with self._errors("removing"):
            (self._sftp.rmdir if found.is_folder else self._sftp.remove)(path)


class _End(Exception):
    """The server said that the file ends here. (EOFError is also what paramiko makes of a dead line.)"""


class _Answers(dict[int, tuple[int, paramiko.Message]]):
    """Answers by number of request, as paramiko hands them over."""

    def _async_response(self, kind: int, message: paramiko.Message, number: int) -> None:
        self[number] = (kind, message)


def _entry(name: bytes, given: paramiko.SFTPAttributes) -> Entry:
    return Entry(name, given.st_mode or 0, given.st_size or 0, given.st_mtime or 0)
