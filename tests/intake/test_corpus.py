"""Each bad input is refused for its stated reason, each sound oddity passes, and no value is ever told."""

from __future__ import annotations

import runpy
import tomllib
import traceback
from pathlib import Path

import pytest

from leadhub.foundation.errors import TerminalError
from leadhub.intake import acknowledgement, mapping, tabular, validation
from leadhub.intake.feeds import Feed, TableMapping
from leadhub.intake.landing import Drop, Member
from schemas import contract, da, police, provider

FOLDER = Path(__file__).parent / "corpus"
MADE = runpy.run_path(str(FOLDER / "generate.py"))
CASES, CANARIES = MADE["CASES"], MADE["CANARIES"]
TOLD = tomllib.loads((FOLDER / "corpus.toml").read_text(encoding="utf-8"))
EXPECTED = {
    **{name: {"level": "none", **case} for name, case in TOLD["none"].items()},
    **{name: {"level": "row", **case} for name, case in TOLD["row"].items()},
    **{
        name: {"level": "file", "reason": reason, **case}
        for reason, cases in TOLD["file"].items()
        for name, case in cases.items()
    },
}


def kind(name: str) -> tuple[str, type]:
    if name.startswith("json_"):
        return "jsonl", da.Defendants
    if name.startswith(("db_", "person_")):
        return "arrow", police.Persons
    return "csv", provider.Clients


def take(name: str) -> dict[str, validation.Judged]:
    form, model = kind(name)
    facts = contract.facts(model)
    table = TableMapping(source=facts.name, columns={c.name: c.name for c in facts.columns})
    options = {k: EXPECTED[name][k] for k in ("delimiter", "encoding") if k in EXPECTED[name]}
    parsed = tabular.parse(CASES[name], form, name=f"{name}.csv", **options)
    mapped = {facts.name: mapping.apply(parsed, facts, table, name=f"{name}.csv")}
    return validation.judge(mapped, {facts.name: model}, {facts.name: facts}, {})


def reports(name: str, judged: dict[str, validation.Judged] | None, error: TerminalError | None) -> str:
    form, model = kind(name)
    facts = contract.facts(model)
    member = Member(f"{name}.csv", facts.name, "rows", form, "0" * 64, 1)
    drop = Drop("feed_of_test", "2026-11-20", "d1", "full", 1, (member,), "2026-11-20T04:00:00Z")
    columns = {c.name: c.name for c in facts.columns}
    feed = Feed(
        id="feed_of_test",
        title="Feed of the test",
        agency="agency_of_test",
        connector="sql",
        connection="none",
        contract="none",
        tables={facts.name: TableMapping(source=facts.name, columns=columns)},
    )
    told = acknowledgement.acknowledgement(
        feed=feed.id,
        night=drop.night,
        status="refused" if error else "landed",
        names=[member.name],
        drop=drop,
        judged=judged,
        reason=error.reason if error else None,
        detail=error.message if error else "",
    )
    report = acknowledgement.rejection_report(feed, drop, judged) if judged else b""
    return (told + report).decode() + repr(judged)


def test_every_case_has_an_expectation_and_every_expectation_a_case():
    assert set(CASES) == set(EXPECTED)
    assert len(EXPECTED) == sum(map(len, (TOLD["none"], TOLD["row"], *TOLD["file"].values())))


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_f40_case_is_refused_for_its_stated_reason_or_passes(name):
    expected = EXPECTED[name]
    judged, error, trace = None, None, ""
    try:
        judged = take(name)
    except TerminalError as caught:
        error, trace = caught, traceback.format_exc()
    if expected["level"] == "file":
        assert error is not None
        assert error.reason == expected["reason"]
    else:
        assert error is None, trace
        (result,) = judged.values()
        found = [
            [row, column or "", reason] for row, column, reason in zip(*result.refused.to_pydict().values())
        ]
        assert found == expected.get("refused", [])
        assert result.accepted.num_rows == expected["accepted"]
    told = trace + reports(name, judged, error)
    # a header that is missing leaves data in the header's place: the hardest case
    assert [c for c in CANARIES if c in told] == []


def test_g5_surname_null_is_a_surname():
    (result,) = take("surname_null").values()
    assert "Null" in result.accepted["last_name"].to_pylist()


def test_g5_an_id_above_2_to_53_keeps_every_digit():
    (result,) = take("json_id_above_2_53").values()
    assert "9007199254740993" in result.accepted["defendant_id"].to_pylist()


def test_a_line_break_in_a_cell_makes_no_row():
    (result,) = take("line_break_in_quotes").values()
    assert result.accepted["_row"].to_pylist() == [2, 3, 4]
    assert result.accepted["address_line"].to_pylist()[1] == "12 Elm St\nApt 3"
