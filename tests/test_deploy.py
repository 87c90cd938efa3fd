"""The compose installation, as far as it can be judged without a container engine: its files agree."""

from __future__ import annotations

import importlib
import importlib.util
import io
import json
import os
import re
import runpy
import shlex
import stat
import subprocess
import sys
import urllib.request
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from leadhub.foundation import roles
from leadhub.foundation.settings import CLOSING_POOL, REPOSITORY, Settings
from leadhub.intake import feeds
from leadhub.permission import agreements

COMPOSE_TEXT = (REPOSITORY / "docker-compose.yml").read_text()
COMPOSE = yaml.safe_load(COMPOSE_TEXT)
SERVICES = COMPOSE["services"]
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text()
SUDOERS = (REPOSITORY / "deploy" / "roles" / "sudoers").read_text()


def variables(text: str) -> list[tuple[str, str]]:
    """NAME=value lines, in order."""
    return [tuple(line.split("=", 1)) for line in text.splitlines() if re.match(r"[A-Z]", line)]


def of_role(role: str) -> dict[str, str]:
    return dict(variables((REPOSITORY / "deploy" / "roles" / f"{role}.env.example").read_text()))


def copied(dockerfile: Path) -> list[str]:
    lines = re.findall(r"^COPY (?:--\S+ )*(.+) \S+$", dockerfile.read_text(), re.M)
    return [name for line in lines for name in line.split()]


def test_what_an_image_copies_is_there():
    for folder in (REPOSITORY, REPOSITORY / "deploy" / "sftp"):
        names = copied(folder / "Dockerfile")
        assert names
        assert [n for n in names if not (folder / n).exists()] == []


def test_the_builder_gets_what_the_image_copies_and_no_state_key_or_secret():
    rules = (REPOSITORY / ".dockerignore").read_text().splitlines()
    given = [r[1:] for r in rules if r.startswith("!")]
    assert rules[[r[:1] for r in rules].index("*")] == "*"
    for name in copied(REPOSITORY / "Dockerfile"):
        assert any(name == g or name.startswith(f"{g}/") for g in given), name
    for name in (".git", ".env", ".venv", "var", "keys", "secrets", "tests"):
        assert not any(fnmatch(name, g) for g in given), name


def test_the_example_environment_names_what_compose_asks_for_and_nothing_else():
    asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE_TEXT))
    assert {name for name, _ in variables((REPOSITORY / ".env.example").read_text())} == asked


def test_every_setting_that_is_given_is_one_that_leadhub_reads():
    given = {n for s in SERVICES.values() for n in s.get("environment", {})}
    given |= {n for role in roles.ROLES for n in of_role(role)}
    given |= set(re.findall(r"LEADHUB_[A-Z_]+(?==)", DOCKERFILE))
    known = {f"LEADHUB_{name.upper()}" for name in Settings.model_fields}
    assert {n for n in given if n.startswith("LEADHUB_")} <= known


