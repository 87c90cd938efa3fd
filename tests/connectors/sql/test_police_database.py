"""The simulated agency's database: it restarts, holds what it is given, and needs no superuser."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from leadhub.foundation.settings import REPOSITORY
from simulation.police_db import PoliceDatabase
from tests.connectors.sql.police_records import charges, persons, put


def test_the_agency_finds_its_tables_after_a_restart(tmp_path):
    server = PoliceDatabase(tmp_path / "records")
    server.start()
    put(server, persons(5), charges())
    server.start()
    server.stop()
    server.stop()
    # a process that died left its server behind
    server.start()
    PoliceDatabase(tmp_path / "records").start()
    again = PoliceDatabase(tmp_path / "records")
    with again, again.owner() as owner:
        assert owner.execute("SELECT count(*) FROM lead.persons").fetchone() == (5,)


def test_the_agency_makes_its_tables_equal_to_the_frames(server):
    def now() -> pl.DataFrame:
        with server.owner() as owner:
            found = owner.execute('SELECT * FROM lead.persons ORDER BY "MNI No"').fetchall()
        return pl.DataFrame(found, schema=persons().schema, orient="row")

    put(server, persons(5))
    with server.owner() as owner:
        untouched = "SELECT xmin::text FROM lead.persons WHERE \"MNI No\" = 'P000003'"
        before = owner.execute(untouched).fetchone()
        changed = persons(6, first=1).with_columns(
            last=pl.when(pl.col("MNI No") == "P000002").then(pl.lit("")).otherwise("last"),
            dob=pl.when(pl.col("MNI No") == "P000001").then(None).otherwise("dob"),
        )
        put(server, changed)
        assert now().equals(changed.sort("MNI No"))
        assert owner.execute(untouched).fetchone() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="tries to be somebody else")
def test_the_agency_starts_for_an_ordinary_user(tmp_path_factory):
    folder = Path("/tmp") / f"leadhub-test-{os.getpid()}"  # noqa: S108 - pytest's own is root's alone
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    code = (
        "from pathlib import Path; from simulation.police_db import PoliceDatabase\n"
        f"with PoliceDatabase(Path({str(folder)!r}) / 'records') as d: print(d.connection()['login'])"
    )
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", code]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    assert done.stdout == "leadhub_reader\n", done.stderr
