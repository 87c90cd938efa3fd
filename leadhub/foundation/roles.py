"""Three operating-system users, of whom none joins what names a person with what is said of one.

=========== ================================================= ==========================================
role        does                                              never holds
=========== ================================================= ==========================================
landing     takes drops, validates, pseudonymises, closes,    who is whom over the agencies (crosswalk);
            answers agencies, destroys drops                  releases, the ledger
linking     links tokens, gives persons their ids             any drop, any row of an agency's tables
publishing  reconciles, gates, delivers, keeps the ledger     any drop, any token, whatever names anybody
=========== ================================================= ==========================================

Landing sees each agency's file as it came, names and all: somebody must read it. The hub's own answer to
who is whom is kept from it, but whoever reads two agencies' files can compare names: of the three, landing
is the one to guard. Without roles (the embedded default) one user does everything.

Who may what is said by folders: a folder's owner alone writes in it, unless `shared`; its `group` reads.
New folders and files have the bits of the folder that they are made in (`files`).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from leadhub.foundation.errors import TerminalError

#: the group of all three
EVERYONE = "leadhub"


@dataclass(frozen=True)
class Role:
    """`keys`: kinds of purposes (`foundation.keys`). `steps`: `module.function` of `leadhub.steps`, in the
    order of a night; nothing else runs under the role but the commands of a steward."""

    keys: frozenset[str]
    steps: tuple[str, ...]


_ALL = frozenset({"check"})
ROLES: Mapping[str, Role] = MappingProxyType(
    {
        "landing": Role(
            _ALL | {"landing", "token", "number", "record", "seal", "storage"},
            (
                "ingest.land",
                "ingest.validate",
                "ingest.acknowledge",
                "state.pseudonymise",
                "state.close",
                "upkeep.keep_feeds",
            ),
        ),
        "linking": Role(_ALL | {"storage", "person"}, ("linking.link", "upkeep.keep_linkage")),
        "publishing": Role(
            _ALL | {"operators", "seal", "number", "partner", "checkpoint", "statistics"},
            (
                "night.reconcile",
                "night.commit",
                "publish.stage",
                "approvals.preview",
                "approvals.answer",
                "publish.deliver",
                "upkeep.keep_casework",
                "endings.due",
                "endings.told",
                "recalls.collect",
            ),
        ),
    }
)


@dataclass(frozen=True)
class Folder:
    """A folder below `var`: its owner (a role), the group that reads in it (a role, or `EVERYONE`; empty:
    nobody but the owner), and whether that group also writes there. Others may pass through a `passable`
    one to what is theirs below, and cannot list it."""

    path: str
    owner: str = ""
    group: str = ""
    shared: bool = False
    passable: bool = False

    @property
    def below(self) -> int:
        """Mode of the folders in it. In a shared one nobody removes or renames what is another's."""
        return 0o700 if not self.group else 0o3770 if self.shared else 0o2750

    @property
    def mode(self) -> int:
        return self.below | 0o011 * self.passable

    def open_to(self, role: str) -> bool:
        return role == self.owner or self.group in (role, EVERYONE)


#: the parents before their children
FOLDERS = (
    Folder(".", "", EVERYONE),
    Folder("landing", "landing"),
    Folder("landing_keys", "landing"),
    Folder("reports", "landing"),
    Folder("lake", "", EVERYONE, shared=True),
    Folder("lake/intake", "landing"),
    Folder("lake/leases", "", EVERYONE, shared=True),
    Folder("lake/receipts", "", EVERYONE, shared=True),
    Folder("lake/nights", "publishing", EVERYONE),
    Folder("lake/tables", "", EVERYONE),
    Folder("lake/tables/feeds", "landing", "publishing"),
    Folder("lake/tables/linkage", "linking", "publishing"),
    Folder("lake/tables/casework", "publishing"),
    Folder("lake/tokens", "landing", "linking"),
    Folder("lake/tokens/limits", "linking"),
    Folder("lake/tokens/pairs", "linking"),
    Folder("lake/tokens/overlap", "linking"),
    Folder("lake/models", "linking", EVERYONE),
    Folder("lake/decisions", "linking", "publishing"),
    Folder("seals", "publishing", "landing", passable=True),
    Folder("seals/rotated", "publishing", EVERYONE),
    Folder("releases", "publishing"),
    Folder("statistics", "publishing"),
    Folder("ledger", "publishing", passable=True),
    Folder("ledger/hub", "", EVERYONE, shared=True),
    Folder("keys", "", EVERYONE),
)


