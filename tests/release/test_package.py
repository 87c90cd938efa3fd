"""What a partner gets: its columns alone, same rows same bytes."""

from __future__ import annotations

import json
import re

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation import files
from leadhub.foundation.vocabulary import Sensitivity
from leadhub.release import encoding, package
from tests.release.built_package import SOME, build, read_csv, refused
from tests.release.dataset import COLUMNS, changes, column, rows, table, with_column


def test_a_delivery_holds_these_files_and_no_other(tmp_path, key):
    build(tmp_path, key, change_rows=changes(*SOME))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "NOTICE_42CFR2.txt",
        "README.md",
        "SHA256SUMS",
        "data_dictionary.csv",
        "diversion_status.csv",
        "diversion_status.parquet",
        "diversion_status_changes.csv",
        "diversion_status_changes.parquet",
        "manifest.json",
        "manifest.json.asc",
    ]


def test_rows_come_sorted_and_whole_in_both_formats(tmp_path, key):
    build(tmp_path, key, change_rows=changes(*SOME))
    table = encoding.read_parquet((tmp_path / "diversion_status.parquet").read_bytes())
    assert table.column_names == [c.name for c in COLUMNS]
    assert table["case_no"].to_pylist() == ["DA-1", "DA-2", "DA-3"]
    assert read_csv((tmp_path / "diversion_status.csv").read_bytes()) == [
        ["case_no", "diversion_status", "status_date", "note"],
        ["DA-1", "NO_INFORMATION", "", ""],
        ["DA-2", "INTAKE_COMPLETE", "2026-10-09", 'a "quoted", text'],
        ["DA-3", "ENROLLED", "2026-11-01", "'=1+1"],
    ]


def test_a_withdrawal_comes_before_the_row_that_replaces_it(tmp_path, key):
    again = ("insert", "DA-9", "NO_INFORMATION", None, None)
    build(tmp_path, key, change_rows=changes(again, *SOME))
    assert read_csv((tmp_path / "diversion_status_changes.csv").read_bytes()) == [
        ["op", "case_no", "diversion_status", "status_date", "note"],
        ["withdraw", "DA-9", "", "", ""],
        ["update", "DA-1", "ENROLLED", "2026-11-02", ""],
        ["insert", "DA-9", "NO_INFORMATION", "", ""],
    ]


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(3)), cut=st.integers(0, 3), large=st.booleans())
def test_t5_g2_same_rows_same_bytes(tmp_path_factory, key, order, cut, large):
    one, other = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    table = rows().take(list(order))
    table = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    if large:
        table = table.cast(
            pa.schema([table.schema.field(0).with_type(pa.large_string()), *list(table.schema)[1:]])
        )
    table = table.replace_schema_metadata({"pandas": "{}"})
    build(one, key)
    build(other, key, content=table)
    for path in one.iterdir():
        if path.name != package.SIGNATURE:
            assert path.read_bytes() == (other / path.name).read_bytes(), path.name


def test_the_manifest_states_the_delivery_and_nothing_else(tmp_path, key):
    build(tmp_path, key, change_rows=changes(*SOME))
    manifest = files.read_json(tmp_path / package.MANIFEST)
    stated = """format partner dataset title night sequence previous_sequence agreement purpose legal_basis
    retention_days acknowledge_within_days schema withdrawals_only rows changes inputs notice consent_scope
    csv files encrypted_to signed_by"""
    assert set(manifest) == set(stated.split())
    assert (manifest["rows"], manifest["changes"], manifest["sequence"]) == (3, 2, 1)
    assert {f["name"] for f in manifest["files"]} == {
        p.name for p in tmp_path.iterdir() if p.name not in package.PROOF
    }
    for fact in manifest["files"]:
        data = (tmp_path / fact["name"]).read_bytes()
        assert (fact["sha256"], fact["bytes"]) == (files.sha256_bytes(data), len(data))
    assert manifest["csv"]["formula_prefix"] == "'"
    assert manifest["csv"]["formula_prefix_columns"] == ["case_no", "diversion_status", "note"]
    # no moment in time but the night
    assert not re.search(r"\d{2}:\d{2}", json.dumps(manifest))


