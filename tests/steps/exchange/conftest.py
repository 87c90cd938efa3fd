"""A hub and two agencies, made once: a second goes into their tables and first files."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from leadhub.foundation import keys as key_ring
from leadhub.foundation import settings
from leadhub.identity.linkage import schema as schemas
from tests.identity import people
from tests.steps.exchange.two_agencies import FEEDS, run


@pytest.fixture(scope="session")
def agencies(tmp_path_factory):
    """A hub, the keeper of the key and two agencies; `tokenise(feed, …)` runs the command."""
    root = tmp_path_factory.mktemp("exchange")
    hub = root / "hub"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LEADHUB_VAR", str(hub / "var"))
        run("init")
        run("exchange", "hub-key")
        key = root / "keeper" / "county.v1.key"
        fingerprint = run("exchange", "key", "county", "--out", key).split("fingerprint ")[1].split()[0]
        tables, truth = people.county(3000, FEEDS, 0.05, seed=11)
        files = {}
        for feed, table in tables.items():
            folder = root / feed
            folder.mkdir()
            shutil.copy(key, folder / "county.key")
            shutil.copy(hub / "var" / "keys" / "exchange.asc", folder)
            shutil.copy(schemas.PERSON, folder / "schema.yaml")
            frame = pl.DataFrame(pl.from_arrow(table)).rename({"record_id": "case_no"})
            frame = frame.with_columns(pl.col("date_of_birth").dt.to_string("%m/%d/%Y"))
            files[feed] = folder / "people.csv"
            frame.write_csv(files[feed])

        def tokenise(agency: str, out: Path | None = None, **changed: object) -> str:
            folder = root / agency
            usual = {
                "key": folder / "county.key",
                "schema": folder / "schema.yaml",
                "to": folder / "exchange.asc",
                "feed": agency,
                "id": "case_no",
                "out": out or folder / "out.pgp",
                "report": folder / "report.csv",
                "row-key": folder / "rows.key",
            }
            file = changed.pop("file", files[agency])
            options = [o for name, value in (usual | changed).items() for o in (f"--{name}", value)]
            return run("tokenise", file, *options)

        said = {feed: tokenise(feed) for feed in FEEDS}
        return SimpleNamespace(
            root=root,
            hub=hub,
            key=key,
            fingerprint=fingerprint,
            files=files,
            tables=tables,
            truth=truth,
            said=said,
            tokenise=tokenise,
            out={feed: root / feed / "out.pgp" for feed in FEEDS},
            settings=settings.load(),
            keys=key_ring.load(settings.load().root_key),
        )


@pytest.fixture
def site(agencies, monkeypatch):
    """They, and commands run at that hub."""
    monkeypatch.setenv("LEADHUB_VAR", str(agencies.hub / "var"))
    return agencies


@pytest.fixture
def fresh(site, tmp_path, monkeypatch):
    """The same hub with nothing opened yet."""
    shutil.copytree(site.hub / "var" / "keys", tmp_path / "var" / "keys")
    monkeypatch.setenv("LEADHUB_VAR", str(tmp_path / "var"))
    return settings.load()
