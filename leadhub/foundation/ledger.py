"""The ledger: what was disclosed to one partner, append-only, each entry chained to the one before.

::

    var/ledger/<partner>.jsonl          one canonical JSON object a line
    var/ledger/hub/operators.jsonl      of operators' accesses (`cli_operators`), alike

One chain a partner, never a global one: a checkpoint handed to a partner must not tell it how busy the
others are. An entry holds no value of a row: it names the release, and the hashes of its manifest and
of its accounting table. `intent` is written before anything becomes visible, `committed` after; an
intent without its `committed` counts as a possible disclosure until it is settled.

The chain shows what was edited, removed or reordered. What its owner cut off at the end, or wrote
anew as a whole, shows only against a `Checkpoint` that somebody else kept (FAULTS G12, F46).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Literal, get_args

from leadhub.foundation import clock, files
from leadhub.foundation.errors import TerminalError, TransientError
from leadhub.foundation.lease import lease

Kind = Literal[
    "intent", "committed", "superseded", "note", "proposed", "approved", "refused", "acknowledged", "access"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
GENESIS = "0" * 64
#: longer than any entry, so that the last line always fits
_TAIL = 1 << 16
_WAIT_SECONDS = 5.0


@dataclass(frozen=True)
class Entry:
    """One line. `seq`, `at`, `prev` and `hash` are set by `append`; `rows` counts rows shipped."""

    kind: Kind
    release_id: str | None = None
    dataset: str | None = None
    night: str | None = None
    sequence: int | None = None
    manifest_sha256: str | None = None
    accounting_sha256: str | None = None
    rows: int | None = None
    #: lines that told the partner to remove a row
    withdrawn: int | None = None
    agreement: str | None = None
    agreement_version: str | None = None
    agreement_sha256: str | None = None
    #: a fixed phrase of this program, never text from data
    note: str | None = None
    #: of an approval: who, what exactly, and the preview that was shown (`release.approval`)
    by: str | None = None
    subject_sha256: str | None = None
    preview_sha256: str | None = None
    #: of an operator's access: the command, and the ids of the hub that it was about (JSON)
    command: str | None = None
    about: str | None = None
    seq: int = 0
    at: str = ""
    prev: str = GENESIS
    hash: str = ""

    def facts(self) -> Entry:
        """The entry without its place in the chain: what `append` was asked to record."""
        return replace(self, seq=0, at="", prev=GENESIS, hash="")


@dataclass(frozen=True)
class Checkpoint:
    """How far a ledger had come: `seq` entries, the last with `hash`. An empty one is at 0."""

    seq: int
    hash: str


_NAMES = frozenset(f.name for f in fields(Entry))


def _canonical(value: dict) -> bytes:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def _digest(value: dict) -> str:
    return hashlib.sha256(_canonical({k: v for k, v in value.items() if k != "hash"})).hexdigest()


def _broken(path: Path, why: str) -> TerminalError:
    return TerminalError(
        "ledger_broken",
        f"[{path.name}] {why}; stop publishing to this partner and restore the ledger from its backup",
    )


def _parse(line: bytes) -> Entry | None:
    """The entry of a whole line, or None where the line is not one this program wrote."""
    try:
        value = json.loads(line)
        known = isinstance(value, dict) and value.keys() == _NAMES and value["kind"] in KINDS
        # canonical bytes: nothing can be added, doubled or spaced without being seen
        if known and _canonical(value) == line and _digest(value) == value["hash"]:
            return Entry(**value)
    except ValueError:
        pass
    return None


def _checked(path: Path, *, torn_end: bool) -> Iterator[Entry]:
    """Entries in order; `torn_end` passes over an unfinished last line.

    Raises: TerminalError `ledger_broken` at the first bad one.
    """
    if not path.exists():
        return
    before = Checkpoint(0, GENESIS)
    with path.open("rb") as handle:
        for number, line in enumerate(handle, start=1):
            if not line.endswith(b"\n"):
                if torn_end:
                    return
                raise _broken(path, f"ends in an incomplete line after entry {before.seq}")
            entry = _parse(line)
            if entry is None:
                raise _broken(path, f"entry {number} was changed")
            if entry.seq != number:
                raise _broken(path, f"entry {number} is missing or out of order: [{entry.seq}] is there")
            if entry.prev != before.hash:
                raise _broken(path, f"entry {number} does not follow the entry before it")
            yield entry
            before = Checkpoint(entry.seq, entry.hash)


def verify(path: Path, checkpoint: Checkpoint | None = None) -> Checkpoint:
    """Walk the chain, and compare with a checkpoint that was kept elsewhere; returns the head.

    Raises: TerminalError `ledger_broken` naming the first entry that was edited, removed or moved, or
    what the checkpoint shows: a ledger cut short, or one written anew.
    """
    last = Checkpoint(0, GENESIS)
    for entry in _checked(path, torn_end=False):
        last = Checkpoint(entry.seq, entry.hash)
        if checkpoint and entry.seq == checkpoint.seq and entry.hash != checkpoint.hash:
            raise _broken(path, f"entry {entry.seq} is not the one that the checkpoint saw")
    if checkpoint and last.seq < checkpoint.seq:
        raise _broken(path, f"ends at entry {last.seq}, but the checkpoint saw entry {checkpoint.seq}")
    return last


def entries(path: Path) -> list[Entry]:
    """All entries, verified. Without the line of an append that was cut off: it never returned.

    Raises: TerminalError `ledger_broken`.
    """
    return list(_checked(path, torn_end=True))


@dataclass(frozen=True)
class _Tail:
    head: Checkpoint
    last: Entry | None
    #: what follows the last whole line: left by an append that was cut off
    torn: bytes
    #: bytes of whole lines
    size: int


def _tail(path: Path) -> _Tail:
    """The end of the file, its last whole entry verified. Raises: TerminalError `ledger_broken`."""
    with path.open("rb") as handle:
        size = handle.seek(0, os.SEEK_END)
        start = max(0, size - _TAIL)
        handle.seek(start)
        data = handle.read()
    whole, newline, torn = data.rpartition(b"\n")
    end = size - len(torn)
    if not newline:
        if start:
            raise _broken(path, "ends in a line that is too long")
        return _Tail(Checkpoint(0, GENESIS), None, torn, 0)
    last = _parse(whole.rpartition(b"\n")[2] + b"\n")
    if last is None:
        raise _broken(path, "has a last entry that was changed")
    return _Tail(Checkpoint(last.seq, last.hash), last, torn, end)


def head(path: Path) -> Checkpoint:
    """The last whole entry, verified by itself. Raises: TerminalError `ledger_broken`."""
    return _tail(path).head if path.exists() else Checkpoint(0, GENESIS)


@contextlib.contextmanager
def _lease(path: Path) -> Iterator[None]:
    # an append takes milliseconds, so another one is worth waiting for
    deadline = time.monotonic() + _WAIT_SECONDS
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(lease(path.parent, path.stem))
                break
            except TransientError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        yield


def append(path: Path, entry: Entry, *, repeated: bool = False) -> Entry:
    """Chain `entry` to the end; on return it is on the disk.

    The same facts as the last entry's are not recorded twice, unless they may be `repeated`: that is an
    append whose answer was lost.
    What a crash left of an unfinished line is taken off, and a `note` says so.
    Raises: TransientError `disk_full`, `io_failed`, `lease_held`; the chain is whole in each case.
    TerminalError `ledger_broken`.
    """
    with files.io_errors(f"opening ledger {path.name}"):
        files.make_folder(path.parent)
    with files.io_errors(f"appending to ledger {path.name}"), _lease(path):
        tail = _tail(path) if path.exists() else _Tail(Checkpoint(0, GENESIS), None, b"", 0)
        new, position = [], tail.head
        if tail.torn:
            new.append(_chained(Entry("note", note=_repair(tail.torn)), position))
            position = Checkpoint(new[-1].seq, new[-1].hash)
        known = (
            tail.last is not None
            and tail.last.facts() == entry.facts()
            and entry.kind != "note"
            and not repeated
        )
        if not known:
            new.append(_chained(entry, position))
        # also where there is nothing new: the last write may have outlived an fsync that failed
        _write(path, tail, b"".join(_canonical(asdict(e)) for e in new))
        return tail.last if known and tail.last else new[-1]


def _repair(torn: bytes) -> str:
    digest = files.sha256_bytes(torn)
    return f"incomplete line of {len(torn)} bytes removed after an interrupted append, sha256 {digest}"


def _chained(entry: Entry, after: Checkpoint) -> Entry:
    placed = replace(entry, seq=after.seq + 1, at=clock.stamp(clock.now()), prev=after.hash, hash="")
    return replace(placed, hash=_digest(asdict(placed)))


def _write(path: Path, tail: _Tail, data: bytes) -> None:
    """`data` after the last whole line, durable.

    An unfinished line is written over and not cut off first: killed at any instant, the file ends in
    whole lines and at most one unfinished one.
    """
    descriptor = files.open_shared(path, os.O_WRONLY)
    try:
        os.lseek(descriptor, tail.size, os.SEEK_SET)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            if tail.torn:
                os.ftruncate(descriptor, tail.size + len(data))
            os.fsync(descriptor)
            files.fsync_folder(path.parent)
        except OSError:
            if not tail.torn:
                # where this fails too, the next append finds a torn line, or the entry itself
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, tail.size)
            raise
    finally:
        os.close(descriptor)


def settle(path: Path, dataset: str) -> Entry | None:
    """The last intent of a dataset that nothing has settled: a possible disclosure.

    A `committed` settles it, and so does a `note` with its release id (the delivery never arrived).
    Raises: TerminalError `ledger_broken`.
    """
    pending: Entry | None = None
    for entry in entries(path):
        if entry.dataset != dataset:
            continue
        if entry.kind == "intent":
            pending = entry
        elif pending and entry.kind in ("committed", "note"):
            same = (entry.release_id, entry.sequence) == (pending.release_id, pending.sequence)
            pending = None if same else pending
    return pending
