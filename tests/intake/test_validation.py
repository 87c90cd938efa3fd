"""May this row enter? Each row is accepted, or refused for its own reasons and no others."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, date, datetime

import pandera.config
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.intake import mapping, validation
from leadhub.intake.mapping import Mapped
from leadhub.intake.tabular import FAULTS
from schemas import contract, police

MODELS = {"persons": police.Persons, "arrests": police.Arrests, "charges": police.Charges}
FACTS = {t: contract.facts(m) for t, m in MODELS.items()}
WHEN = datetime(2026, 11, 20, tzinfo=UTC)
PERSON = {
    "person_no": "P1",
    "last_name": "Zyxquorbel",
    "first_name": "Anna",
    "date_of_birth": date(1980, 1, 2),
    "sex": "F",
    "race_ethnicity": "WHITE",
    "race_source": "RECORD",
    "zip": "12207",
    "updated_at": WHEN,
}
ARREST = {
    "arrest_no": "A-1",
    "person_no": "P1",
    "arrested_at": WHEN,
    "arrest_type": "SUMMONED_CITED",
    "arrest_ori": "NY0010000",
    "diverted": False,
    "updated_at": WHEN,
}
CHARGE = {
    "arrest_no": "A-1",
    "charge_seq": 1,
    "law_code": "PL 220.03",
    "law_category": "M",
    "nibrs": "35A",
    "counts": 1,
    "updated_at": WHEN,
}


def rows(table: str, base: dict, *changes: dict, faults=(), read: int | None = None) -> Mapped:
    schema = {c.name: mapping.DTYPES[c.type] for c in FACTS[table].columns}
    data = [{name: {**base, **c}.get(name) for name in schema} for c in changes]
    frame = pl.DataFrame(data, schema=schema).insert_column(
        0, pl.Series("_row", range(2, len(data) + 2), pl.Int32)
    )
    return Mapped(
        frame, pl.DataFrame(list(faults), FAULTS, orient="row"), len(data) if read is None else read
    )


def judge(
    mapped: dict[str, Mapped], keys: dict[str, pa.Table] | None = None
) -> dict[str, validation.Judged]:
    return validation.judge(mapped, MODELS, FACTS, keys or {})


def persons(*changes: dict, **more) -> validation.Judged:
    return judge({"persons": rows("persons", PERSON, *changes, **more)})["persons"]


def refused(result: validation.Judged) -> list[tuple]:
    return list(zip(*result.refused.to_pydict().values()))


@pytest.mark.parametrize(
    ("change", "column", "reason"),
    [
        ({"last_name": None}, "last_name", "missing_value"),
        ({"sex": "Q"}, "sex", "unknown_code"),
        ({"zip": "1220"}, "zip", "bad_format"),
        ({"date_of_birth": date(2027, 1, 1)}, "date_of_birth", "rule:not_in_the_future"),
        ({"date_of_birth": date(1903, 1, 1)}, "date_of_birth", "rule:age_at_most_120"),
    ],
)
def test_a_row_is_refused_for_its_reason(change, column, reason):
    result = persons({}, {"person_no": "P2", **change})
    assert refused(result) == [(3, column, reason)]
    assert result.accepted["person_no"].to_pylist() == ["P1"]


def test_numbers_out_of_range_and_ids_too_short():
    parents = {"arrests": pa.table({"arrest_no": ["A-1", "A"]})}
    mapped = rows("charges", CHARGE, {}, {"charge_seq": 0}, {"charge_seq": 100}, {"arrest_no": "A"})
    result = judge({"charges": mapped}, parents)["charges"]
    assert refused(result) == [
        (3, "charge_seq", "out_of_range"),
        (4, "charge_seq", "out_of_range"),
        (5, "arrest_no", "bad_format"),
    ]


def test_several_faults_of_a_row_are_all_told():
    result = persons({"sex": "Q", "zip": "x", "last_name": None})
    assert refused(result) == [
        (2, "last_name", "missing_value"),
        (2, "sex", "unknown_code"),
        (2, "zip", "bad_format"),
    ]
    assert result.refused_rows == 1


def test_what_follows_from_a_fault_is_not_told_again():
    faults = [(2, "updated_at", "unparsable_timestamp"), (2, "last_name", "bad_format")]
    change = {"updated_at": None, "last_name": None, "sex": "Q", "date_of_birth": date(2090, 1, 1)}
    assert refused(persons(change, faults=faults)) == [
        (2, "last_name", "bad_format"),
        (2, "sex", "unknown_code"),
        (2, "updated_at", "unparsable_timestamp"),
    ]


def test_a_rule_is_not_asked_of_a_row_whose_cells_were_emptied():
    keys = {"persons": pa.table({"person_no": ["P1"]})}
    change = {"diverted": None, "charges_held_until": date(2026, 12, 1)}
    rule = (2, "charges_held_until", "rule:only_where_diverted")
    missing = judge({"arrests": rows("arrests", ARREST, change)}, keys)["arrests"]
    assert refused(missing) == [rule, (2, "diverted", "missing_value")]
    fault = (2, "diverted", "unparsable_boolean")
    unread = judge({"arrests": rows("arrests", ARREST, change, faults=[fault])}, keys)["arrests"]
    assert refused(unread) == [fault]


def test_g3_rows_that_never_reached_the_frame_count_as_refused():
    result = persons({}, faults=[(3, None, "wrong_field_count"), (4, None, "wrong_field_count")], read=3)
    assert (result.read, result.accepted.num_rows, result.refused_rows) == (3, 1, 2)


@pytest.mark.parametrize("read", [0, 1, 3])
def test_g3_a_row_that_is_neither_accepted_nor_refused_stops_the_drop(read):
    with pytest.raises(TerminalError) as caught:
        persons({}, {"person_no": "P2"}, read=read)
    assert caught.value.reason == "counts_differ"


def test_of_identical_rows_one_is_kept_of_differing_ones_none():
    result = persons(
        {}, {}, {"person_no": "P2"}, {"person_no": "P2", "city": "Troy"}, {"person_no": "P3"}, {}
    )
    assert result.accepted["_row"].to_pylist() == [2, 6]
    assert refused(result) == [(r, "person_no", "duplicate_key") for r in (3, 4, 5, 7)]


def test_a_row_with_an_emptied_cell_is_identical_to_none():
    result = persons({}, {}, faults=[(3, "city", "control_character")])
    assert refused(result) == [
        (2, "person_no", "duplicate_key"),
        (3, "city", "control_character"),
        (3, "person_no", "duplicate_key"),
    ]


def test_a_key_of_several_columns_repeats_only_as_a_whole():
    parents = {"arrests": pa.table({"arrest_no": ["A-1", "A-2"]})}
    changes = ({}, {"charge_seq": 2}, {"arrest_no": "A-2"}, {"charge_seq": 2, "nibrs": "35B"})
    result = judge({"charges": rows("charges", CHARGE, *changes)}, parents)["charges"]
    assert refused(result) == [(3, "arrest_no", "duplicate_key"), (5, "arrest_no", "duplicate_key")]


def test_a_reference_goes_to_what_the_source_holds_not_to_what_was_accepted():
    mapped = {
        "persons": rows("persons", PERSON, {"sex": "Q"}),
        "arrests": rows(
            "arrests",
            ARREST,
            {},
            {"arrest_no": "A-2", "person_no": "P9"},
            {"arrest_no": "A-3", "person_no": "p1"},
            {"arrest_no": "A-4", "person_no": "P7"},
        ),
    }
    keys = {"persons": pa.table({"person_no": ["P7"]})}
    result = judge(mapped, keys)
    assert result["persons"].accepted.num_rows == 0
    assert refused(result["arrests"]) == [
        (3, "person_no", "reference_missing"),
        (4, "person_no", "reference_missing"),
    ]


def test_a_reference_to_a_table_that_nobody_gave_is_not_waved_through():
    with pytest.raises(TerminalError) as caught:
        judge({"arrests": rows("arrests", ARREST, {})})
    assert caught.value.reason == "incomplete_drop"


def test_f53_a_frame_that_is_not_the_contracts_stops_without_a_value():
    mapped = rows("persons", PERSON, {})
    wrong = Mapped(mapped.frame.with_columns(pl.lit("Zyxquorbel").alias("zip2")), mapped.faults, 1)
    with pytest.raises(TerminalError) as caught:
        judge({"persons": wrong})
    assert caught.value.reason == "schema_drift"
    assert "Zyxquorbel" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_an_empty_table_is_judged():
    result = persons()
    assert (result.read, result.accepted.num_rows, result.refused.num_rows) == (0, 0, 0)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "person_no": st.sampled_from(["P1", "P2", "P3", None]),
        "sex": st.sampled_from(["F", "Q", None]),
        "zip": st.sampled_from(["12207", "x", None]),
        "date_of_birth": st.sampled_from([None, date(1900, 5, 5), date(2030, 1, 1), date(1990, 1, 1)]),
        "updated_at": st.sampled_from([WHEN, None]),
    },
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CHANGES, max_size=6))
def test_g3_every_row_is_accepted_or_refused_never_both(changes):
    result = persons(*changes)
    accepted = result.accepted["_row"].to_pylist()
    turned_away = set(result.refused["row"].to_pylist())
    assert sorted([*accepted, *turned_away]) == list(range(2, len(changes) + 2))
    kept = result.accepted["person_no"].to_pylist()
    assert len(set(kept)) == len(kept)


def share(*counts: tuple[int, int]) -> float:
    judged = {
        f"t{i}": validation.Judged(pa.table({"_row": range(read - bad)}), pa.table({}), read)
        for i, (bad, read) in enumerate(counts)
    }
    return validation.refused_share(judged)


def test_the_refused_share_is_that_of_the_drop_or_of_its_worst_table_of_note():
    assert share((0, 0)) == 0
    assert share((1, 10), (0, 90)) == pytest.approx(0.01)
    assert share((60, 60), (0, 9_940)) == 1.0


def test_f13_too_many_refused_rows_stop_the_drop():
    judged = {"persons": persons({}, {"person_no": "P2", "sex": "Q"})}
    validation.check_share(judged, 0.5)
    with pytest.raises(TerminalError) as caught:
        validation.check_share(judged, 0.49)
    assert caught.value.reason == "too_many_refused"


@pytest.mark.parametrize(
    "switch",
    [{"validation_enabled": False}, {"validation_depth": pandera.config.ValidationDepth.SCHEMA_ONLY}],
    ids=["off", "schema_only"],
)
def test_f43_a_validator_that_sleeps_is_found_out(switch):
    with pandera.config.config_context(**switch), pytest.raises(TerminalError) as caught:
        persons({"sex": "Q"})
    assert caught.value.reason == "validator_disabled"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PANDERA_VALIDATION_ENABLED", "yes"), ("PANDERA_VALIDATION_DEPTH", "SCHEMA_ONLY")],
)
def test_f43_a_validator_that_the_environment_switched_off_is_found_out(variable, value):
    code = (
        "from leadhub.intake import validation\n"
        "from leadhub.foundation.errors import TerminalError\n"
        "try:\n    validation.check_validator()\n"
        "except TerminalError as error:\n    print(error.reason)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={variable: value}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "validator_disabled"


def test_no_value_in_repr():
    assert "Zyxquorbel" not in repr(persons({}, {"sex": "Q"}))