def test_every_option_of_airflow_that_is_given_is_one_that_it_has():
    found = importlib.util.find_spec("airflow")
    assert found is not None
    assert found.submodule_search_locations is not None
    facts = Path(found.submodule_search_locations[0]) / "config_templates" / "config.yml"
    options = yaml.load(facts.read_text(), yaml.CSafeLoader)
    known = {
        f"AIRFLOW__{section}__{name}".upper()
        for section, said in options.items()
        for name in said["options"]
    }
    # the simple auth manager describes its own
    known |= {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"}
    given = {n for s in SERVICES.values() for n in s.get("environment", {})}
    given |= set(re.findall(r"AIRFLOW__[A-Z_]+(?==)", DOCKERFILE))
    assert {n for n in given if n.startswith("AIRFLOW__")} <= known


def test_two_people_can_answer_what_leaves():
    (users,) = (v for n, v in variables((REPOSITORY / ".env.example").read_text()) if n == "AIRFLOW_USERS")
    assert users in COMPOSE_TEXT
    assert sum(user.endswith(":op") for user in users.split(",")) >= 2


# roles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", roles.ROLES)
def test_airflow_may_ask_each_role_for_a_step_and_for_nothing_else(role):
    order = shlex.split(
        SERVICES["scheduler"]["environment"]["LEADHUB_ROLE_COMMAND"].format(role=role) + " linking.link"
    )
    (allowed,) = re.findall(r"^airflow ALL = \((.+)\) NOPASSWD: (.+)$", SUDOERS, re.M)
    assert order[:5] == ["sudo", "-n", "-u", f"leadhub-{role}", "--"]
    assert f"leadhub-{role}" in allowed[0].split(", ")
    assert fnmatch(shlex.join(order[5:]), allowed[1])
    assert re.search(rf"--groups {roles.EVERYONE} leadhub-{role}\b", DOCKERFILE)


@pytest.mark.parametrize("role", roles.ROLES)
def test_what_a_role_reads_is_given_to_the_scheduler_and_to_no_other_service(role):
    read = [v for n, v in of_role(role).items() if v.startswith("/run/secrets/")]
    read += re.findall(rf"^Defaults>leadhub-{role} env_file = (.+)$", SUDOERS, re.M)
    names = {Path(path).name for path in read}
    assert names == {f"{role}_env", f"{role}_ring", "passphrase"}
    assert names <= set(SERVICES["scheduler"]["secrets"]) == set(COMPOSE["secrets"])
    assert [n for n, s in SERVICES.items() if "secrets" in s] == ["scheduler"]


def test_no_part_of_airflow_has_a_privilege_but_the_one_that_becomes_the_roles():
    parts = {n: s for n, s in SERVICES.items() if "AIRFLOW__CORE__FERNET_KEY" in s.get("environment", {})}
    assert len(parts) == 5
    assert {n for n, s in parts.items() if s.get("cap_drop") != ["ALL"]} == {"scheduler"}
    assert {n for n, s in parts.items() if "security_opt" not in s} == {"scheduler"}


def test_each_role_has_the_connections_that_its_steps_open_and_no_other():
    held = {r: {n for n in of_role(r) if n.startswith("AIRFLOW_CONN_")} for r in roles.ROLES}
    sources = feeds.load_all(REPOSITORY / "feeds").values()
    partners = [a.recipient for a in agreements.load_all(REPOSITORY / "agreements").found.values()]
    opened = {
        "landing": {f.connection for f in sources} | {f.outbox for f in sources},
        "linking": set(),
        "publishing": {p.connection for p in partners} | {p.push_connection for p in partners} - {None},
    }
    assert held == {r: {f"AIRFLOW_CONN_{n.upper()}" for n in names} for r, names in opened.items()}
    for role in roles.ROLES:
        for name in held[role]:
            assert json.loads(of_role(role)[name].strip("'"))["host"]


# what runs in the image -----------------------------------------------------------------------------


def script(name: str) -> str:
    return str(REPOSITORY / "deploy" / "airflow" / name)


def test_migrate_keeps_passwords_and_makes_those_that_are_missing(tmp_path, monkeypatch):
    ran: list[list[str]] = []
    monkeypatch.setattr(subprocess, "run", lambda order, check: ran.append(order))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    kept = tmp_path / "simple_auth_manager_passwords.json.generated"
    mask = os.umask(0o022)
    try:
        monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin,steward:op")
        runpy.run_path(script("migrate"))
        first = json.loads(kept.read_text())
        monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin,steward:op,counsel:op")
        runpy.run_path(script("migrate"))
    finally:
        os.umask(mask)
    second = json.loads(kept.read_text())
    assert first.keys() == {"admin", "steward"}
    assert first.items() < second.items()
    assert len(set(second.values())) == 3
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert ran[1][:5] == ["airflow", "pools", "set", CLOSING_POOL, "1"]


@pytest.mark.parametrize("said", ["healthy", "unhealthy", None])
def test_a_part_is_healthy_when_airflow_says_so(said, monkeypatch):
    answer = json.dumps({"scheduler": {"status": said}, "metadatabase": {"status": "healthy"}}).encode()
    monkeypatch.setattr(urllib.request, "urlopen", lambda url, timeout: io.BytesIO(answer))
    monkeypatch.setattr(sys, "argv", ["healthy", "scheduler"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(script("healthy"))
    assert bool(ended.value.code) == (said != "healthy")


@pytest.mark.parametrize(("command", "imports_steps"), [("", True), ("sudo -u leadhub-{role}", False)])
def test_the_scheduler_imports_steps_only_where_it_runs_them(command, imports_steps, monkeypatch):
    imported: list[str] = []
    monkeypatch.setattr(importlib, "import_module", imported.append)
    monkeypatch.setattr(sys, "argv", ["airflow", "scheduler"])
    monkeypatch.setenv("LEADHUB_ROLE_COMMAND", command)
    runpy.run_path(str(REPOSITORY / "plugins" / "airflow_local_settings.py"))
    assert "leadhub.airflow_adapter" in imported
    assert ("leadhub.steps.judgement" in imported) == imports_steps


# the SFTP server ------------------------------------------------------------------------------------

#: a container's /etc, /run and /srv over this machine's; `anew` is another container on the same volumes
CONTAINER = """set -eu
mount -t tmpfs none {over}; mkdir {over}/up {over}/work {over}/image
mount -t overlay overlay -o lowerdir=/etc,upperdir={over}/up,workdir={over}/work /etc
mount -t tmpfs none /run; mount -t tmpfs none /srv
mkdir -p /etc/leadhub-sftp/accounts
cp -a /etc/passwd /etc/shadow /etc/group /etc/gshadow {over}/image
anew() {{ cp -a {over}/image/* /etc; sh {start}; }}
cd /etc/leadhub-sftp/accounts
agency() {{ echo "ssh-ed25519 AAAA" > $1.pub; chown 1234 $1.pub; }}
echo "ssh-ed25519 BBBB" > publishing
agency police; anew
touch /srv/sftp/police/inbox/drop; chown police /srv/sftp/police/inbox/drop
stat -c %u /srv/sftp/police/inbox/drop
agency harbor; anew
stat -c %u /srv/sftp/police/inbox/drop
stat -c '%n %U %a' /srv/sftp /srv/sftp/police /srv/sftp/police/* /srv/sftp/police/inbox/drop
stat -c '%n %U %a' /run/authorized/*
getent shadow police
being() {{ setpriv --reuid $1 --regid $(id -g $1) --init-groups sh -c "$2"; }}
being police-out 'touch /srv/sftp/police-out/outbox/told && echo opens'
being police-out 'ls /srv/sftp/police-out/inbox' 2>/dev/null || echo closed
being police 'rm /srv/sftp/police/outbox/told && id -nG'
rm harbor.pub; sh {start}
ls /run/authorized
"""


def _containers() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


@pytest.mark.skipif(not _containers(), reason="making users needs the superuser, and leave to mount")
def test_each_agency_has_its_own_boxes_also_when_another_comes_or_goes(tmp_path):
    start = tmp_path / "start"
    text = (REPOSITORY / "deploy" / "sftp" / "start").read_text()
    start.write_text(re.sub(r"^exec /usr/sbin/sshd .*$", "", text, flags=re.M))
    (tmp_path / "over").mkdir()
    order = CONTAINER.format(over=tmp_path / "over", start=start)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", order], capture_output=True, text=True, check=True
    )
    first, second, *told, shadow, opens, closed, groups, one, other = done.stdout.splitlines()
    # "harbor" comes before "police", and takes its user id
    assert first != second
    assert set(told) == {
        "/srv/sftp root 755",
        "/srv/sftp/police root 755",
        "/srv/sftp/police/inbox police 700",
        "/srv/sftp/police/outbox police 2770",
        "/srv/sftp/police/inbox/drop police 644",
        *(
            f"/run/authorized/{name}.pub root 644"
            for name in ("harbor", "harbor-out", "police", "police-out")
        ),
    }
    # an account that begins with "!" is locked: sshd lets nobody in, also with a key
    assert shadow.startswith("police:*:")
    assert [one, other] == ["police-out.pub", "police.pub"]
    # publishing's login writes into the outbox, where the agency may remove it, and cannot open the inbox
    assert (opens, closed, set(groups.split())) == ("opens", "closed", {"sftponly", "police-out"})
