"""`leadhub init`, `doctor` and `keys …`: the hub's keys, their backup, and whether all is in order."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of
from leadhub.cli_operators import chain
from leadhub.foundation import algorithms, files, ledger, openpgp, roles, shares
from leadhub.foundation import keys as key_ring
from leadhub.foundation import settings as site_settings
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.lake import zone_of
from leadhub.release import checkpoints

app = typer.Typer(no_args_is_help=True, help="The root key's backup in shares; new versions of keys.")
console = Console(width=console_width())


def init() -> None:
    """Make the root key and the hub's OpenPGP keys where there are none."""
    settings = site_settings.load()
    if settings.key_state.check.exists() and not settings.root_key.exists():
        raise TerminalError(
            "key_missing",
            f"this state was made with a root key that is not at [{settings.root_key.name}]; put it back "
            "(`leadhub keys combine` makes it from shares): a new one would open nothing",
        )
    key_ring.load(settings.root_key, settings.wrapping, create=True)
    for path, owner in (
        (settings.signing_key, f"leadhub releases <{settings.steward_contact}>"),
        (settings.decryption_key, f"leadhub drops <{settings.steward_contact}>"),
    ):
        if not path.exists():
            openpgp.generate(path, owner)
        certificate = openpgp.certificate(path)
        files.write_bytes(path.with_suffix(".asc"), certificate, mode=0o644)
        console.print(f"{path.stem}: {openpgp.fingerprint(certificate)}")
    ring = key_ring.of_state(settings.root_key, settings.key_state, settings.wrapping)
    files.write_bytes(
        settings.root_key.with_name("checkpoint.pub"), checkpoints.public_key(ring), mode=0o644
    )
    console.print(
        "Give the certificates (*.asc) and checkpoint.pub to the partners; back up the root key, apart "
        "from the state: `leadhub keys split` makes a share for each of several officers."
    )


def doctor() -> None:
    """Are settings, keys, facts and the last night in order? And which algorithms run where."""
    from leadhub.steps import blocked
    from leadhub.steps.site import open_site

    version, fips = algorithms.openssl()
    table = table_of("for", "algorithm", "approved by", "runs in")
    for use in algorithms.USES:
        table.add_row(use.what, use.algorithm, use.approved or "–", use.runs)
    console.print(table)
    console.print(f"{version}; its FIPS provider is {'active' if fips else 'not active'}")
    site = open_site(connection_from_environment)
    kept = site.settings.wrapping.describe(site.settings.root_key.read_text())
    console.print(f"root key: version {site.keys.version}, matches this state; {kept}")
    console.print(f"feeds: {', '.join(site.feeds)}")
    console.print(f"agreements: {', '.join(site.licences)}")
    for what in blocked.told(site.settings):
        console.print(f"agreement: {what}", highlight=False, markup=False)
    nights = site.lake.nights()
    if nights:
        manifest = site.lake.night(nights[-1]) or {}
        open_ = {n for n in manifest["tables"] if roles.reads(site.keys.role, f"lake/tables/{zone_of(n)}")}
        for name in sorted(open_):
            site.lake.read(name, manifest["tables"][name], columns=[])
        console.print(
            f"last night: {nights[-1]}, {len(open_)} of {len(manifest['tables'])} tables readable"
        )
    ledgers, mine = site.settings.var / "ledger", roles.reads(site.keys.role, "ledger")
    for path in (*(files.found(ledgers, "*.jsonl") if mine else ()), chain(site.settings)):
        if path.exists():
            ledger.verify(path)
            last = ledger.head(path)
            console.print(f"ledger of {path.stem}: {last.seq} entries, unbroken, to {last.hash[:16]}")
    if site.keys.role:
        console.print(f"as role {site.keys.role}: its folders are open to it, the others are not")


@app.command()
def split(
    folder: Annotated[Path, typer.Argument(help="where to write the shares; a folder that is not there")],
    needed: Annotated[int, typer.Option(help="how many restore the key")] = 3,
    count: Annotated[int, typer.Option("--shares", help="how many there are")] = 5,
) -> None:
    """Split the root key. Print each share for one officer, then delete the files."""
    settings = site_settings.load()
    keys = key_ring.load(settings.root_key, settings.wrapping)
    made = shares.split(keys, needed, count)
    if folder.exists():
        raise TerminalError("state_invalid", f"[{folder.name}] is there already; name a new folder")
    folder.mkdir(mode=0o700)
    for number, share in enumerate(made, start=1):
        files.write_bytes(folder / f"share_{number}_of_{count}.txt", share.encode() + b"\n")
    console.print(
        f"{count} shares, any {needed} of which restore the root key (check value {keys.check_value()}). "
        "Give each to another officer, on paper or on a medium of their own; then delete the folder."
    )


@app.command("roles")
def for_roles(
    folder: Annotated[Path, typer.Argument(help="where to write the rings; a folder that is not there")],
) -> None:
    """A ring for each of landing, linking and publishing: its own keys and no root.

    Give each to its user alone (mode 600), and take the root key away from where the nights run: it is
    needed again to rotate keys, to split it, and for these rings. Rotations need no new ring.
    """
    settings = site_settings.load()
    keys = key_ring.load(settings.root_key, settings.wrapping)
    if folder.exists():
        raise TerminalError("state_invalid", f"[{folder.name}] is there already; name a new folder")
    folder.mkdir(mode=0o700)
    for role in roles.ROLES:
        ring = keys.of_role(role)
        key_ring.store(folder / f"{role}.ring", ring, settings.wrapping)
        console.print(f"{role}.ring: {', '.join(sorted(ring.kinds))}")


