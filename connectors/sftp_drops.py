"""Which files of an inbox make a whole drop: by what their sender states, never by how they look.

- `manifest`: `<feed>_<YYYYMMDD>_<NN>.manifest.json`, uploaded last, names every file with its size,
  SHA-256 and rows, and whether the drop is FULL or DELTA. A FULL drop names every table of the feed.
- `sha256`: beside each file `<file>.sha256`, as `sha256sum` writes it; every table of the feed must have
  both. Such drops are full.

Every answer is one of: a `Candidate` (stated to be whole; its bytes are still to be compared), or
`Unready` (why not, and whether waiting may help).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Literal

from pydantic import Field, ValidationError

from connectors import strict_json
from connectors.sftp_names import Offered
from leadhub.foundation.errors import TransientError
from leadhub.foundation.facts_file import Facts
from leadhub.intake.feeds import DropRules, Feed

#: bytes of a manifest or sidecar; neither grows with the data
STATEMENT_LIMIT = 1 << 20
_SIDECAR = re.compile(rb"(?P<sha256>[0-9a-f]{64}) [ *](?P<name>[^\r\n]{1,255})\r?\n?")

#: statement → its bytes
Read = Callable[[Offered], bytes]


@dataclass(frozen=True)
class Part:
    """A data file and what its sender states of it."""

    file: Offered
    sha256: str
    rows: int | None = None


@dataclass(frozen=True)
class Candidate:
    """A drop as stated. `statements` are manifest or sidecars with their bytes."""

    number: int
    mode: Literal["full", "delta"]
    parts: tuple[Part, ...]
    statements: tuple[tuple[Offered, bytes], ...]

    @property
    def files(self) -> tuple[Offered, ...]:
        return (*(p.file for p in self.parts), *(s for s, _ in self.statements))


@dataclass(frozen=True)
class Unready:
    """Files that are no drop. `final`: waiting does not help. `moving`: they changed under our eyes."""

    number: int
    files: tuple[Offered, ...]
    reason: str
    message: str
    final: bool = False
    moving: bool = False


class _Unready(Exception):
    def __init__(self, reason: str, message: str, *, final: bool = False, moving: bool = False):
        super().__init__(reason)
        self.reason, self.message, self.final, self.moving = reason, message, final, moving


class _File(Facts):
    name: str
    table: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    rows: int = Field(ge=0)


class _Manifest(Facts):
    feed: str
    night: str
    sequence: int
    mode: Literal["FULL", "DELTA"]
    generated_at: str
    supersedes: int | None
    files: list[_File] = Field(min_length=1)


def assemble(
    feed: Feed, rules: DropRules, offered: Iterable[Offered], read: Read
) -> list[Candidate | Unready]:
    """What the files make, in order of night and sequence. Statements are read, data files are not."""
    by_manifest = rules.completeness == "manifest"
    found: list[Candidate | Unready] = []
    for number, group in groupby(sorted(offered, key=lambda o: (o.number, o.name)), lambda o: o.number):
        files = tuple(group)
        try:
            _check_tables(files)
            _check_sizes(files, rules.max_bytes)
            candidate = (_by_manifest if by_manifest else _by_sidecars)(feed, number, files, read)
        except _Unready as error:
            found.append(Unready(number, files, error.reason, error.message, error.final, error.moving))
            continue
        found.append(candidate)
        strays = tuple(f for f in files if f not in candidate.files)
        if strays:
            why = f"{_names(strays)} came beside the drop without being named in its manifest"
            found.append(Unready(number, strays, "incomplete_drop", why))
    return found


def _names(files: Iterable[Offered]) -> str:
    return ", ".join(f"[{f.name}]" for f in files)


def _check_tables(files: tuple[Offered, ...]) -> None:
    tables = [f.table for f in files if f.kind == "data"]
    if len(tables) != len(set(tables)):
        raise _Unready("unreadable_file", "two files of this sequence are of one table", final=True)


def _check_sizes(files: tuple[Offered, ...], max_bytes: int) -> None:
    for file in files:
        limit = max_bytes if file.kind == "data" else STATEMENT_LIMIT
        if file.entry.size > limit:
            message = f"[{file.name}] is larger than {limit} bytes"
            raise _Unready("too_large", message, final=True)
    empty = [f for f in files if f.entry.size == 0]
    if empty:
        raise _Unready("incomplete_drop", f"{_names(empty)} is empty: 0 bytes")


def _statement(file: Offered, read: Read) -> bytes:
    raw = read(file)
    if len(raw) != file.entry.size:
        raise _Unready("incomplete_drop", f"[{file.name}] is still being written", moving=True)
    return raw


def _by_manifest(feed: Feed, number: int, files: tuple[Offered, ...], read: Read) -> Candidate:
    statement = next((f for f in files if f.kind == "manifest"), None)
    if statement is None:
        raise _Unready("incomplete_drop", "the manifest, which comes last, has not come")
    raw = _statement(statement, read)
    manifest = _parse(raw, statement)
    _check_manifest(feed, manifest, statement)
    data = {f.name: f for f in files if f.kind == "data"}
    parts, absent, short = [], [], []
    for stated in manifest.files:
        file = data.get(stated.name)
        if file is None:
            absent.append(stated)
        elif file.entry.size != stated.bytes:
            short.append(stated)
        elif stated.table not in (file.table, feed.tables[file.table or ""].source):
            message = f"[{statement.name}] gives [{file.name}] another table than its name does"
            raise _Unready("unreadable_file", message, final=True)
        else:
            parts.append(Part(file, stated.sha256, stated.rows))
    if absent or short:
        # names in a manifest are the sender's text: only those that are files of this feed are repeated
        message = f"{len(absent)} of the files named in [{statement.name}] have not come"
        if short:
            message += "; " + ", ".join(f"[{s.name}] has not the stated size" for s in short)
        raise _Unready("incomplete_drop", message)
    mode: Literal["full", "delta"] = "full" if manifest.mode == "FULL" else "delta"
    lost = [feed.tables[t].source for t in feed.tables if t not in {p.file.table for p in parts}]
    if mode == "full" and lost:
        message = f"[{statement.name}] is of a FULL drop and lacks the tables {', '.join(lost)}"
        raise _Unready("incomplete_drop", message, final=True)
    return Candidate(number, mode, tuple(parts), ((statement, raw),))


def _parse(raw: bytes, file: Offered) -> _Manifest:
    try:
        value = strict_json.loads(raw, file.name)
    except TransientError:
        # cut in the middle, it may be on its way
        raise _Unready("incomplete_drop", f"[{file.name}] is not one whole JSON value") from None
    try:
        return _Manifest.model_validate(value, strict=True)
    except ValidationError as error:
        keys = ", ".join(sorted({".".join(map(str, e["loc"])) or "file" for e in error.errors()}))
        shown = re.sub(r"[^\x21-\x7e, ]", "?", keys)[:200]
        message = f"[{file.name}] is not a manifest as agreed; look at {shown}"
        raise _Unready("unreadable_file", message, final=True) from None


def _check_manifest(feed: Feed, manifest: _Manifest, file: Offered) -> None:
    nights = (file.day.isoformat(), f"{file.day:%Y%m%d}")
    same = manifest.feed == feed.id and manifest.night in nights and manifest.sequence == file.sequence
    if not same:
        message = f"[{file.name}] states another feed, night or sequence than its name does"
        raise _Unready("unreadable_file", message, final=True)
    names = [f.name for f in manifest.files]
    if len(names) != len(set(names)):
        raise _Unready("unreadable_file", f"[{file.name}] names a file twice", final=True)
    try:
        datetime.fromisoformat(manifest.generated_at)
    except ValueError:
        message = f"[{file.name}]: [generated_at] is not an ISO 8601 time"
        raise _Unready("unreadable_file", message, final=True) from None


def _by_sidecars(feed: Feed, number: int, files: tuple[Offered, ...], read: Read) -> Candidate:
    data = {f.table: f for f in files if f.kind == "data"}
    sidecars = {f.table: f for f in files if f.kind == "sidecar"}
    lost = [feed.tables[t].source for t in feed.tables if t not in data or t not in sidecars]
    if lost:
        message = f"file or .sha256 of {', '.join(lost)} has not come"
        raise _Unready("incomplete_drop", message)
    parts, statements = [], []
    for table in feed.tables:
        file, sidecar = data[table], sidecars[table]
        raw = _statement(sidecar, read)
        stated = _SIDECAR.fullmatch(raw)
        if stated is None or stated["name"] != file.name.encode():
            message = f"[{sidecar.name}] is not a line of sha256sum for [{file.name}]"
            raise _Unready("incomplete_drop", message)
        parts.append(Part(file, stated["sha256"].decode()))
        statements.append((sidecar, raw))
    return Candidate(number, "full", tuple(parts), tuple(statements))


def moving(candidate: Candidate, message: str) -> Unready:
    """The drop changed while it was read."""
    return replace(altered(candidate, message), moving=True)


def altered(candidate: Candidate, message: str) -> Unready:
    """The bytes of the drop are not those that were stated."""
    return Unready(candidate.number, candidate.files, "incomplete_drop", message)