def role_of(step: str) -> str:
    """The role that runs a step. Raises: KeyError for what is no step of a night."""
    return next((name for name, role in ROLES.items() if step in role.steps), "") or _unknown(step)


def _unknown(step: str) -> str:
    raise KeyError(step)


def who_holds(kind: str) -> str:
    """What to do about a key that a role does not hold."""
    named = [name for name, role in ROLES.items() if kind in role.keys]
    return f"run this as {' or '.join(named)}" if named else "run this with the root key"


def prepare(var: Path, users: Mapping[str, int], groups: Mapping[str, int]) -> None:
    """Make every folder, owned and open as `FOLDERS` says, and so all that is in it already: a state that
    one user made goes on with three. `users`: the user id of each role; `groups`: its group's, and that of
    `EVERYONE`. Of keys only who may look into the folder is settled. Needs the superuser.

    Raises: TerminalError `settings_invalid` naming what is a link: followed, it would give one role
    another's files.
    """
    rules = {var / folder.path: folder for folder in FOLDERS}
    for path in rules:
        if path.is_symlink():
            raise _linked(var, path)
        path.mkdir(parents=True, exist_ok=True)
    for path, folder in rules.items():
        owner, group = users.get(folder.owner, 0), groups[folder.group or EVERYONE]
        os.chown(path, owner, group)
        path.chmod(folder.mode)
        if folder.path in (".", "keys"):
            continue
        for place, below, names, inside in os.fwalk(path, follow_symlinks=False):
            below[:] = [name for name in below if Path(place, name) not in rules]
            for name in (*below, *names):
                mode = folder.below if name in below else 0o600 | folder.mode & 0o060
                try:
                    _hand_over(name, inside, owner, group, mode)
                except OSError as error:
                    raise _linked(var, Path(place, name)) from error


def _hand_over(name: str, inside: int, owner: int, group: int, mode: int) -> None:
    """By what is opened, not by its name, which may be another thing a moment later."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(name, flags, dir_fd=inside)
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            raise OSError(errno.EMLINK, "a file of two names")
        os.fchown(descriptor, owner, group)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


def _linked(var: Path, path: Path) -> TerminalError:
    return TerminalError(
        "settings_invalid",
        f"[{path.relative_to(var)}] is a link, or cannot be opened; find out who made it, remove it, and "
        "run `leadhub keys prepare` again",
    )


def check(var: Path, role: str) -> None:
    """This process can read the folders of its role, write where it should, and read no other.

    Raises: TerminalError `settings_invalid` naming the folder.
    """
    for folder in FOLDERS:
        path = var / folder.path
        reads = os.access(path, os.R_OK | os.X_OK)
        writes = os.access(path, os.W_OK)
        if reads != folder.open_to(role) or writes != (
            role == folder.owner or (folder.shared and folder.open_to(role))
        ):
            raise TerminalError(
                "settings_invalid",
                f"[{folder.path}] is not open to role [{role}] as it should be, and to no one else; run "
                "`leadhub keys prepare` as the superuser",
            )


def reads(role: str, folder: str) -> bool:
    """Whether who has this ring reads in a folder of `FOLDERS`; who has the root reads everywhere."""
    return not role or next(f for f in FOLDERS if f.path == folder).open_to(role)


def shut(var: Path, path: Path) -> TerminalError:
    """What to tell who may not open `path`."""
    inside = [f for f in FOLDERS if path.is_relative_to(var / f.path)]
    whose = inside[-1] if inside else FOLDERS[0]
    named = [role for role in ROLES if whose.open_to(role)]
    return TerminalError(
        "settings_invalid",
        f"[{whose.path}] is not open to the user that this runs as; run it as {' or '.join(named)}",
    )
