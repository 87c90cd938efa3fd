"""Open refused rows: superseded by a full drop, cleared record by record by a partial one."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.intake import quarantine
from leadhub.intake.landing import Drop
from leadhub.intake.validation import Judged

Fault = tuple[int, str | None, str]


def drop(number: int, mode: str = "full", feed: str = "one") -> Drop:
    night = f"2026-11-{number:02}"
    return Drop(feed, night, f"drop{number}", mode, number, (), f"{night}T04:00:00Z")


def judged(*faults: Fault, table: str = "persons") -> dict[str, Judged]:
    schema = pa.schema([("row", pa.int32()), ("column", pa.string()), ("reason", pa.string())])
    refused = pa.Table.from_pylist([dict(zip(schema.names, f)) for f in faults], schema)
    return {table: Judged(pa.table({}), refused, len(faults))}


def refresh(
    previous, arrival: Drop, faults=(), ids=None, accepted=(), whole=("persons",)
) -> quarantine.Quarantine:
    ids = ids or {}
    table = pa.table({"row": pa.array(ids, pa.int32()), "record_id": pa.array(ids.values(), pa.string())})
    return quarantine.refresh(
        previous,
        drop=arrival,
        judged=judged(*faults),
        record_ids={"persons": table},
        mode=arrival.mode,
        whole=whole if arrival.mode == "full" else (),
        accepted_ids={"persons": pa.array(accepted, pa.string())},
        named={},
    )


def rows(table: pa.Table) -> list[tuple]:
    names = ("drop_id", "row", "column", "reason", "record_id", "opened_on")
    return list(zip(*(table[n].to_pylist() for n in names)))


SEX, SHORT = (2, "sex", "unknown_code"), (3, None, "wrong_field_count")


def test_refused_rows_are_open_with_the_record_they_are_of():
    state = refresh(None, drop(1), [SEX, SHORT], {2: "r2"})
    assert rows(state.open) == [
        ("drop1", 2, "sex", "unknown_code", "r2", "2026-11-01"),
        ("drop1", 3, None, "wrong_field_count", None, "2026-11-01"),
    ]
    assert state.open.schema == quarantine.SCHEMA
    assert state.cleared.num_rows == 0


def test_a_full_drop_supersedes_all_of_its_feed_and_nothing_of_others():
    first = refresh(None, drop(1, feed="other"), [SEX], {2: "r2"}).open
    second = refresh(first, drop(2), [SEX, SHORT], {2: "r2"}).open
    third = refresh(second, drop(3))
    assert rows(third.open) == [("drop1", 2, "sex", "unknown_code", "r2", "2026-11-01")]
    assert [r[:2] for r in rows(third.cleared)] == [("drop2", 2), ("drop2", 3)]


def test_a_fault_that_stands_again_keeps_its_first_night_and_is_not_cleared():
    first = refresh(None, drop(1), [SEX], {2: "r2"}).open
    again = refresh(first, drop(2), [(9, "sex", "unknown_code")], {9: "r2"})
    assert rows(again.open) == [("drop2", 9, "sex", "unknown_code", "r2", "2026-11-01")]
    assert again.cleared.num_rows == 0


def test_a_partial_drop_clears_what_it_accepted_and_leaves_the_rest_open():
    first = refresh(None, drop(1), [SEX, SHORT, (4, "zip", "bad_format")], {2: "r2", 4: "r4"}).open
    second = refresh(first, drop(2, "delta"), accepted=["r2", "r8"])
    assert [r[:2] for r in rows(second.open)] == [("drop1", 3), ("drop1", 4)]
    assert [r[:2] for r in rows(second.cleared)] == [("drop1", 2)]


def test_a_partial_drop_that_refuses_a_record_again_replaces_what_was_open_of_it():
    first = refresh(None, drop(1), [SEX], {2: "r2"}).open
    second = refresh(first, drop(2, "delta"), [(5, "zip", "bad_format")], {5: "r2"})
    assert rows(second.open) == [("drop2", 5, "zip", "bad_format", "r2", "2026-11-02")]
    assert [r[:3] for r in rows(second.cleared)] == [("drop1", 2, "sex")]


def test_a_full_drop_with_an_unread_key_lifts_only_what_it_tells_of():
    """What is not among its rows may be the one whose key nobody can read: the state keeps it, too."""
    first = refresh(None, drop(1), [SEX, (4, "zip", "bad_format"), SHORT], {2: "r2", 4: "r4"}).open
    second = refresh(first, drop(2), [SHORT], accepted=["r4"], whole=())
    assert [r[:2] for r in rows(second.open)] == [("drop1", 2), ("drop2", 3)]
    assert [r[:2] for r in rows(second.cleared)] == [("drop1", 3), ("drop1", 4)]
    third = refresh(second.open, drop(3), [(5, None, "too_long")], whole=())
    assert [r[:2] for r in rows(third.open)] == [("drop1", 2), ("drop2", 3), ("drop3", 5)]
    assert rows(refresh(third.open, drop(4)).open) == []


def test_an_unread_row_is_not_put_right_by_one_of_somebody_else():
    def one(previous, arrival, client):
        named = pa.table(
            {"row": pa.array([2], pa.int32()), "client_id": [client], "names_nobody": [not client]}
        )
        return quarantine.refresh(
            previous,
            drop=arrival,
            judged=judged((2, "consent_id", "missing_value"), table="consents"),
            record_ids={},
            mode="full",
            whole=(),
            accepted_ids={},
            named={"consents": named},
        ).open

    first = one(None, drop(1), "s1:x")
    assert one(first, drop(2), "s1:x")["drop_id"].to_pylist() == ["drop2"]
    assert one(first, drop(2), "s1:y")["client_id"].to_pylist() == ["s1:x", "s1:y"]


def test_whose_a_restriction_is_stays_known_until_a_steward_dismisses_it():
    named = pa.table({"row": pa.array([2], pa.int32()), "client_id": ["s1:k"], "names_nobody": [False]})
    nobody = pa.table(
        {"row": pa.array([3], pa.int32()), "client_id": pa.nulls(1, pa.string()), "names_nobody": [True]}
    )
    faults = (2, "revoked_at", "unparsable_timestamp"), (3, "client_id", "missing_value")
    state = quarantine.refresh(
        None,
        drop=drop(1, "delta"),
        judged=judged(*faults, table="consents") | judged(SEX),
        record_ids={},
        mode="delta",
        whole=(),
        accepted_ids={},
        named={"consents": pa.concat_tables([named, nobody])},
    )
    assert state.open.schema == quarantine.SCHEMA
    later = refresh(state.open, drop(2, "delta")).open
    told = {(r["table"], r["row"]): (r["client_id"], r["names_nobody"]) for r in later.to_pylist()}
    assert told == {
        ("consents", 2): ("s1:k", False),
        ("consents", 3): (None, True),
        ("persons", 2): (None, False),
    }
    left = quarantine.without(later, [("drop1", "consents", 3), ("drop2", "consents", 2)])
    assert [(r["table"], r["row"]) for r in left.to_pylist()] == [("consents", 2), ("persons", 2)]


FAULTS = st.lists(
    st.tuples(st.integers(2, 5), st.sampled_from(["sex", "zip", None]), st.sampled_from(["a", "b"])),
    max_size=5,
    unique=True,
)
IDS = st.dictionaries(st.integers(2, 5), st.sampled_from(["r1", "r2", "r3"]))


@settings(max_examples=40, deadline=None)
@given(
    FAULTS,
    FAULTS,
    IDS,
    IDS,
    st.lists(st.sampled_from(["r1", "r2"]), unique=True),
    st.sampled_from(["full", "delta"]),
    st.sampled_from([("persons",), ()]),
)
def test_g2_the_same_drop_again_changes_nothing(before, faults, ids_before, ids, accepted, mode, whole):
    first = refresh(None, drop(1), before, ids_before).open
    once = refresh(first, drop(2, mode), faults, ids, accepted, whole)
    again = refresh(once.open, drop(2, mode), faults, ids, accepted, whole)
    assert again.open.equals(once.open)
    assert again.cleared.num_rows == 0
    # nothing vanishes: what was open is open, cleared, or stands again as the same fault of the same record
    standing = {(r[4], r[2], r[3]) for r in rows(once.open)} | {
        (r[4], r[2], r[3]) for r in rows(once.cleared)
    }
    assert {(r[4], r[2], r[3]) for r in rows(first)} <= standing
