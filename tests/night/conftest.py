"""A small county with its servers, and nights run on it in processes of their own."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from leadhub.foundation import clock, openpgp
from leadhub.foundation.settings import Settings
from simulation.stage import Stage

STATE = ("landing", "landing_keys", "lake", "ledger", "releases", "reports", "seals", "statistics")
PERSONS = 300


@dataclass
class Nights:
    """Runs nights on the stage; `restore` brings back the moment before the first."""

    stage: Stage
    before: Path
    process: subprocess.Popen = field(repr=False)

    @property
    def var(self) -> Path:
        return self.stage.var

    def night(self, number: int) -> str:
        return (self.stage.night + timedelta(days=number - 1)).isoformat()

    def run(self, number: int = 1, failpoint: str = "", *, approved: bool = True, **settings: Path) -> int:
        """Exit code of a night's process; negative where a signal ended it.

        `approved`: two people have approved every licence before it begins. `settings`: as in `Settings`.
        """
        environment = {**self.stage.environment(), "LEADHUB_FAILPOINT": failpoint}
        environment |= {f"LEADHUB_{name.upper()}": str(value) for name, value in settings.items()}
        order = {"environment": environment, "night": self.night(number), "approved": approved}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["code"]

    def save(self, where: Path) -> None:
        for name in (*STATE, "sftp"):
            if (self.var / name).exists():
                shutil.copytree(self.var / name, where / name)

    def restore(self, where: Path | None = None) -> None:
        where = where or self.before
        for name in STATE:
            shutil.rmtree(self.var / name, ignore_errors=True)
            if (where / name).exists():
                shutil.copytree(where / name, self.var / name)
        for account in (self.var / "sftp").iterdir():
            if not account.is_dir():
                continue
            for box in ("inbox", "outbox"):
                shutil.rmtree(account / box)
                shutil.copytree(where / "sftp" / account.name / box, account / box)

    def outcome(self) -> dict[str, object]:
        """All that must be equal after any history: plaintext deliveries and sorted logical tables."""
        return self.deliveries() | self.tables()

    def deliveries(self) -> dict[str, object]:
        found: dict[str, object] = {}
        secret = {a.name: a / "openpgp.pgp" for a in self.stage.agencies.iterdir() if a.is_dir()}
        for path in sorted((self.var / "sftp").glob("*/outbox/**/*")):
            if not path.is_file() or path.suffix == ".asc" or path.name in ("SHA256SUMS", "manifest.json"):
                continue
            if path.parent.name == "checkpoints":
                continue  # of a ledger, which has seen what happened
            account = path.relative_to(self.var / "sftp").parts[0]
            data, name = path.read_bytes(), str(path.relative_to(self.var))
            if path.suffix == ".pgp":
                data, name = openpgp.decrypt(data, secret[account]), name.removesuffix(".pgp")
            if path.name.endswith(".ack.json"):
                data = b"".join(li for li in data.splitlines(True) if b'"received_at"' not in li)
            found[name] = data
        return found

    def tables(self) -> dict[str, object]:
        from connectors.base import connection_from_environment
        from leadhub.steps import review
        from leadhub.steps.site import open_site

        site = open_site(connection_from_environment, Settings(var=self.var))
        manifest = site.lake.night(site.lake.nights()[-1])
        tables = {}
        read = {name: site.lake.read(name, version) for name, version in manifest["tables"].items()}
        for name, table in {**read, "pairs": review.pairs_of(site, manifest)}.items():
            frame = pl.DataFrame(pl.from_arrow(table))
            tables[f"table {name}"] = frame.sort(frame.columns, nulls_last=True).write_json()
        return tables


@contextlib.contextmanager
def county(folder: Path, persons: int):
    """A county of so many persons, before its first night, which was yesterday."""
    first = date.fromisoformat(clock.tonight("America/New_York")) - timedelta(days=1)
    with Stage(folder / "var", persons=persons, seed=11, night=first) as stage:
        kept = dict(os.environ)
        os.environ.update(stage.environment())
        stage.prepare(1)
        log = (folder / "runs.log").open("w")
        process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("zygote.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert process.stdout.readline() == "ready\n"
        found = Nights(stage, folder / "before", process)
        found.save(found.before)
        yield found
        process.stdin.close()
        process.wait(timeout=30)
        log.close()
        os.environ.clear()
        os.environ.update(kept)


@pytest.fixture(scope="session")
def nights(tmp_path_factory):
    with county(tmp_path_factory.mktemp("county"), PERSONS) as found:
        yield found


@pytest.fixture(scope="session")
def first_night(nights, tmp_path_factory):
    """The state after the first night, delivered: one run of it serves every test of a process."""
    nights.restore()
    assert nights.run() == 0
    where = tmp_path_factory.mktemp("after")
    nights.save(where)
    return where


@pytest.fixture(scope="module")
def after(nights, first_night):
    """The same, put in place."""
    nights.restore(first_night)
    yield first_night
    nights.restore()
