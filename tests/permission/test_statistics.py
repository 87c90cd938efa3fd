"""When a quarter is counted, and what a policy of counts cannot say."""

from datetime import date

import pytest
import yaml

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY
from leadhub.intake import feeds
from leadhub.permission import statistics
from schemas import releases

FOLDER = REPOSITORY / "agreements"
HELD = {p.stem: statistics.load(FOLDER, p.stem) for p in (FOLDER / "statistics").glob("*.yaml")}


def names(as_of: str, **facts) -> list[str]:
    held = HELD["referred_persons"].model_copy(update=facts)
    return [period.name for period in held.closed(date.fromisoformat(as_of))]


def test_each_is_about_a_dataset_and_feeds_that_are_there():
    known = feeds.load_all(REPOSITORY / "feeds")
    assert HELD.keys() <= releases.RELEASES.keys()
    for held in HELD.values():
        assert set(held.inputs) <= known.keys()
        assert all(known[feed].contract != "provider" for feed in held.inputs)


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        ("2026-04-29", []),
        ("2026-04-30", ["2026Q1"]),
        ("2026-11-23", ["2026Q1", "2026Q2", "2026Q3"]),
        ("2027-01-29", ["2026Q1", "2026Q2", "2026Q3"]),
        ("2027-01-30", ["2026Q1", "2026Q2", "2026Q3", "2026Q4"]),
    ],
)
def test_a_quarter_is_counted_once_what_came_late_is_there(as_of, expected):
    assert names(as_of) == expected


def test_a_quarter_that_began_before_is_never_counted():
    assert names("2026-11-23", begins=date(2026, 4, 2)) == ["2026Q3"]


def test_quarters_neither_overlap_nor_leave_a_day_out():
    periods = HELD["referred_persons"].closed(date(2031, 1, 1))
    days = [p.last.toordinal() + 1 for p in periods[:-1]]
    assert days == [p.first.toordinal() for p in periods[1:]]
    assert (periods[0].first, periods[3].last) == (date(2026, 1, 1), date(2026, 12, 31))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"shown_from": 10}, "shown_from"),
        ({"closes_after_days": 0}, "closes_after_days"),
        ({"dataset": "another"}, "named after"),
        ({"period": "WEEK"}, "period"),
    ],
)
def test_a_weaker_policy_is_refused(tmp_path, changed, said):
    (tmp_path / "statistics").mkdir()
    facts = yaml.safe_load((FOLDER / "statistics" / "referred_persons.yaml").read_text()) | changed
    (tmp_path / "statistics" / "referred_persons.yaml").write_text(yaml.safe_dump(facts))
    with pytest.raises(TerminalError, match="agreement_invalid") as caught:
        statistics.load(tmp_path, "referred_persons")
    assert said in caught.value.message
