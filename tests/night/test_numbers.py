"""Numbers of one event, on the state tables of a night: from arrests and cases to the persons."""

import shutil

import pytest

from connectors.base import connection_from_environment
from leadhub.foundation.settings import Settings
from leadhub.steps import numbers
from leadhub.steps.site import open_site


@pytest.fixture
def site(nights, first_night):
    nights.restore(first_night)
    yield open_site(connection_from_environment, Settings(var=nights.var))
    nights.restore()


def test_police_and_office_are_joined_and_sealed_cases_join_nobody(site):
    base = site.lake.night(site.lake.nights()[-1])
    versions = {f: {t: c["version"] for t, c in r["tables"].items()} for f, r in base["feeds"].items()}
    found = numbers.joined(site, [r["numbers_file"] for r in base["feeds"].values()])
    stands = site.lake.read("crosswalk", base["tables"]["crosswalk"]).to_pylist()
    feed = {r["record_id"]: r["feed"] for r in stands}
    person = {r["record_id"]: r["person_id"] for r in stands}
    assert len(found) > 20
    assert all({feed[p["left"]], feed[p["right"]]} == {"police_records", "da_cases"} for p in found)
    assert sum(person[p["left"]] == person[p["right"]] for p in found) > 0.9 * len(found)
    unsealed = {
        f: {t: v for t, v in tables.items() if t != "dispositions"} for f, tables in versions.items()
    }
    assert joined(site, unsealed, base["night"]) == found, "the register remembers what is sealed"
    shutil.rmtree(site.settings.var / "seals")
    assert len(joined(site, unsealed, base["night"])) > len(found)


def joined(site, versions, night):
    made = (numbers.of_feed(site, feed, held, night) for feed, held in versions.items())
    return numbers.joined(site, [site.lake.write_tokens("tried", table) for table in made])
