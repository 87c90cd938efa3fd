"""What the hub gives: files and whole folders in the outbox of an agency's or partner's SFTP account.

Nothing is visible under its name before it is whole: it is written aside, read back, then renamed
(posix-rename@openssh.com, one step on the server's side). Paths are relative to `outbox/`.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from connectors.base import Connection
from connectors.sftp_session import SftpSession
from leadhub.foundation import failpoints, files
from leadhub.foundation.errors import TerminalError, TransientError

OUTBOX = "outbox"
MANIFEST = "manifest.json"
_CHUNK = 1 << 18
#: bytes of a file that `read` gives; manifests, receipts and reports are far below
_READ_LIMIT = 64 << 20
#: bytes of a partner's answer, which is a few lines
_ANSWER_LIMIT = 1 << 14


class Outbox:
    """Context manager. Every method raises TransientError `delivery_failed` (or `source_timeout`) where
    trying again may help; TerminalError `credentials_refused` where the account may not write; on entry
    as `SftpSession`.
    """

    def __init__(self, connection: Connection):
        self._session = SftpSession(connection, failing="delivery_failed")

    def __enter__(self) -> Outbox:
        self._session.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._session.__exit__(*error)

    def put_file(self, path: str, data: bytes) -> None:
        """One file, whole or not at all, over an older one of that name; read back before it appears."""
        final = _under_outbox(path)
        folder, _, name = final.rpartition("/")
        self._session.make_folder(folder)
        aside = f"{folder}/.{name}.{secrets.token_hex(4)}.part"
        try:
            self._session.write(aside, _pieces(data))
            self._compare(aside, len(data), files.sha256_bytes(data))
            self._session.rename(aside, final)
        except TransientError:
            self._forget(aside)
            raise

    def _forget(self, path: str) -> None:
        try:
            self._session.remove(path)
        except TransientError:
            return  # the line is down; a `.part` file is no delivery

    def deliver_folder(self, local: Path, remote: str) -> Literal["delivered", "already"]:
        """All files of `local` (with its `manifest.json`) under `remote`, all at once or not at all.

        The same delivery again is "already" there: its manifest has the same bytes.
        Raises: TerminalError `conflicting_resubmission` where something else stands there.
        """
        final = _under_outbox(remote)
        local_files = sorted(p for p in local.rglob("*") if p.is_file())
        if local / MANIFEST not in local_files:
            raise ValueError(f"a delivery has a {MANIFEST}")
        if self._stands(local, remote, final):
            return "already"
        # one name per destination, so that what a broken attempt left is found and cleared
        staging = f"{OUTBOX}/.staging-{hashlib.sha256(final.encode()).hexdigest()[:16]}"
        self._session.remove(staging)
        self._session.make_folder(staging)
        for path in local_files:
            target = f"{staging}/{path.relative_to(local).as_posix()}"
            self._session.make_folder(target.rpartition("/")[0])
            self._session.write(target, _uploading(path))
        for path in local_files:
            target = f"{staging}/{path.relative_to(local).as_posix()}"
            self._compare(target, path.stat().st_size, files.sha256_file(path))
        self._session.make_folder(final.rpartition("/")[0])
        failpoints.reach("delivery.before_rename")
        self._session.rename(staging, final)
        failpoints.reach("delivery.after_rename")
        return "delivered"

    def _stands(self, local: Path, remote: str, final: str) -> bool:
        if self._session.lstat(final) is None:
            return False
        if self.read(f"{remote}/{MANIFEST}") == (local / MANIFEST).read_bytes():
            return True
        raise TerminalError(
            "conflicting_resubmission",
            f"[{remote}] in the outbox holds something else than this delivery; find out what it is and "
            "remove it, or deliver under the next sequence number",
        )

    def _compare(self, path: str, size: int, sha256: str) -> None:
        seen, length = hashlib.sha256(), 0
        for chunk in self._session.chunks(path, size + 1):
            seen.update(chunk)
            length += len(chunk)
        if (length, seen.hexdigest()) != (size, sha256):
            raise TransientError(
                "delivery_failed", "a file did not arrive as it was sent; nothing was delivered, try again"
            )

    def exists(self, path: str) -> bool:
        return self._session.lstat(_under_outbox(path)) is not None

    def read(self, path: str) -> bytes | None:
        """The content of a plain file, None where there is none. Raises: TerminalError `too_large`."""
        found = self._session.lstat(_under_outbox(path))
        if found is None or not found.is_file:
            return None
        if found.size > _READ_LIMIT:
            raise TerminalError("too_large", f"[{path}] in the outbox is too large to be read back")
        return b"".join(self._session.chunks(_under_outbox(path), found.size))

    def read_answer(self, name: str) -> bytes | None:
        """A small file about a delivery that the partner put here; None where there is none. It comes not
        into the inbox, where drops lie: who delivers has no business there.

        Raises: TerminalError `unreadable_file` where it is no plain file of a sane size, or its sender
        alone may read it.
        """
        found = self._session.lstat(_under_outbox(name))
        if found is None:
            return None
        if not found.is_file or found.size > _ANSWER_LIMIT:
            raise TerminalError(
                "unreadable_file", f"[{name}] is no small plain file; ask the partner for another"
            )
        try:
            return b"".join(self._session.chunks(_under_outbox(name), found.size))
        except TerminalError:
            raise TerminalError(
                "unreadable_file", f"[{name}] is its sender's alone to read; ask for one of mode 660"
            ) from None

    def remove_answer(self, name: str) -> None:
        """It was taken; absent is well."""
        self._session.remove(_under_outbox(name))

    def listdir(self, path: str = "") -> list[str]:
        """Names in a folder, sorted, without the hidden ones of uploads on their way."""
        folder = _under_outbox(path) if path else OUTBOX
        names = (e.name.decode("utf-8", "backslashreplace") for e in self._session.entries(folder))
        return [n for n in names if not n.startswith(".")]

    def remove_folder(self, path: str) -> None:
        """A folder and all in it (or one file); absent is well. It vanishes in one step.

        A partner never sees half of a delivery, not even of one that is being taken back.
        """
        final = _under_outbox(path)
        aside = f"{OUTBOX}/.removed-{hashlib.sha256(final.encode()).hexdigest()[:16]}"
        self._session.remove(aside)
        if self._session.lstat(final) is not None:
            self._session.rename(final, aside)
            self._session.remove(aside)


def _under_outbox(path: str) -> str:
    segments = path.split("/")
    if any(s in ("", ".", "..") or "\\" in s or "\0" in s for s in segments):
        raise TerminalError(
            "unsafe_name", "a path in the outbox is relative, without empty or dotted steps"
        )
    return f"{OUTBOX}/{path}"


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _CHUNK):
        yield data[start : start + _CHUNK]


def _uploading(path: Path) -> Iterator[bytes]:
    with files.io_errors(f"reading {path.name}"), path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            yield chunk
            failpoints.reach("delivery.mid_upload")
