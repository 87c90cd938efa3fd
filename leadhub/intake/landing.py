"""Landing: what an agency sent, as it came, encrypted under the drop's own key.

::

    var/landing/<feed>/<night>/<drop_id>/receipt.json        what it is: no value of any row
                                        /<member>            encrypted (foundation.envelope)
                                        /accepted/<table>    accepted rows, same key
    var/landing_keys/<drop_id>.json     the data key, wrapped; destroying it destroys the drop

A drop is named by its content, so the same bytes again are recognised. It appears by one rename.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import pyarrow as pa

from leadhub.foundation import clock, envelope, failpoints, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys

Role = Literal["rows", "keys", "extract", "manifest"]


@dataclass(frozen=True)
class Member:
    """One file of a drop. `rows` where the source states or the connector counted them."""

    name: str
    table: str | None
    role: Role
    format: str
    sha256: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True)
class Drop:
    """One arrival, as its receipt tells. `watermark` is where the next incremental read begins."""

    feed: str
    night: str
    drop_id: str
    mode: Literal["full", "delta"]
    sequence: int
    members: tuple[Member, ...]
    landed_at: str
    watermark: dict[str, str] = field(default_factory=dict)
    #: names under which it came, for acknowledgements
    origin: tuple[str, ...] = ()

    def of(self, role: Role, table: str | None = None) -> tuple[Member, ...]:
        return tuple(m for m in self.members if m.role == role and (table is None or m.table == table))


def content_id(feed: str, hashes: list[str]) -> str:
    """The name of a drop: a hash over its members' hashes."""
    text = "\n".join([feed, *sorted(hashes)])
    return hashlib.sha256(text.encode()).hexdigest()[:20]


class _Counter(io.RawIOBase):
    def __init__(self, sink: envelope.EnvelopeWriter):
        self.sink, self.sha, self.size = sink, hashlib.sha256(), 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:  # type: ignore[override]
        view = memoryview(data).cast("B")
        self.sha.update(view)
        self.size += len(view)
        return self.sink.write(view)


class DropWriter:
    """Members are written one after another; nothing is visible before `commit`."""

    def __init__(self, landing: Landing, feed: str, night: str):
        self._landing, self.feed, self.night = landing, feed, night
        self._data_key = envelope.new_data_key()
        self._staging = landing.folder(feed, night) / f".staging-{os.getpid()}-{secrets.token_hex(4)}"
        self.members: list[Member] = []

    @contextlib.contextmanager
    def member(self, name: str, *, table: str | None, role: Role, format: str) -> Iterator[BinaryIO]:
        """A binary handle for one member. Its `rows` may be set on the handle before it closes."""
        with files.io_errors(f"landing {self.feed}"):
            self._staging.mkdir(parents=True, exist_ok=True)
            with (self._staging / name).open("wb") as sink:
                sealed = envelope.EnvelopeWriter(sink, self._data_key)
                counter = _Counter(sealed)
                counter.rows = None  # type: ignore[attr-defined]
                try:
                    yield counter  # type: ignore[misc]
                except BaseException:
                    sealed.abort()
                    raise
                sealed.close()
        rows = counter.rows  # type: ignore[attr-defined]
        self.members.append(Member(name, table, role, format, counter.sha.hexdigest(), counter.size, rows))

    def commit(
        self,
        *,
        mode: Literal["full", "delta"],
        sequence: int = 0,
        watermark: dict[str, str] | None = None,
        origin: tuple[str, ...] = (),
    ) -> Drop:
        """Make the drop visible. The same content again returns the receipt it already has."""
        drop_id = content_id(self.feed, [m.sha256 for m in self.members])
        known = self._landing.find(self.feed, drop_id)
        if known is not None:
            self.abandon()
            return known
        drop = Drop(
            feed=self.feed,
            night=self.night,
            drop_id=drop_id,
            mode=mode,
            sequence=sequence,
            members=tuple(self.members),
            landed_at=clock.stamp(clock.now()),
            watermark=watermark or {},
            origin=origin,
        )
        self._landing.store_key(drop_id, self._data_key)
        files.write_json(self._staging / "receipt.json", asdict(drop))
        failpoints.reach("land.before_commit")
        files.commit_folder(self._staging, self._landing.folder(self.feed, self.night) / drop_id)
        failpoints.reach("land.after_commit")
        return drop

    def abandon(self) -> None:
        files.remove_tree(self._staging)


