"""Great Expectations judges the night: what it stops, what it must not stop, and what it must not tell."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY
from leadhub.intake import feeds, plausibility
from leadhub.intake.plausibility import Verdict
from schemas import da, disputes, police, provider
from schemas.contract import facts, tables_of

NIGHT = "2026-11-20"
CANARY = "Quetzalhammer"
SUITES = REPOSITORY / "expectations"
CONTRACTS = {
    "police_records": police,
    "da_cases": da,
    "harbor_case_management": provider,
    "riverside_treatment": provider,
    "da_disputes": disputes,
}


def arrests(count: int, *, when: datetime = datetime(2026, 11, 19, 8, tzinfo=UTC)) -> pl.DataFrame:
    row = pl.int_range(count, eager=True)
    return pl.DataFrame(
        {
            "arrest_no": "A" + row.cast(pl.String),
            "cjtn": CANARY,
            "arrested_at": [when] * count,
            "arrest_type": pl.Series(["ON_VIEW_ARREST", "SUMMONED_CITED"] * count)[:count],
            "diverted": row % 2 == 0,
            "updated_at": [when] * count,
        },
        schema_overrides={"arrested_at": pl.Datetime("us", "UTC"), "updated_at": pl.Datetime("us", "UTC")},
    )


def keys(count: int) -> pl.DataFrame:
    return pl.DataFrame({"arrest_no": [f"A{i}" for i in range(count)]}, schema={"arrest_no": pl.String})


def judge(tables: dict[str, pl.DataFrame], parameters: dict[str, float] | None = None) -> Verdict:
    return plausibility.judge(SUITES, "police_records", tables, parameters or {}, night=NIGHT)


def outcomes(verdict: Verdict) -> dict[str, int]:
    found = [r.outcome for r in verdict.results]
    return {outcome: found.count(outcome) for outcome in set(found)}


def own_suite(folder: Path, **expectation: object) -> Path:
    complete = {"type": "expect_column_max_to_be_between", "kwargs": {}, "meta": {"rule": "A rule"}}
    suite = {"name": "a_feed.arrests", "expectations": [{**complete, **expectation}]}
    path = folder / "a_feed" / "arrests.json"
    path.parent.mkdir()
    path.write_text(json.dumps(suite))
    return path


# what is judged ---------------------------------------------------------------------------------------


def test_a_usual_night_is_plausible():
    verdict = judge({"arrests": arrests(400), "arrests.keys": keys(400)})
    assert verdict.success
    assert outcomes(verdict) == {"passed": len(verdict.results)}
    assert verdict.rows == {"arrests": 400, "arrests.keys": 400}


def test_an_implausible_batch_is_stopped_by_the_rule_that_it_breaks():
    stale = arrests(400, when=datetime(2026, 5, 1, tzinfo=UTC)).with_columns(
        arrest_type=pl.lit("ON_VIEW_ARREST"), diverted=pl.lit(True), cjtn=pl.lit(None, pl.String)
    )
    verdict = judge({"arrests": stale})
    assert not verdict.success
    assert {(r.column, r.outcome) for r in verdict.results if not r.success} == {
        ("arrest_type", "failed"),
        ("cjtn", "failed"),
        ("diverted", "failed"),
        ("arrested_at", "failed"),
    }


def test_rows_from_the_future_are_tolerated_singly_and_not_in_numbers():
    future = datetime(2027, 3, 1, tzinfo=UTC)
    one = pl.concat([arrests(400), arrests(1, when=future)])
    many = pl.concat([arrests(400), arrests(100, when=future)])
    assert judge({"arrests": one}).success
    assert not judge({"arrests": many}).success


@pytest.mark.parametrize("count", [0, 1, 199])
def test_a_quiet_night_is_not_held_against_the_agency(count: int):
    """Few rows say nothing about shares; none of them would pass if it were asked."""
    few = arrests(count, when=datetime(2030, 1, 1, tzinfo=UTC)).with_columns(diverted=pl.lit(True))
    verdict = judge({"arrests": few, "arrests.keys": keys(400)})
    assert verdict.success
    assert outcomes(verdict) == {"not_asked": len(verdict.results) - 1, "passed": 1}


def test_f11_a_source_that_lost_its_rows_is_stopped():
    bounds = plausibility.volume_parameters([{"arrests": n} for n in (390, 400, 401)])
    assert judge({"arrests.keys": keys(402)}, bounds).success
    assert not judge({"arrests.keys": keys(200)}, bounds).success
    assert not judge({"arrests.keys": keys(0)}, bounds).success
    assert not judge({"arrests.keys": keys(1000)}, bounds).success


def test_the_first_night_has_wide_bounds():
    assert judge({"arrests.keys": keys(0)}).success
    assert judge({"arrests.keys": keys(5000)}).success


def test_an_expectation_that_raised_is_told_apart(tmp_path: Path):
    own_suite(tmp_path, kwargs={"column": "cjtn", "min_value": 3})
    verdict = plausibility.judge(tmp_path, "a_feed", {"arrests": arrests(3)}, {}, night=NIGHT)
    assert [r.outcome for r in verdict.results] == ["raised"]
    assert verdict.results[0].error
    assert not verdict.success
    own = tmp_path / "other"
    own.mkdir()
    own_suite(own, kwargs={"column": "absent", "min_value": 3})
    verdict = plausibility.judge(own, "a_feed", {"arrests": arrests(3)}, {}, night=NIGHT)
    assert [r.outcome for r in verdict.results] == ["raised"]


# volume -----------------------------------------------------------------------------------------------


def test_volume_follows_the_median_of_the_last_nights():
    history = [{"arrests": 9_000_000}] * 5 + [{"arrests": 1000}] * 14
    assert plausibility.volume_parameters(history) == {"arrests_rows_min": 800, "arrests_rows_max": 1500}
    assert plausibility.volume_parameters([]) == {}


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_a_night_like_every_other_is_always_plausible(counts: list[int]):
    usual = counts[-1]
    bounds = plausibility.volume_parameters([{"t": c} for c in [*counts, *[usual] * 14]])
    assert bounds["t_rows_min"] <= usual <= bounds["t_rows_max"]
    assert bounds["t_rows_min"] >= min(usual, 1)


# F44: the suite itself --------------------------------------------------------------------------------


def refused(folder: Path, frame: pl.DataFrame | None = None) -> str:
    frame = arrests(3) if frame is None else frame
    with pytest.raises(TerminalError) as caught:
        plausibility.judge(folder, "a_feed", {"arrests": frame}, {}, night=NIGHT)
    assert caught.value.reason == "suite_invalid"
    return caught.value.message


def test_f44_missing_suite(tmp_path: Path):
    assert "missing" in refused(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b'{"name": "a_feed.arrests"}',
        b'{"name": "a_feed.arrests", "expectations": []}',
        b'{"name": "a_feed.arrests", "expectations": {}}',
    ],
)
def test_f44_empty_or_corrupt_suite(tmp_path: Path, content: bytes):
    own_suite(tmp_path).write_bytes(content)
    refused(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"type": "expect_nonsense"}, "does not know"),
        ({"kwargs": {"colum": "cjtn"}}, "not accepted"),
        ({"kwargs": {"column": "cjtn", "min_value": {"$PARAMETER": "nobody"}}}, "nobody"),
        ({"kwargs": {"column": "cjtn", "result_format": "COMPLETE"}}, "result_format"),
        ({"kwargs": {"column": 3}}, "text"),
        ({"meta": {}}, "rule"),
        ({"meta": {"rule": "A rule", "minimum_rows": "many"}}, "minimum_rows"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_f44_suite_that_says_what_nobody_understands(tmp_path: Path, change: dict, told: str):
    own_suite(tmp_path, **change)
    assert told in refused(tmp_path)


def test_f44_suite_of_another_table(tmp_path: Path):
    path = own_suite(tmp_path, kwargs={"column": "cjtn"})
    path.rename(path.with_name("charges.json"))
    with pytest.raises(TerminalError, match="is not named"):
        plausibility.judge(tmp_path, "a_feed", {"charges": arrests(3)}, {}, night=NIGHT)


def test_f44_nothing_to_judge():
    with pytest.raises(TerminalError, match="suite_invalid"):
        judge({})


def test_f44_an_answer_that_is_left_out_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from great_expectations.datasource.fluent.interfaces import Batch

    own_suite(tmp_path, kwargs={"column": "diverted"})
    validate = Batch.validate

    def forgetful(*arguments, **named):
        told = validate(*arguments, **named)
        told.results.clear()
        return told

    monkeypatch.setattr(Batch, "validate", forgetful)
    assert "answered 0" in refused(tmp_path)


# every suite of the repository ------------------------------------------------------------------------


def test_every_table_of_every_feed_has_its_two_suites():
    there = {p.relative_to(SUITES).as_posix() for p in SUITES.glob("*/*.json")}
    wanted = {
        f"{feed}/{table}{kind}.json"
        for feed, module in CONTRACTS.items()
        for table in tables_of(module)
        for kind in ("", ".keys")
    }
    assert there == wanted
    assert set(feeds.load_all(REPOSITORY / "feeds")) <= set(CONTRACTS)


@pytest.mark.parametrize("feed", CONTRACTS)
def test_every_suite_can_be_asked_of_its_contract(feed: str):
    """Rows that say nothing at all: whatever the answers are, no expectation raises."""
    types = {
        "string": pl.Series(["x", "y"] * 150),
        "integer": pl.Series([1, 2] * 150),
        "boolean": pl.Series([True, None, False] * 100),
        "date": pl.Series([datetime(2026, 11, 1).date(), None, None] * 100),
        "timestamp": pl.Series([datetime(2026, 11, 1, tzinfo=UTC)] * 300, dtype=pl.Datetime("us", "UTC")),
    }
    tables = {}
    for table, model in tables_of(CONTRACTS[feed]).items():
        given_facts = facts(model)
        tables[table] = pl.DataFrame({c.name: types[c.type] for c in given_facts.columns})
        tables[f"{table}.keys"] = tables[table].select(given_facts.key[0])
    verdict = plausibility.judge(SUITES, feed, tables, {}, night=NIGHT)
    assert [r for r in verdict.results if r.outcome in ("raised", "not_asked")] == []


# G10: no values ---------------------------------------------------------------------------------------


def canaries(count: int = 400) -> pl.DataFrame:
    return arrests(count).with_columns(arrest_type=pl.lit(CANARY), cjtn=pl.lit(CANARY))


def test_g10_no_value_in_verdict_page_or_log(tmp_path: Path, caplog, capfd, recwarn):
    own_suite(tmp_path, kwargs={"column": "cjtn", "min_value": 3})
    with caplog.at_level(logging.DEBUG):
        failed = judge({"arrests": canaries()})
        raised = plausibility.judge(tmp_path, "a_feed", {"arrests": canaries()}, {}, night=NIGHT)
        plausibility.render(failed, tmp_path / "page.html", title="Police", night=NIGHT)
    assert not failed.success
    assert not raised.success
    told = [
        repr(failed),
        repr(raised),
        (tmp_path / "page.html").read_text(),
        caplog.text,
        *capfd.readouterr(),
    ]
    assert not [text for text in [*told, *(str(w.message) for w in recwarn)] if CANARY in text]


def test_the_page_is_self_contained_escaped_and_says_what_is_wrong(tmp_path: Path):
    verdict = judge({"arrests": canaries(), "arrests.keys": keys(400)}, {"arrests_rows_min": 1000})
    path = tmp_path / "reports" / "page.html"
    plausibility.render(verdict, path, title="<script>alert(1)</script>", night=NIGHT)
    page = path.read_text()
    assert "not plausible: the batch was stopped" in page
    assert "More than one kind of arrest occurs" in page
    assert "1,000" in page
    assert "<script" not in page
    assert not re.search(r"https?://|src=|href=|@import|url\(", page)


def test_the_page_of_a_good_night(tmp_path: Path):
    plausibility.render(judge({"arrests": arrests(400)}), tmp_path / "p.html", title="Police", night=NIGHT)
    page = (tmp_path / "p.html").read_text()
    assert "This night is plausible" in page
    assert 'class="verdict"' in page
