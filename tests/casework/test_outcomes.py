"""The counter of sealed outcomes: right, once, and silent about few."""

from collections import Counter

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from leadhub.casework import outcomes
from leadhub.casework.frames import Frames
from tests.casework.desk import DA, NIGHT, ZONE, Desk


def count(desk: Desk, *cases: str) -> list[dict]:
    frames = Frames.of(desk.inputs(), night=NIGHT, time_zone=ZONE)
    sealed = pl.DataFrame(
        {"feed": [DA] * len(cases), "da_case_no": [f"s1:da/C{c}" for c in cases]},
        {"feed": pl.String, "da_case_no": pl.String},
    )
    return outcomes.counted(frames, sealed).to_dicts()


def test_each_sealed_case_counts_by_the_office_s_last_word():
    desk = Desk()
    for n in "12":
        desk.referred(n, f"p{n}").case(n, f"p{n}").disposed(n, "DISMISSED", "2026-11-01")
    desk.case("3", "p3", arrest_no="A3").decided("3", "DECLINED", "2025-10-12")
    desk.case("4", "p4", arrest_no="A4").disposed("4", "PLEA", "2026-11-01")
    found = count(desk, "1", "2", "3")
    assert found == [
        {"year": 2025, "referred": False, "outcome": "DECLINED", "cases": 1},
        {"year": 2026, "referred": True, "outcome": "DISMISSED", "cases": 2},
    ]


def test_what_is_dated_later_has_not_happened_and_nothing_is_made_of_silence():
    desk = Desk().referred("1").case("1").disposed("1", "DISMISSED", "2026-12-24")
    assert count(desk, "1") == []
    assert count(desk) == []


CELLS = ("2026|referred|DISMISSED", "2026|not_referred|ACQUITTED")


@given(st.lists(st.tuples(st.sampled_from(CELLS), st.integers(1, 4))))
def test_law_two_looks_at_outcomes_differ_by_nothing_or_by_eleven_cases_or_more(nights):
    told, now = {}, Counter()
    for cell, cases in nights:
        now[cell] += cases
        before, told = told, outcomes.shown(told, now)
        moved = sum(told.values()) - sum(before.values())
        assert moved == 0 or moved >= outcomes.SHOWN_FROM
        assert told in (before, now)
    assert sum(now.values()) - sum(told.values()) < outcomes.SHOWN_FROM
