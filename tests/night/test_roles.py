"""Landing, linking and publishing as three users of the operating system, on a real night."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.base import connection_from_environment
from leadhub.foundation import files, roles
from leadhub.foundation import keys as key_ring
from leadhub.foundation.errors import REASONS, TerminalError, TransientError
from leadhub.foundation.settings import REPOSITORY, Settings
from leadhub.steps import acting, rotation
from leadhub.steps.site import open_site
from tests.night.conftest import county

USERS = {"landing": 61001, "linking": 61002, "publishing": 61003}
GROUPS = USERS | {roles.EVERYONE: 61000}
#: as sudo does: another user, the role's own environment, nothing of the caller's. A mount namespace lets
#: that user reach an interpreter and a checkout that may lie below somebody's home
AS_ROLE = """#!/bin/sh
exec unshare --mount {home}/{role}.sh "$@"
"""
IN_NAMESPACE = """#!/bin/sh -e
cd {home}
mount --bind {python} python
mount --bind {packages} packages
mount --bind {checkout} checkout
cd checkout
exec setpriv {user} env -i {environment} {home}/python/bin/python3.11 -m leadhub.cli "$@"
"""


def _namespaces() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


pytestmark = [
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        not _namespaces(), reason="becoming three users needs the superuser, and leave to mount"
    ),
]


@dataclass
class Hub:
    """An installation by roles beside the county's own; the same agencies, the same root key."""

    home: Path

    @property
    def var(self) -> Path:
        return self.home / "var"

    @property
    def command(self) -> str:
        return f"{self.home}/as_{{role}} step"

    def run(self, step: str, *arguments: str, **named: str) -> dict:
        return acting.as_role(self.command, step, list(arguments), named)

    def night(self, nights, number: int, partners: tuple[str, ...] = ()) -> None:
        """Every step in order, two feeds or two partners at a time; without `partners` for all of them."""
        night = nights.night(number)
        site = open_site(connection_from_environment, Settings(var=nights.var))

        def take(feed: str) -> None:
            for step in ("ingest.land", "ingest.validate", "state.pseudonymise", "ingest.acknowledge"):
                self.run(step, feed, night)
            self.run("state.close", feed, night)

        def give(partner: str) -> None:
            for agreement in (name for name, a in site.agreements.items() if a.partner == partner):
                self.deliver(agreement, night)

        with ThreadPoolExecutor(2) as two:
            list(two.map(take, site.feeds))
            for step in ("linking.link", "night.reconcile", "night.commit"):
                self.run(step, night)
            list(two.map(give, partners or sorted({a.partner for a in site.agreements.values()})))

    def deliver(self, agreement: str, night: str) -> None:
        """One licence's dataset, which two people approve where they have not."""
        if self.run("publish.stage", agreement, night)["status"] == "awaiting_approval":
            for role, by in (("proposed", "steward"), ("approved", "counsel")):
                shown = self.run("approvals.preview", agreement, night)
                self.run("approvals.answer", agreement, role, by=by, preview_sha256=shown["preview_sha256"])
        self.run("publish.deliver", agreement, night)

    def tried(self, role: str, *words: str) -> subprocess.CompletedProcess:
        """A command that a steward gives as the user of a role."""
        order = [f"{self.home}/as_{role}", *words]
        return subprocess.run(order, capture_output=True, text=True, check=False)

    def readable(self, role: str) -> set[str]:
        """Files below `var` that a role's user can open."""
        looks = (
            "import os, sys; v = sys.argv[1]; "
            "print(*(os.path.relpath(os.path.join(d, f), v) for d, _, fs in os.walk(v) for f in fs "
            "if os.access(os.path.join(d, f), os.R_OK)), sep='\\n')"
        )
        order = ["setpriv", *_user(role), "/usr/bin/python3", "-c", looks, str(self.var)]
        done = subprocess.run(order, capture_output=True, text=True, check=True)
        return set(done.stdout.split("\n")) - {""}

    def files(self) -> set[str]:
        return {str(p.relative_to(self.var)) for p in self.var.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """A county of its own: later tests of the shared one would see a second day at the agencies."""
    with county(tmp_path_factory.mktemp("county_of_roles"), 150) as found:
        yield found


@pytest.fixture(scope="module")
def hub(nights):
    home = Path(tempfile.mkdtemp(prefix="leadhub-roles-"))
    home.chmod(0o755)
    for folder in ("python", "packages", "checkout"):
        (home / folder).mkdir()
    roles.prepare(home / "var", USERS, GROUPS)
    found = Hub(home)
    shutil.copytree(nights.var / "keys" / "partners", found.var / "keys" / "partners")
    for path in (found.var / "keys" / "partners").iterdir():
        path.chmod(0o644)
    for name, role in (("signing.pgp", "publishing"), ("decryption.pgp", "landing")):
        shutil.copy(nights.var / "keys" / name, found.var / "keys" / name)
        os.chown(found.var / "keys" / name, USERS[role], USERS[role])
    whole = key_ring.load(nights.stage.settings.root_key)
    given = nights.stage.environment()
    for role, uid in USERS.items():
        ring = home / f"{role}.ring"
        key_ring.store(ring, whole.of_role(role), Settings().wrapping)
        os.chown(ring, uid, uid)
        (home / f"home_{role}").mkdir(mode=0o700)
        os.chown(home / f"home_{role}", uid, uid)
        kept = {n: v for n, v in given.items() if n.startswith("AIRFLOW_CONN") and _needs(role, n)}
        kept |= {"LEADHUB_VAR": str(found.var), "LEADHUB_ROOT_KEY_FILE": str(ring)}
        kept |= {"HOME": str(home / f"home_{role}"), "PATH": "/usr/bin:/bin"}
        kept |= {"LD_LIBRARY_PATH": f"{home}/python/lib"}
        kept |= {"PYTHONPATH": f"{home}/checkout:{home}/packages", "PYTHONDONTWRITEBYTECODE": "1"}
        facts = {
            "home": home,
            "role": role,
            "python": sys.base_prefix,
            "packages": sysconfig.get_path("purelib"),
            "checkout": REPOSITORY,
            "user": shlex.join(_user(role)),
            "environment": shlex.join(f"{n}={v}" for n, v in kept.items()),
        }
        for name, text in ((f"as_{role}", AS_ROLE), (f"{role}.sh", IN_NAMESPACE)):
            (home / name).write_text(text.format(**facts))
            (home / name).chmod(0o700)
    yield found
    shutil.rmtree(home)


def _user(role: str) -> list[str]:
    own = USERS[role]
    return [f"--reuid={own}", f"--regid={own}", f"--groups={GROUPS[roles.EVERYONE]}", "--no-new-privs"]


def _needs(role: str, connection: str) -> bool:
    return role == "landing" or (role == "publishing" and "POLICE_RECORDS" not in connection)


@pytest.fixture(scope="module")
def night(hub, nights):
    """What one user delivers, and what three do."""
    nights.restore()
    assert nights.run(1) == 0
    one = nights.deliveries()
    nights.restore()
    hub.night(nights, 1)
    yield one
    nights.restore()


def test_three_users_deliver_what_one_does(nights, night):
    now = nights.deliveries()
    assert now.keys() == night.keys()
    assert {n for n in now if now[n] != night[n]} == set()
    assert any("diversion_status" in n for n in now)


def test_no_role_reads_both_who_is_whom_and_what_is_said(hub, night):
    every, may = hub.files(), {role: hub.readable(role) for role in USERS}

    def below(role, *folders):
        return {f for f in may[role] if f.startswith(folders)}

    for folder in ("landing/", "lake/tables/feeds/", "lake/tables/linkage/", "lake/tables/casework/"):
        assert any(f.startswith(folder) for f in every), folder
    assert not below("landing", "lake/tables/linkage", "lake/tables/casework", "releases", "ledger")
    assert not below("landing", "lake/tokens/pairs", "lake/tokens/limits", "lake/decisions")
    assert not below("linking", "landing", "lake/tables/feeds", "lake/tables/casework", "lake/intake")
    assert not below("linking", "releases", "ledger", "seals", "statistics", "reports")
    assert not below("publishing", "landing", "lake/tokens", "lake/intake", "reports")
    assert below("linking", "lake/tokens/police_records")
    assert below("linking", "lake/tables/linkage")
    assert below("publishing", "lake/tables/feeds")
    assert below("publishing", "lake/tables/linkage")
    keys = {"keys/signing.pgp": {"publishing"}, "keys/decryption.pgp": {"landing"}}
    for name, whose in keys.items():
        assert {role for role in USERS if name in may[role]} == whose


@pytest.mark.parametrize("role", roles.ROLES)
def test_a_steward_sees_what_the_role_may_and_is_told_of_the_rest(hub, night, role):
    shown = hub.tried(role, "status")
    assert shown.returncode == 0, shown.stderr
    assert ("run this as landing" in shown.stdout) == (role != "landing")
    assert ("district_attorney__diversion_status" in shown.stdout) == (role == "publishing")
    assert "unbroken" in hub.tried(role, "doctor").stdout


@pytest.mark.parametrize(
    ("role", "words", "whose"),
    [
        ("landing", ["accounting", "--agency", "police", "--local-id", "1"], "publishing"),
        ("linking", ["seals", "list"], "landing or publishing"),
        ("linking", ["recalls", "list"], "publishing"),
        ("publishing", ["drop", "list", "da_cases"], "landing"),
        ("publishing", ["review", "list"], "linking"),
    ],
)
def test_a_command_of_another_role_says_so_and_never_that_nothing_is_there(hub, night, role, words, whose):
    shown = hub.tried(role, *words)
    assert shown.returncode in (REASONS["settings_invalid"], REASONS["key_missing"])
    assert f"as {whose}" in shown.stderr
    assert shown.stdout == ""


def test_a_state_that_one_user_made_goes_on_with_three(tmp_path):
    one = tmp_path / "var"
    files.write_json(one / "lake" / "receipts" / "2026-11-23" / "night" / "link.json", {})
    files.write_bytes(one / "lake" / "tables" / "feeds" / "core_x" / "part.parquet", b"")
    files.write_bytes(one / "ledger" / "police.jsonl", b"")
    files.write_bytes(one / "keys" / "root.key", b"")
    roles.prepare(one, USERS, GROUPS)
    told = {
        "lake/receipts/2026-11-23/night": (0, 61000, 0o3770),
        "lake/receipts/2026-11-23/night/link.json": (0, 61000, 0o660),
        "lake/tables/feeds/core_x": (61001, 61003, 0o2750),
        "lake/tables/feeds/core_x/part.parquet": (61001, 61003, 0o640),
        "ledger/police.jsonl": (61003, 61000, 0o600),
        "keys/root.key": (0, 0, 0o600),
    }
    stands = {name: (one / name).stat() for name in told}
    assert {n: (s.st_uid, s.st_gid, s.st_mode & 0o7777) for n, s in stands.items()} == told


@pytest.mark.parametrize("aim", ["lake/tables/feeds", "keys/secret"])
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
def test_no_role_is_handed_what_it_links_to(tmp_path, aim, link):
    """`keys prepare` runs as the superuser over folders in which roles write."""
    var = tmp_path / "var"
    roles.prepare(var, USERS, GROUPS)
    (var / "keys" / "secret").write_bytes(b"x")
    if link is os.link and aim != "keys/secret":
        pytest.skip("a folder has no second name")
    link(var / aim, var / "lake" / "decisions" / "mine")
    with pytest.raises(TerminalError, match="is a link"):
        roles.prepare(var, USERS, GROUPS)
    assert (var / aim).stat().st_uid != USERS["linking"]


def test_in_a_shared_folder_nobody_moves_what_is_another_s(hub):
    moved = ["mv", str(hub.var / "lake" / "tables"), str(hub.var / "lake" / "other")]
    order = ["setpriv", *_user("linking"), *moved]
    done = subprocess.run(order, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert (hub.var / "lake" / "tables").exists()


def test_a_step_of_another_role_is_refused(hub, night):
    with pytest.raises(TerminalError, match=r"key_missing.*linking.*publishing"):
        acting.as_role(f"{hub.home}/as_publishing step", "linking.link", ["2026-01-01"], {})


def test_a_name_that_is_no_step_of_a_night_runs_nothing(hub):
    with pytest.raises(KeyError):
        hub.run("seals.lift", "abc")
    order = [f"{hub.home}/as_publishing", "step", "seals.lift"]
    with subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(b'{"arguments": [], "named": {}}\n')
        process.stdin.flush()
        assert json.loads(process.stdout.read())["reason"] == "settings_invalid"


@pytest.mark.parametrize(("folder", "mode"), [("lake/tables/feeds", 0o2755), ("seals", 0o2701)])
def test_a_folder_that_is_open_to_others_or_shut_stops_the_night(hub, nights, night, folder, mode):
    path = hub.var / folder
    before = path.stat().st_mode & 0o7777
    step = ["linking.link"] if folder.startswith("lake") else ["state.close", "police_records"]
    path.chmod(mode)
    try:
        with pytest.raises(TerminalError, match=rf"settings_invalid.*\[{folder}\]"):
            hub.run(*step, nights.night(1))
    finally:
        path.chmod(before)


def test_errors_come_back_as_they_are(hub, nights, night):
    with pytest.raises(TerminalError, match="night_incomplete"):
        hub.run("linking.link", nights.night(2))
    with pytest.raises(TransientError, match=r"io_failed.*without an answer"):
        acting.as_role("sh -c 'exit 3'", "linking.link", [nights.night(1)], {})


def test_after_the_superuser_rotated_keys_the_roles_go_on(hub, nights, night):
    own = Settings(var=hub.var, root_key_file=nights.stage.settings.root_key)
    for name in ("storage", "ids", "landing", "linkage"):
        rotation.rotate(open_site(connection_from_environment, own), name)
    nights.stage.prepare(2)
    hub.night(nights, 2, ("district_attorney", "harbor_case_management"))
    for step in ("upkeep.keep_feeds", "upkeep.keep_linkage", "upkeep.keep_casework", "recalls.collect"):
        assert hub.run(step)["status"] in ("kept", "collected")
    strangers = {p for p in hub.var.rglob("*") if p.is_file() and p.stat().st_uid not in USERS.values()}
    assert {p.relative_to(hub.var).parts[0] for p in strangers} <= {"keys", "lake"}


def test_a_step_ends_with_who_asked_for_it(hub, nights, night):
    order = [f"{hub.home}/as_linking", "step", "linking.link"]
    asked = json.dumps({"arguments": [nights.night(1)], "named": {}}).encode() + b"\n"
    process = subprocess.Popen(order, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    process.stdin.write(asked)
    process.stdin.close()
    assert process.wait(timeout=60) == 1
    assert process.stdout.read() == b""
