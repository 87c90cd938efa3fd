"""Keys, versioned by purpose, from one root by HKDF-SHA-256 (RFC 5869).

The root is 32 random bytes in a file of mode 600 (`Settings.root_key_file`), plain or wrapped
(`wrapping`). From it comes a key for each kind of purpose, and from that one for each purpose and version,
so that no one of them opens another's, and a role (`foundation.roles`) can be given the kinds that it needs
and no root: its file holds those instead. A key check value, kept beside the state, finds a wrong root
before the first row is touched.

Purposes: `landing` (wraps drop keys) · `token:<kind>` (HMAC of identifiers) · `number:<kind>` (of
numbers that agencies quote to one another) · `record` (record ids) · `seal:<agency>` (local ids) ·
`person` (person ids) · `partner:<partner>` (person keys) · `storage:linkage` (token files at rest) ·
`checkpoint` (signs them) · `operators` (whom they looked up) ·
`statistics:…` (the order in which counts are tried) · `check`. Those of `ROTATED` have versions of
their own (`steps.rotation`); an older version still opens what was made with it, and makes nothing new.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from leadhub.foundation import clock, files, roles
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.wrapping import Wrapping

ROOT_BYTES = 32
#: what is rotated together → the purposes in it, by what stands before a colon
ROTATED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "landing": frozenset({"landing"}),
        "ids": frozenset({"seal", "number"}),
        "storage": frozenset({"storage"}),
        "linkage": frozenset({"token"}),
        "signing": frozenset({"checkpoint"}),
    }
)


@dataclass(frozen=True)
class Keys:
    """The key ring. `versions`: of what was rotated, by name in `ROTATED`; all else is at `version`. The
    version marks every keyed output ("t1:…", "s1:…"). A role's ring has no root, but the keys of its
    `kinds`."""

    root: bytes
    version: int = 1
    versions: Mapping[str, int] = field(default_factory=dict)
    role: str = ""
    kinds: Mapping[str, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Keys(version={self.version}, versions={dict(self.versions)}, role={self.role!r})"

    def version_of(self, purpose: str) -> int:
        """The version that makes new outputs of a purpose."""
        kind = purpose.partition(":")[0]
        name = next((name for name, kinds in ROTATED.items() if kind in kinds), "")
        return self.versions.get(name, self.version)

    def at(self, name: str, version: int) -> Keys:
        """The ring with another version of what is named `name` in `ROTATED`."""
        return replace(self, versions={**self.versions, name: version})

    def derive(self, purpose: str, length: int = 32, version: int | None = None) -> bytes:
        """The key of a purpose, of its newest version or of an older one. Raises: TerminalError
        `key_missing` where a role's ring does not hold it."""
        about = f"leadhub/v{version or self.version_of(purpose)}/{purpose}"
        return _derived(self._of_kind(purpose.partition(":")[0]), about, length)

    def _of_kind(self, kind: str) -> bytes:
        if not self.role:
            return _derived(self.root, f"leadhub/kind/{kind}")
        if kind not in self.kinds:
            raise TerminalError(
                "key_missing",
                f"the keys of role [{self.role}] do not include [{kind}]; {roles.who_holds(kind)}",
            )
        return self.kinds[kind]

    def of_role(self, role: str) -> Keys:
        """The ring that a role is given. Raises: as `derive`."""
        held = {kind: self._of_kind(kind) for kind in sorted(roles.ROLES[role].keys)}
        return Keys(b"", self.version, self.versions, role, held)

    def content(self) -> bytes:
        """What the ring's file holds, before it is wrapped."""
        held = {kind: key.hex() for kind, key in self.kinds.items()}
        return json.dumps({"role": self.role, "kinds": held}).encode() if self.role else self.root

    def every(self, purpose: str) -> list[bytes]:
        """The key in all its versions, the newest first."""
        return [self.derive(purpose, version=v) for v in range(self.version_of(purpose), 0, -1)]

    def hmac_text_key(self, purpose: str) -> str:
        """The MAC key as the 64 ASCII hex digits that polars-hash takes; those bytes *are* the key."""
        return self.derive(purpose).hex()

    def check_value(self) -> str:
        return hmac.new(self.derive("check"), b"leadhub key check", hashlib.sha256).hexdigest()[:16]


def _derived(secret: bytes, about: str, length: int = 32) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=about.encode()).derive(secret)


