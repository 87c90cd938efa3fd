"""A change file turns the last snapshot into this one, and gives no reason for what it takes back."""

from datetime import date

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.release import changes
from schemas import codes

SCHEMA = pa.schema(
    [
        ("case_no", pa.string()),
        ("category", pa.string()),
        ("referral_status", pa.string()),
        ("diversion_status", pa.string()),
        ("status_on", pa.date32()),
    ]
)
KEY, STATED = ["case_no", "category"], ["diversion_status", "status_on"]


def rows(*lines: tuple) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, line)) for line in lines], schema=SCHEMA)


def line(status: str, on: str | None, *, case_no: str = "s1:A", referral: str = "REFERRED") -> tuple:
    return (case_no, None, referral, status, None if on is None else date.fromisoformat(on))


def ops(before: tuple | None, after: tuple | None) -> list[str]:
    found = changes.diff(
        rows(*[b for b in [before] if b]), rows(*[a for a in [after] if a]), key=KEY, stated=STATED
    )
    return found["op"].to_pylist()


SILENT = line("NO_INFORMATION", None)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, SILENT, ["insert"]),
        (SILENT, None, ["withdraw"]),
        (SILENT, SILENT, []),
        (SILENT, line("INTAKE_COMPLETE", "2026-10-10"), ["update"]),
        (line("INTAKE_COMPLETE", "2026-10-10"), line("ENROLLED", "2026-10-11"), ["update"]),
        (line("INTAKE_COMPLETE", "2026-10-10"), SILENT, ["withdraw", "insert"]),
        # what another provider said earlier is left when the later one's consent is gone
        (line("ENROLLED", "2026-10-11"), line("INTAKE_COMPLETE", "2026-10-10"), ["withdraw", "insert"]),
        (SILENT, line("NO_INFORMATION", None, referral="PARTICIPANT_DECLINED"), ["update"]),
    ],
)
def test_operations(before, after, expected):
    assert ops(before, after) == expected


def test_a_withdrawal_holds_the_key_alone():
    before = rows(line("INTAKE_COMPLETE", "2026-10-10"))
    found = changes.diff(before, rows(), key=KEY, stated=STATED).to_pylist()
    assert found == [dict.fromkeys(["op", *SCHEMA.names]) | {"op": "withdraw", "case_no": "s1:A"}]


def test_revocation_and_correction_look_alike():
    """The consent is gone, or the provider struck its statement out: the partner gets the same bytes."""
    told = rows(line("INTAKE_COMPLETE", "2026-10-10"), line("NO_INFORMATION", None, case_no="s1:B"))
    after = rows(SILENT, line("NO_INFORMATION", None, case_no="s1:B"))
    revoked = changes.diff(told, after, key=KEY, stated=STATED)
    assert revoked.equals(changes.diff(told, after.take([1, 0]), key=KEY, stated=STATED))
    assert revoked["op"].to_pylist() == ["withdraw", "insert"]


def test_no_previous_delivery_is_all_inserts():
    current = rows(SILENT, line("ENROLLED", "2026-10-11", case_no="s1:B"))
    found = changes.diff(None, current, key=KEY, stated=STATED)
    assert found["op"].to_pylist() == ["insert", "insert"]
    assert changes.apply(None, found, key=KEY).equals(current)


def test_columns_of_the_key_alone():
    """Events have no other columns: they come and go."""
    plain = SCHEMA.names[:2]
    before, after = rows(SILENT).select(plain), rows(line("x", None, case_no="s1:B")).select(plain)
    found = changes.diff(before, after, key=KEY, stated=[])
    assert found["op"].to_pylist() == ["withdraw", "insert"]


LINE = st.tuples(
    st.sampled_from(codes.REFERRAL_STATUS),
    st.sampled_from(codes.DIVERSION_STATUS),
    st.none() | st.dates(date(2026, 1, 1), date(2026, 1, 5)),
)
SNAPSHOT = st.dictionaries(
    st.tuples(st.sampled_from(["s1:A", "s1:B", "s1:C", "s1:D"]), st.sampled_from(["F", "M", None])),
    LINE,
    max_size=8,
).map(lambda held: rows(*[(*k, *v) for k, v in held.items()]))


def ordered(table: pa.Table) -> list[dict]:
    return sorted(table.to_pylist(), key=lambda r: (r["case_no"], r["category"] or ""))


@given(SNAPSHOT, SNAPSHOT)
@settings(max_examples=150, deadline=None)
def test_law_changes_applied_to_the_last_snapshot_are_this_one(previous, current):
    found = changes.diff(previous, current, key=KEY, stated=STATED)
    assert ordered(changes.apply(previous, found, key=KEY)) == ordered(current)


@given(SNAPSHOT, SNAPSHOT)
@settings(max_examples=100, deadline=None)
def test_law_nothing_that_stands_is_repeated_and_no_key_comes_twice(previous, current):
    found = changes.diff(previous, current, key=KEY, stated=STATED)
    before = previous.to_pylist()
    fresh = [r for r in found.to_pylist() if r["op"] != "withdraw"]
    withdrawn = {(r["case_no"], r["category"]) for r in found.to_pylist() if r["op"] == "withdraw"}
    inserted = {(r["case_no"], r["category"]) for r in fresh if r["op"] == "insert"}
    assert not [r for r in fresh if {c: r[c] for c in SCHEMA.names} in before]
    assert len({(r["case_no"], r["category"]) for r in fresh}) == len(fresh)
    held = {(r["case_no"], r["category"]) for r in before}
    assert inserted & held <= withdrawn <= held


@given(SNAPSHOT, SNAPSHOT)
@settings(max_examples=100, deadline=None)
def test_law_what_is_no_longer_said_is_withdrawn(previous, current):
    found = changes.diff(previous, current, key=KEY, stated=STATED).to_pylist()
    withdrawn = {(r["case_no"], r["category"]) for r in found if r["op"] == "withdraw"}
    now = {(r["case_no"], r["category"]): r for r in current.to_pylist()}
    for row in previous.to_pylist():
        place = (row["case_no"], row["category"])
        after = now.get(place, {"diversion_status": "NO_INFORMATION"})
        if row["diversion_status"] != "NO_INFORMATION" and after["diversion_status"] == "NO_INFORMATION":
            assert place in withdrawn