@app.command()
def prepare(
    user: Annotated[str, typer.Option(help="the users of the roles, and their groups")] = "leadhub-{role}",
) -> None:
    """Make the state's folders, each open to the roles that need it alone. Run as the superuser."""
    settings = site_settings.load()
    names = {role: user.format(role=role) for role in roles.ROLES}
    try:
        users = {role: pwd.getpwnam(name).pw_uid for role, name in names.items()}
        groups = {role: grp.getgrnam(name).gr_gid for role, name in names.items()}
        groups[roles.EVERYONE] = grp.getgrnam(roles.EVERYONE).gr_gid
    except KeyError as error:
        raise TerminalError(
            "settings_invalid", f"{error.args[0]}; docs/runbook.md, 'First installation'"
        ) from None
    roles.prepare(settings.var, users, groups)
    for path, role in ((settings.signing_key, "publishing"), (settings.decryption_key, "landing")):
        if path.exists():
            os.chown(path, users[role], groups[role])
    console.print(f"{len(roles.FOLDERS)} folders are open to the roles that need them, and to no one else")


@app.command()
def combine(
    paths: Annotated[
        list[Path], typer.Argument(metavar="SHARE...", help="files of shares, enough of them")
    ],
) -> None:
    """Restore the root key from shares. A key that this state was not made with is refused."""
    settings = site_settings.load()
    if settings.root_key.exists():
        raise TerminalError("state_invalid", f"[{settings.root_key.name}] is there already; move it away")
    absent = [p.name for p in paths if not p.is_file()]
    if absent:
        raise TerminalError("key_missing", f"there are no files {absent}")
    keys = shares.combine([p.read_text(encoding="utf-8") for p in paths])
    known_state = settings.key_state.check.exists()
    if known_state:
        keys = key_ring.verify(keys, settings.key_state)
    key_ring.store(settings.root_key, keys, settings.wrapping)
    known = "the one this state was made with" if known_state else "not yet compared with a state"
    console.print(f"root key restored (check value {keys.check_value()}), {known}")


@app.command()
def wrap() -> None:
    """Keep the same root key as the settings now say: under a passphrase, in Vault, in a cloud's KMS."""
    settings = site_settings.load()
    keys = key_ring.load(settings.root_key, settings.wrapping)
    if settings.key_state.check.exists():
        keys = key_ring.verify(keys, settings.key_state)
    key_ring.store(settings.root_key, keys, settings.wrapping)
    kept = settings.wrapping.describe(settings.root_key.read_text())
    console.print(f"root key (check value {keys.check_value()}): {kept}. Destroy older copies of its file.")


@app.command()
def rotate(
    name: Annotated[str, typer.Argument(help="landing, storage, ids, linkage or signing")],
) -> None:
    """A new version of a key. Agencies are asked for nothing; run it between nights."""
    from leadhub.steps import rotation
    from leadhub.steps.site import open_site

    said = rotation.rotate(open_site(connection_from_environment, rotating=True), name)
    begun = "an interrupted rotation is finished" if said["finished_an_earlier_one"] else "from now on"
    console.print(f"{said['key']}: version {said['version']}, {begun}; {said['made_anew']:,} made anew")
    if said.get("kept_older"):
        console.print(
            f"{said['kept_older']:,} records are in no drop that is still held: they keep the tokens of "
            "the older version. End that with `leadhub keys retire`: at once where that key may be known, "
            f"else by {said['until']}."
        )
    if name == "ids":
        console.print("Each feed's tables are rewritten on its next complete night; `leadhub keys status`.")
    if name == "signing":
        settings = site_settings.load()
        keys = open_site(connection_from_environment).keys
        public = settings.root_key.with_name("checkpoint.pub")
        files.write_bytes(public, checkpoints.public_key(keys), mode=0o644)
        console.print("The next delivery to each partner brings the new public key, signed by the old one.")


@app.command()
def retire() -> None:
    """Destroy the linkage tokens that a rotation had to keep under the older version. Between nights."""
    from leadhub.steps import rotation
    from leadhub.steps.site import open_site

    said = rotation.retire(open_site(connection_from_environment, rotating=True))
    if said["finished_an_earlier_one"] and said["kept_older"]:
        console.print(
            f"an interrupted rotation is finished: {said['kept_older']:,} records still have tokens of the "
            "older version. Run `leadhub keys retire` again to end that."
        )
        return
    console.print(
        f"linkage: version {said['version']} alone; {said['made_anew']:,} records have all their tokens "
        f"under it, {said['without_tokens']:,} have none until they are sent again, and stay with their "
        "persons."
    )


@app.command()
def status() -> None:
    """Which version each key has, and what still stands under an older one."""
    from leadhub.steps import rotation
    from leadhub.steps.site import open_site

    table = table_of("key", "version", "under an older version")
    what = {
        "landing": "drops",
        "storage": "files",
        "ids": "feeds",
        "linkage": "records, until `leadhub keys retire`",
    }
    for row in rotation.status(open_site(connection_from_environment)):
        left = f"{row['under_older']:,} {what.get(row['key'], '')}" if row["under_older"] else "–"
        table.add_row(row["key"], str(row["version"]), left)
    console.print(table)
