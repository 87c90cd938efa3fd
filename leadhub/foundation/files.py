"""Files that are whole or absent: write aside, fsync, rename, fsync the folder.

Nobody but their owner reads them, unless they are `SHARED` and made in a folder with the set-group-id
bit: that one is open to its group (`roles`), and so are they. What the superuser makes belongs to whom its
folder belongs to.

The order follows Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014): file, then
folder, then rename, then the parent.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from leadhub.foundation.errors import TransientError

CHUNK = 1 << 20
#: a mode: as the folder is open to its group
SHARED = None


def canonical_json(value: Any) -> bytes:
    """Same value, same bytes: sorted keys, UTF-8, two-space indent, newline at the end."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, indent=2, allow_nan=False)
    return text.encode() + b"\n"


def read_json(path: Path) -> Any:
    return json.loads(path.read_bytes())


def sha256_bytes(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def found(folder: Path, pattern: str) -> list[Path]:
    """As `Path.glob`, sorted. A folder that this user may not list is a PermissionError, where `glob` says
    that nothing is in it: silence would pass for "no seal" or "never told"."""
    if folder.exists():
        os.scandir(folder).close()
    return sorted(folder.glob(pattern))


def make_folder(folder: Path) -> None:
    """With its parents; a new folder in a shared one is shared alike."""
    absent = [f for f in (folder, *folder.parents) if not f.exists()]
    for new in reversed(absent):
        try:
            new.mkdir()
        except FileExistsError:
            continue
        above = os.stat(new.parent)
        # a needless change of mode would take the bit away from who is not of the group
        if above.st_mode & stat.S_ISGID and os.stat(new).st_mode != above.st_mode:
            new.chmod(stat.S_IMODE(above.st_mode))
        if os.geteuid() == 0:
            os.chown(new, above.st_uid, -1)


def _settle(descriptor: int, folder: Path, mode: int | None) -> None:
    above = os.stat(folder)
    if mode is SHARED and above.st_mode & stat.S_ISGID:
        os.fchmod(descriptor, 0o600 | above.st_mode & 0o060)
    if os.geteuid() == 0:
        os.fchown(descriptor, above.st_uid, -1)


def open_shared(path: Path, flags: int) -> int:
    """`os.open` of a file that is there or is made now, as its folder is shared; never through a link."""
    make_folder(path.parent)
    flags |= os.O_NOFOLLOW
    # in two steps: the kernel refuses O_CREAT on another's file in a shared sticky folder
    with contextlib.suppress(FileNotFoundError):
        return os.open(path, flags)
    try:
        descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return os.open(path, flags)
    _settle(descriptor, path.parent, SHARED)
    return descriptor


@contextlib.contextmanager
def io_errors(what: str) -> Iterator[None]:
    """OSError becomes TransientError `disk_full` or `io_failed`; `what` names the act, not data."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        reason = "disk_full" if full else "io_failed"
        advice = "free space, then run the step again" if full else "the step may be run again"
        name = errno.errorcode.get(error.errno or 0, "unknown error")
        raise TransientError(reason, f"{what}: {name}; {advice}") from error


@contextlib.contextmanager
def writing(path: Path, mode: int | None = 0o600) -> Iterator[BinaryIO]:
    """A handle whose bytes appear at `path` all at once, on success only.

    Raises: TransientError `disk_full` or `io_failed`.
    """
    with io_errors(f"writing {path.name}"):
        make_folder(path.parent)
        # a name that another user of a shared folder could foresee would be a link when we come to it
        aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        try:
            new = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            descriptor = os.open(aside, new, mode or 0o600)
            _settle(descriptor, path.parent, mode)
            with os.fdopen(descriptor, "wb") as handle:
                yield handle
                handle.flush()
                os.fsync(handle.fileno())
            os.replace(aside, path)
            fsync_folder(path.parent)
        finally:
            aside.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes, mode: int | None = 0o600) -> None:
    with writing(path, mode) as handle:
        handle.write(data)


def write_json(path: Path, value: Any) -> None:
    write_bytes(path, canonical_json(value), SHARED)


def commit_folder(staging: Path, final: Path) -> None:
    """Make a folder visible by one rename; every file in it reaches the disk first.

    Raises: TransientError; FileExistsError cannot happen unless `final` was committed already.
    """
    with io_errors(f"committing {final.name}"):
        for folder, _, names in os.walk(staging):
            for name in names:
                with open(os.path.join(folder, name), "rb") as handle:
                    os.fsync(handle.fileno())
            fsync_folder(Path(folder))
        make_folder(final.parent)
        os.rename(staging, final)
        fsync_folder(final.parent)


def remove_tree(folder: Path) -> None:
    """Remove a staging folder if it is there."""
    with io_errors(f"removing {folder.name}"), contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