# what may stand in a file ---------------------------------------------------------------------------


def test_g7_an_identifier_is_refused(tmp_path, key):
    name = column("last_name", sensitivity=Sensitivity.IDENTIFIER)
    table = rows().append_column("last_name", pa.array(["Zzyzx"] * 3))
    message = refused("identifier_in_release", tmp_path, key, with_column(name), table)
    assert "last_name" in message
    assert "Zzyzx" not in message


def test_g7_a_withheld_column_is_refused(tmp_path, key):
    facts = with_column(column("score", "integer", sensitivity=Sensitivity.WITHHELD))
    refused("column_not_allowed", tmp_path, key, facts, rows().append_column("score", pa.array([1, 2, 3])))


def test_g7_a_column_that_the_agreement_does_not_name_is_refused(tmp_path, key):
    extra = rows().append_column("address", pa.array(["1 Zzyzx Rd"] * 3))
    message = refused("column_not_allowed", tmp_path, key, content=extra)
    assert "address" in message
    refused("column_not_allowed", tmp_path, key, content=rows().drop_columns(["note"]))
    renamed = changes(*SOME).rename_columns(
        ["op", "case_no", "diversion_status", "status_date", "person_id"]
    )
    refused("column_not_allowed", tmp_path, key, change_rows=renamed)


@pytest.mark.parametrize("inside", ["s1:ABCDEF", "t1:00ff", "t1.9f3a:00ff", "p2:QWERTY", "r1:aa"])
def test_g7_the_hubs_own_ids_are_refused(tmp_path, key, inside):
    message = refused(
        "column_not_allowed", tmp_path, key, content=table(("DA-1", "ENROLLED", None, inside))
    )
    assert inside not in message


@pytest.mark.parametrize(
    "entry",
    [(None, "ENROLLED", None, None), ("DA-1", "RELAPSED", None, None), ("DA-1", None, None, None)],
)
def test_g5_values_that_the_columns_do_not_allow_are_refused(tmp_path, key, entry):
    message = refused("schema_drift", tmp_path, key, content=table(entry))
    assert "RELAPSED" not in message


def test_g5_another_type_is_refused_not_converted(tmp_path, key):
    table = rows().set_column(0, "case_no", pa.array([1, 2, 3]))
    refused("schema_drift", tmp_path, key, content=table)


def test_an_operation_that_the_readme_does_not_explain_is_refused(tmp_path, key):
    refused("schema_drift", tmp_path, key, change_rows=changes(("sealed", "DA-1", None, None, None)))


TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
STARTS = st.sampled_from(["", *encoding.FORMULA_STARTS])


@settings(max_examples=150, deadline=None)
@given(values=st.lists(st.tuples(STARTS, TEXT).map("".join) | st.none(), min_size=1, max_size=6))
def test_csv_gives_every_text_back_and_no_formula(values):
    table = pa.table({"n": pa.array(range(len(values))), "text": pa.array(values, pa.string())})
    data = encoding.csv(table)
    read = read_csv(data)
    assert read[0] == ["n", "text"]
    fields = [line[1] for line in read[1:]]
    assert not any(f.startswith(encoding.FORMULA_STARTS[:-1]) for f in fields)
    assert [f.removeprefix("'") for f in fields] == [v or "" for v in values]
    # a missing value is an empty field, an empty text is quoted
    empty = [line for line in data.split(b"\n") if line.endswith(b',""') and len(line) < 6]
    assert len(empty) == sum(v == "" for v in values)


def test_numbers_are_not_taken_for_formulas():
    assert encoding.csv(pa.table({"n": pa.array([-5])})) == b"n\n-5\n"


def test_timestamps_are_exact_and_in_utc():
    moment = pa.array([1], pa.timestamp("us", "UTC"))
    assert encoding.csv(pa.table({"at": moment})) == b"at\n1970-01-01T00:00:00.000001Z\n"
