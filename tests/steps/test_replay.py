"""Do decisions hold, and does linking anew give the night's persons?"""

import polars as pl

from leadhub.identity import keyed
from leadhub.identity.tokens import NYSID_COLUMN
from leadhub.steps import replay, review
from tests.steps.test_linking import Hub, county


def test_decisions_that_hold_and_those_that_cannot(tmp_path):
    hub, tables = Hub(tmp_path / "var"), county("tokens", 0.1)
    hub.night(tables)
    numbers = pl.concat(
        [pl.DataFrame(pl.from_arrow(t)).select("record_id", NYSID_COLUMN) for t in tables.values()]
    )
    number = dict(numbers.iter_rows())
    linked = review.pairs(hub.site, ("linked",)).to_dicts()
    of_two = next(
        p
        for p in review.pairs(hub.site, ("conflict",)).to_dicts()
        if number[p["left"]] and number[p["right"]] and number[p["left"]] != number[p["right"]]
    )
    for pair, verdict in ((linked[0], "two"), (of_two, "one")):
        review.decide(hub.site, pair["pair"], verdict, by="steward", why="two files")
    assert replay.check(hub.site) == {
        "night": "2026-11-01",
        "decisions": 0,
        "waiting": 2,
        "broken": [],
        "replayed": True,
    }
    hub.night(tables)
    found = replay.check(hub.site)
    assert (found["decisions"], found["waiting"], found["replayed"]) == (2, 0, True)
    [broken] = found["broken"]
    assert (broken["pair"], broken["reason"]) == (of_two["pair"], "their records have different NYSIDs")


def test_persons_that_linking_would_not_give_are_told(tmp_path):
    hub = Hub(tmp_path / "var")
    hub.night(county("tokens", 0.1))
    lake, night = hub.site.lake, hub.site.lake.nights()[-1]
    rows = pl.DataFrame(pl.from_arrow(hub.read("crosswalk")))
    one, other = rows["person_id"].unique().sort()[:2]
    wrong = rows.with_columns(person_id=pl.col("person_id").replace(other, one))
    manifest = lake.night(night)
    manifest["tables"]["crosswalk"] = lake.write("crosswalk", keyed.to_arrow(wrong))
    lake.commit_night("2026-11-02", manifest | {"night": "2026-11-02"})
    assert replay.check(hub.site)["replayed"] is False