class Landing:
    """The landing zone. Its key encryption key is derived for the purpose `landing`."""

    def __init__(self, var: Path, keys: Keys):
        self.root, self._key_folder = var / "landing", var / "landing_keys"
        self._keys = keys

    def folder(self, feed: str, night: str) -> Path:
        return self.root / feed / night

    def writer(self, feed: str, night: str) -> DropWriter:
        """One drop after another; the caller holds the feed's lease."""
        return DropWriter(self, feed, night)

    def tidy(self, feed: str) -> None:
        """Remove what killed runs left half-written; the caller holds the feed's lease."""
        for folder in (self.root / feed).glob("*/.staging-*"):
            files.remove_tree(folder)

    def store_key(self, drop_id: str, data_key: bytes) -> None:
        wrapped = envelope.wrap(self._keys.derive("landing"), data_key)
        told = {"wrapped": wrapped, "version": self._keys.version_of("landing")}
        files.write_json(self._key_folder / f"{drop_id}.json", told)

    def drops(self, feed: str, night: str | None = None) -> list[Drop]:
        """Every landed drop of a feed (of one night), by night, sequence and name."""
        # a staging folder of a killed run may hold a receipt, but it was never committed
        pattern = f"{night or '*'}/[!.]*/receipt.json"
        found = [_drop(files.read_json(p)) for p in (self.root / feed).glob(pattern)]
        return sorted(found, key=lambda d: (d.night, d.sequence, d.landed_at, d.drop_id))

    def find(self, feed: str, drop_id: str) -> Drop | None:
        return next((d for d in self.drops(feed) if d.drop_id == drop_id), None)

    def _data_key(self, drop: Drop) -> bytes:
        path = self._key_folder / f"{drop.drop_id}.json"
        if not path.exists():
            raise TerminalError(
                "key_missing",
                f"drop [{drop.drop_id}] of [{drop.feed}] was destroyed by retention; ask for a re-drop",
            )
        return self._unwrapped(path)

    def _unwrapped(self, path: Path) -> bytes:
        told = files.read_json(path)
        return envelope.unwrap(self._keys.derive("landing", version=told["version"]), told["wrapped"])

    def rewrap(self) -> int:
        """Every drop's key under the newest version of the landing key; how many were not. No drop is
        written anew. Raises: TerminalError `wrong_key`."""
        older = self.under_older_keys()
        for path in older:
            self.store_key(path.stem, self._unwrapped(path))
        return len(older)

    def under_older_keys(self) -> list[Path]:
        """Wrapped keys that are not under the newest version of the landing key."""
        newest = self._keys.version_of("landing")
        return [
            p for p in files.found(self._key_folder, "*.json") if files.read_json(p)["version"] != newest
        ]

    def path(self, drop: Drop, name: str) -> Path:
        return self.folder(drop.feed, drop.night) / drop.drop_id / name

    def read(self, drop: Drop, member: Member) -> bytes:
        """A member's plaintext, whole and checked against its receipt.

        Raises: TerminalError `invalid_envelope`, `key_missing`, `wrong_key`.
        """
        key = self._data_key(drop)
        data = envelope.decrypt(self.path(drop, member.name).read_bytes(), key)
        if files.sha256_bytes(data) != member.sha256:
            raise TerminalError("invalid_envelope", f"[{member.name}] differs from its receipt")
        return data

    def write_accepted(self, drop: Drop, table: str, rows: pa.Table) -> None:
        """Accepted rows stay in the landing zone, under the drop's key."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as stream:
            stream.write_table(rows)
        with files.writing(self.path(drop, f"accepted/{table}")) as handle:
            writer = envelope.EnvelopeWriter(handle, self._data_key(drop))
            writer.write(sink.getvalue())
            writer.close()

    def read_accepted(self, drop: Drop, table: str) -> pa.Table:
        key = self._data_key(drop)
        sealed = self.path(drop, f"accepted/{table}").read_bytes()
        return pa.ipc.open_stream(envelope.decrypt(sealed, key)).read_all()

    def destroy(self, drop: Drop) -> dict[str, Any]:
        """Destroy the key, then the bytes; the receipt stays. Returns the certificate of destruction."""
        with files.io_errors(f"destroying {drop.drop_id}"):
            (self._key_folder / f"{drop.drop_id}.json").unlink(missing_ok=True)
            for member in drop.members:
                self.path(drop, member.name).unlink(missing_ok=True)
            files.remove_tree(self.path(drop, "accepted"))
        certificate = {
            "feed": drop.feed,
            "night": drop.night,
            "drop_id": drop.drop_id,
            "members": [{"name": m.name, "sha256": m.sha256, "bytes": m.bytes} for m in drop.members],
            "destroyed_at": clock.stamp(clock.now()),
            "method": "data key destroyed (cryptographic erase), then files removed",
        }
        files.write_json(self.path(drop, "destroyed.json"), certificate)
        return certificate


def _drop(value: dict[str, Any]) -> Drop:
    members = tuple(Member(**m) for m in value.pop("members"))
    return Drop(members=members, origin=tuple(value.pop("origin")), **value)
