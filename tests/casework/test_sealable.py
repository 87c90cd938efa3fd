"""What should be sealed and is not, by the rules of sealable.yaml."""

import pytest

from leadhub.casework import sealable
from leadhub.casework.frames import Frames
from leadhub.foundation.errors import TerminalError
from schemas import codes
from tests.casework.desk import NIGHT, ZONE, Desk, day


def due(desk: Desk) -> list[tuple[str, str, str]]:
    frames = Frames.of(desk.inputs(), night=NIGHT, time_zone=ZONE)
    rows = sealable.due(frames, sealable.load()).to_dicts()
    return [(r["da_case_no"].rpartition("/")[2], r["rule"], r["due_on"].isoformat()) for r in rows]


def case(*, filed: str | None = None, category: str = "M") -> Desk:
    desk = Desk().referred("1").case("1")
    desk.rows["da", "charges"][0] |= {"filed_on": day(filed), "law_category": category}
    return desk


def test_a_charge_declined_before_it_was_filed():
    expected = ("C1", "declined_before_filing", "2026-10-20")
    assert due(case().decided("1", "DECLINED", "2026-10-20")) == [expected]
    assert due(case(filed="2026-10-05").decided("1", "DECLINED", "2026-10-20")) == []


@pytest.mark.parametrize(
    ("disposition", "on", "category", "expected"),
    [
        ("DISMISSED", "2026-11-10", "M", "dismissed"),
        ("ACQUITTED", "2026-11-10", "F", "dismissed"),
        ("DECLINED", "2026-11-10", "F", "declined"),
        ("ACD", "2026-05-20", "M", "acd_ended"),
        ("ACD", "2026-05-21", "M", None),
        ("ADJ_YO", "2026-11-10", "F", "youthful_offender"),
        ("PLEA", "2023-11-20", "M", "clean_slate_misdemeanour"),
        ("PLEA", "2023-11-21", "M", None),
        ("CONVICTED_TRIAL", "2018-11-20", "F", "clean_slate_felony"),
        ("CONVICTED_TRIAL", "2023-11-20", "F", None),
        ("PLEA", "2010-01-01", "V", None),
        ("TRANSFERRED", "2026-11-10", "M", None),
    ],
)
def test_rules_and_clocks(disposition, on, category, expected):
    desk = case(filed="2010-01-01", category=category).disposed("1", disposition, on)
    assert [rule for _, rule, _ in due(desk)] == ([expected] if expected else [])


def test_what_is_sealed_is_not_due_and_the_longest_due_comes_first():
    desk = Desk()
    for n, on in (("1", "2026-11-10"), ("2", "2026-11-01"), ("3", "2026-10-01")):
        desk.referred(n, n).case(n, n).disposed(n, "DISMISSED", on, "CPL_160_50" if n == "3" else None)
    assert [number for number, *_ in due(desk)] == ["C2", "C1"]


def test_each_rule_names_codes_of_the_feed_and_its_source():
    rules = sealable.load()
    assert len({r.id for r in rules}) == len(rules)
    for rule in rules:
        assert bool(rule.decision) != bool(rule.disposition)
        assert set(rule.decision) <= set(codes.DA_DECISION)
        assert set(rule.disposition) <= set(codes.DISPOSITION)
        assert set(rule.law_category) <= set(codes.LAW_CATEGORY)
        assert rule.provision in codes.SEAL_TYPE
        assert rule.citation.startswith("CPL")


def test_a_rule_file_that_is_wrong_is_named(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("rules: [{id: a, after_months: -1, provision: X, citation: Y, standing: guessed}]")
    with pytest.raises(TerminalError, match=r"mine.yaml.*after_months"):
        sealable.load(path)
