"""Retention: keys of old drops are destroyed; versions and tokens that no kept night names are gone."""

import pytest

from connectors.base import connection_from_environment
from leadhub.foundation import clock, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import Settings
from leadhub.steps import linking, upkeep
from leadhub.steps.site import open_site

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def second_night(nights, after, tmp_path_factory):
    assert nights.run(2) == 0
    where = tmp_path_factory.mktemp("second")
    nights.save(where)
    return where


@pytest.fixture
def site(nights, second_night):
    nights.restore(second_night)
    yield open_site(connection_from_environment, Settings(var=nights.var))
    nights.restore()


def _files(site, below):
    return {p for p in (site.lake.root / below).rglob("*") if p.is_file()}


def test_within_the_time_nothing_that_a_night_names_is_lost(nights, site):
    before = nights.tables()
    kept = upkeep.retention(site)
    assert kept["destroyed_drops"] == []
    assert nights.tables() == before
    for night in site.lake.nights():
        for name, version in site.lake.night(night)["tables"].items():
            site.lake.read(name, version)


def test_after_the_time_drops_cannot_be_read_and_a_certificate_says_so(nights, site, monkeypatch):
    [drop] = site.landing.drops("da_cases", nights.night(1))
    assert site.landing.read(drop, drop.members[0])
    before = nights.tables()
    monkeypatch.setenv(clock.VARIABLE, f"{nights.night(1)[:4]}-12-31T12:00:00+00:00")
    destroyed = upkeep.retention(site)["destroyed_drops"]
    assert drop.drop_id in destroyed
    certificate = files.read_json(site.landing.path(drop, "destroyed.json"))
    assert certificate["drop_id"] == drop.drop_id
    with pytest.raises(TerminalError, match="destroyed by retention"):
        site.landing.read(drop, drop.members[0])
    with pytest.raises(TerminalError, match="destroyed"):
        upkeep.replay_drop(site, "da_cases", drop.drop_id)
    assert nights.tables() == before, "what was learnt from it stays"
    assert upkeep.retention(site)["destroyed_drops"] == [], "once"


def test_the_last_nights_tokens_alone_are_kept(nights, site):
    manifest = site.lake.night(nights.night(2))
    of_feeds = {f[n] for f in manifest["feeds"].values() for n in ("token_file", "numbers_file")}
    named = of_feeds | linking.files_of(manifest["linkage"])
    upkeep.retention(site)
    held = {str(p.relative_to(site.lake.root / "tokens")) for p in _files(site, "tokens")}
    assert held == named - {None}
    assert held