def load(path: Path, wrapping: Wrapping = Wrapping(), *, create: bool = False) -> Keys:  # noqa: B008
    """Read the root key, or a role's ring; `create` makes a new root where there is none. `wrapping`
    unwraps or wraps it.

    Raises: TerminalError `key_missing` or `wrong_key` (malformed file), and as `Wrapping.unwrap`.
    """
    if not path.exists():
        if not create:
            raise TerminalError(
                "key_missing",
                f"no root key at [{path.name}]; restore it from its backup, or run `leadhub init`",
            )
        store(path, Keys(secrets.token_bytes(ROOT_BYTES)), wrapping)
    if os.stat(path).st_mode & 0o077:
        raise TerminalError("wrong_key", f"[{path.name}] is readable by others; chmod 600 it")
    content = wrapping.unwrap(path.read_text().strip())
    if len(content) == ROOT_BYTES:
        return Keys(content)
    try:
        told = json.loads(content)
        return Keys(b"", role=told["role"], kinds={k: bytes.fromhex(v) for k, v in told["kinds"].items()})
    except (ValueError, KeyError, TypeError, AttributeError):
        raise TerminalError(
            "wrong_key", f"[{path.name}] does not hold a root key; restore its backup"
        ) from None


def store(path: Path, keys: Keys, wrapping: Wrapping) -> None:
    """The root, or a role's ring, in its file, wrapped as the settings say, once that gives it back.

    Raises: as `Wrapping.unwrap`."""
    plain = keys.content()
    content = wrapping.wrap(plain)
    if wrapping.unwrap(content) != plain:
        raise TerminalError("wrong_key", "the provider gives another key back; the file stays as it was")
    files.write_bytes(path, content.encode() + b"\n")


@dataclass(frozen=True)
class KeyState:
    """Where a state says which keys it was made with: `check`, the check value and the versions in use, is
    part of a backup; `rotated`, a file for each rotation, outlives one that is put back."""

    check: Path
    rotated: Path


def verify(keys: Keys, state: KeyState) -> Keys:
    """Compare with the check value of the state; the first call records it. The ring, with its versions: no
    version is older than one that outlived a backup, but that of tokens, which are in the backup alone.

    Raises: TerminalError `wrong_key`, before any row is read.
    """
    value = {"key": "root", "version": keys.version, "check": keys.check_value()}
    if not state.check.exists():
        files.write_json(state.check, value | {"versions": {}, "rotations": []})
    known = files.read_json(state.check)
    if {name: known[name] for name in value} != value:
        raise TerminalError(
            "wrong_key",
            f"the root key (version {keys.version}) is not the one this state was made with; "
            "restore the right key file before running again",
        )
    versions = dict(known["versions"])
    for path in files.found(state.rotated, "*.json"):
        said = files.read_json(path)
        versions[said["key"]] = max(said["version"], versions.get(said["key"], keys.version))
    return replace(keys, versions=versions)


def of_state(root_key: Path, state: KeyState, wrapping: Wrapping) -> Keys:
    """The root key of a state with the versions that the state is at. Raises: as `load` and `verify`."""
    keys = load(root_key, wrapping)
    return verify(keys, state) if state.check.exists() else keys


def next_version(keys: Keys, name: str) -> Keys:
    """The ring with a new version of what is named `name` in `ROTATED`; not recorded yet."""
    return keys.at(name, keys.versions.get(name, keys.version) + 1)


def rotated(keys: Keys, state: KeyState, name: str) -> Keys:
    """`next_version`, recorded."""
    ring, known = next_version(keys, name), files.read_json(state.check)
    said = {"key": name, "version": ring.versions[name], "at": clock.stamp(clock.now())}
    if name != "linkage":
        files.write_json(state.rotated / f"{name}_{said['version']:04d}.json", said)
    told = {"versions": dict(ring.versions), "rotations": [*known["rotations"], said]}
    files.write_json(state.check, known | told)
    return ring


def destroyed(state: KeyState, name: str, version: int, what: str) -> None:
    """A certificate, beside the rotations: nothing is kept any more under an older version."""
    known = files.read_json(state.check)
    said = {"key": name, "version": version, "destroyed": what, "at": clock.stamp(clock.now())}
    if not any({**said, "at": r["at"]} == r for r in known["rotations"]):
        files.write_json(state.check, known | {"rotations": [*known["rotations"], said]})
