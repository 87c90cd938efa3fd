"""Agency columns and codes to contract columns and types: by stated rules, or not at all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import ColumnFacts, Protection, Sensitivity, TableFacts
from leadhub.intake import mapping
from leadhub.intake.feeds import TableMapping
from leadhub.intake.tabular import FAULTS, Parsed, parse
from schemas import contract, police


def column(name: str, type: str = "string", **facts) -> ColumnFacts:
    given = {"nullable": True, "sensitivity": Sensitivity.FACT, "protection": Protection.PUBLIC} | facts
    return ColumnFacts(name=name, type=type, description=name, **given)


TABLE = TableFacts(
    name="things",
    description="",
    key=("thing_id",),
    columns=(
        column("thing_id", nullable=False, sensitivity=Sensitivity.LOCAL_ID),
        column("last_name", kind="last_name"),
        column("phone", kind="phone"),
        column("sex", codes=("F", "M")),
        column("born", "date"),
        column("seen_at", "timestamp"),
        column("pieces", "integer"),
        column("open", "boolean"),
    ),
)
ALL = {c.name: c.name for c in TABLE.columns}


def cells(**given: list[str | None]) -> Parsed:
    length = len(next(iter(given.values())))
    columns = {name: given.get(name, [None] * length) for name in ALL}
    columns["thing_id"] = given.get("thing_id", [f"T{i}" for i in range(length)])
    arrays = {k: pa.array(v, pa.string()) for k, v in columns.items()}
    arrays["_row"] = pa.array(range(2, length + 2), pa.int32())
    return Parsed(pa.table(arrays), pl.DataFrame(schema=FAULTS), length)


def apply(parsed: Parsed, **facts) -> mapping.Mapped:
    return mapping.apply(parsed, TABLE, TableMapping(source="t", **{"columns": ALL, **facts}), name="t.csv")


def one(name: str, text: str, **facts) -> tuple[object, str | None]:
    """The value that `text` becomes in column `name`, and the fault."""
    mapped = apply(cells(**{name: [text]}), **facts)
    assert mapped.faults["column"].to_list() == [name] * mapped.faults.height
    return mapped.frame[name][0], next(iter(mapped.faults["reason"]), None)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("born", "2024-02-29", date(2024, 2, 29)),
        ("seen_at", "2026-11-20T03:00:00Z", datetime(2026, 11, 20, 3, tzinfo=UTC)),
        ("seen_at", "2026-11-20 03:00:00+00", datetime(2026, 11, 20, 3, tzinfo=UTC)),
        ("seen_at", "2026-11-01T01:30:00.5-05:00", datetime(2026, 11, 1, 6, 30, 0, 500_000, UTC)),
        ("seen_at", "2026-11-01T01:30:00-0400", datetime(2026, 11, 1, 5, 30, tzinfo=UTC)),
        ("pieces", "-12", -12),
        ("pieces", "007", 7),
        ("open", "Y", True),
        ("open", "f", False),
        ("open", "0", False),
        ("sex", "F", "F"),
        ("phone", "+1 (518) 555-0100", "+1 (518) 555-0100"),
        ("last_name", "'t Hooft", "'t Hooft"),
        ("last_name", "Null", "Null"),
        ("last_name", "d'Arc-O'Neil", "d'Arc-O'Neil"),
        ("thing_id", "12E4", "12E4"),
    ],
)
def test_sound_text_becomes_its_value(name, text, value):
    assert one(name, text) == (value, None)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("born", "2026-02-30", "unparsable_date"),
        ("born", "0000-00-00", "unparsable_date"),
        ("born", "2026-1-5", "unparsable_date"),
        ("born", "11/20/2026", "unparsable_date"),
        ("born", "2026-11-20T00:00:00Z", "unparsable_date"),
        ("born", "1900-01-01", "out_of_range"),
        ("born", "9999-12-31", "out_of_range"),
        ("seen_at", "2026-11-01T01:30:00", "unparsable_timestamp"),
        ("seen_at", "1763600523000", "unparsable_timestamp"),
        ("seen_at", "2026-11-20T24:00:00Z", "unparsable_timestamp"),
        ("seen_at", "2026-11-20T23:59:60Z", "unparsable_timestamp"),
        ("seen_at", "9999-12-31T00:00:00Z", "out_of_range"),
        ("pieces", "1.0", "unparsable_number"),
        ("pieces", "1e3", "unparsable_number"),
        ("pieces", "9" * 38, "unparsable_number"),
        ("pieces", "٣", "unparsable_number"),
        ("open", "yes", "unparsable_boolean"),
        ("open", "TRUE", "unparsable_boolean"),
        ("sex", "f", "unknown_code"),
        ("phone", "=1+1", "bad_format"),
        ("phone", "+cmd|' /C calc'!A0", "bad_format"),
        ("last_name", "-2+3", "bad_format"),
        ("last_name", "-", "bad_format"),
        ("last_name", "123", "bad_format"),
        ("thing_id", "1.23E+11", "bad_format"),
        ("thing_id", "#N/A", "bad_format"),
        ("thing_id", "4-Mar", "bad_format"),
    ],
)
def test_g5_unsound_text_is_refused_and_becomes_nothing(name, text, reason):
    assert one(name, text) == (None, reason)


def test_declared_formats_are_followed():
    assert one("born", "3/4/2026", formats={"born": "%m/%d/%Y"}) == (date(2026, 3, 4), None)
    assert one("born", "2026-03-04", formats={"born": "%m/%d/%Y"}) == (None, "unparsable_date")
    # a year of two digits is the year 26, and nobody here was born then
    assert one("born", "3/4/26", formats={"born": "%m/%d/%Y"}) == (None, "out_of_range")
    stated = {"seen_at": "%m/%d/%Y %H:%M %z"}
    assert one("seen_at", "11/20/2026 03:00 -0500", formats=stated)[0] == datetime(
        2026, 11, 20, 8, tzinfo=UTC
    )


def test_f13_codes_are_translated_and_unknown_ones_refused():
    codes = {"sex": {"1": "F", "2": "M"}, "open": {"ja": "Y"}}
    assert one("sex", "1", codes=codes) == ("F", None)
    assert one("sex", "M", codes=codes) == ("M", None)
    assert one("sex", "3", codes=codes) == (None, "unknown_code")
    assert one("open", "ja", codes=codes) == (True, None)


@settings(max_examples=60, deadline=None)
@given(
    st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=12),
    st.sampled_from(list(ALL)),
)
def test_any_text_becomes_a_value_or_exactly_one_fault(text, name):
    value, reason = one(name, text)
    assert (value is None) == (reason is not None)


def drift(header: str, **facts) -> str:
    parsed = parse(f"{header}\n{','.join('x' for _ in header.split(','))}\n".encode(), "csv", name="t.csv")
    with pytest.raises(TerminalError) as caught:
        apply(parsed, **facts)
    assert caught.value.reason == "schema_drift"
    return caught.value.message


HEADER = ",".join(ALL)


def test_f12_drift_names_what_changed():
    assert "lost [sex]" in drift(HEADER.replace(",sex", ""))
    assert "new column 9 [race]" in drift(HEADER + ",race")
    assert "(renamed from [last_name]?)" in drift(HEADER.replace("last_name", "lastname1"))
    assert "this is [last_name] but for case" in drift(HEADER.replace("last_name", "Last Name"))
    assert "this is [sex] but for case" in drift(HEADER.replace("sex", "sex\u00a0"))


def test_f12_order_does_not_matter_and_ignored_columns_may_come_and_go():
    for header in (HEADER, ",".join(reversed(ALL)), HEADER + ",note"):
        row = ",".join("T1" if c == "thing_id" else "" for c in header.split(","))
        mapped = apply(parse(f"{header}\n{row}\n".encode(), "csv", name="t.csv"), ignore=["note"])
        assert mapped.frame["thing_id"].to_list() == ["T1"]
        assert mapped.frame.columns == ["_row", *ALL]


def test_g10_a_missing_header_is_not_quoted():
    message = drift("Zyxquorbel,T1,1979-07-13")
    assert "Zyxquorbel" not in message
    assert "the header is missing" in message


def test_a_fault_of_the_parser_moves_to_the_contracts_column():
    data = b"id,name,note\nT1,a\x1bb,\x07\n"
    sources = {"thing_id": "id", "last_name": "name"}
    mapped = apply(parse(data, "csv", name="t.csv"), columns=sources, ignore=["note"])
    # the faulty note is not taken, so it refuses nothing
    assert mapped.faults.rows() == [(2, "last_name", "control_character")]
    assert mapped.frame["sex"].to_list() == [None]


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"columns": {**ALL, "nose": "n"}}, "[nose] is none of the contract's"),
        ({"columns": {"sex": "sex"}}, "[thing_id] is required and not mapped"),
        ({"codes": {"sex": {"1": "Q"}}}, "[sex] maps to [Q]"),
        ({"codes": {"pieces": {"1": "2"}}}, "[pieces] maps to [2]"),
        ({"formats": {"sex": "%Y"}}, "[sex] has a format"),
        ({"formats": {"seen_at": "%Y-%m-%d"}}, "[seen_at] has no offset"),
    ],
)
def test_a_mapping_that_does_not_fit_the_contract_is_refused(facts, told):
    with pytest.raises(TerminalError) as caught:
        apply(cells(sex=["F"]), **facts)
    assert caught.value.reason == "feed_invalid"
    assert told in caught.value.message


def test_keys_are_the_readable_ones_under_contract_names():
    parsed = parse(b"Client ID\nT1\n#REF!\n T2 \n", "csv", name="t.csv")
    table = TableMapping(source="t", columns={**ALL, "thing_id": "Client ID"})
    assert mapping.keys(parsed, TABLE, table, name="t.csv").to_pydict() == {"thing_id": ["T1", "T2"]}


def test_pages_without_rows_give_an_empty_typed_frame():
    mapped = apply(parse(b'{"data":[]}\n', "jsonl", name="t"))
    assert mapped.frame.height == mapped.read == 0
    assert mapped.frame.schema["born"] == pl.Date


def test_types_are_those_of_the_contracts():
    assert contract.DTYPES == mapping.DTYPES
    facts = contract.facts(police.Referrals)
    empty = pl.DataFrame(schema={c.name: mapping.DTYPES[c.type] for c in facts.columns})
    assert str(mapping.to_arrow(empty, facts).schema.field("contact_at").type) == "timestamp[us, tz=UTC]"


def test_no_value_in_repr():
    assert "Zyxquorbel" not in repr(apply(cells(last_name=["Zyxquorbel"])))
