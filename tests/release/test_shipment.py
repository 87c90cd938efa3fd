"""Withdrawals alone: nothing new is told, and all that may no longer be there is named."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from leadhub.release import changes, shipment
from tests.release.dataset import PACKAGE
from tests.release.publishing import content

CASES = [f"DA-{n}" for n in range(1, 6)]
CODES = ["NO_INFORMATION", "INTAKE_PENDING", "ENROLLED"]
STATED = ["diversion_status"]
states = st.lists(
    st.tuples(st.sampled_from(CASES), st.sampled_from(CODES)), unique_by=lambda row: row[0], max_size=5
)


def held_after(state) -> pa.Table:
    return shipment.whole(PACKAGE, content(state), None, stated=STATED).held


@given(before=states, now=states)
def test_what_is_held_afterwards_is_what_was_held_and_is_still_permitted(before, now):
    held = held_after(before)
    found = shipment.withdrawals(PACKAGE, content(now), held, stated=STATED)
    afterwards = held if found is None else found.held
    permitted, told = dict(now), dict(before)
    stays = {
        case
        for case, status in told.items()
        if case in permitted and (permitted[case] != "NO_INFORMATION" or status == "NO_INFORMATION")
    }
    expected = held_after([(c, s) for c, s in before if c in stays])
    assert afterwards.equals(expected)
    assert (found is None) == (len(stays) == len(before))


@given(before=states, now=states)
def test_a_recipient_who_applies_the_lines_holds_the_same_and_learns_nothing(before, now):
    held = held_after(before)
    found = shipment.withdrawals(PACKAGE, content(now), held, stated=STATED)
    if found is None:
        return
    assert (found.rows.num_rows, found.accounted.num_rows) == (0, 0)
    assert set(found.changes["op"].to_pylist()) == {"withdraw"}
    assert all(
        found.changes[c].null_count == found.changes.num_rows
        for c in found.changes.column_names
        if c not in ("op", *PACKAGE.key)
    )
    applied = changes.apply(held, found.changes, key=PACKAGE.key)
    assert applied.equals(found.held.cast(applied.schema))


@given(before=states, now=states)
def test_a_whole_delivery_afterwards_ends_where_it_would_have_ended(before, now):
    held = held_after(before)
    found = shipment.withdrawals(PACKAGE, content(now), held, stated=STATED)
    later = shipment.whole(PACKAGE, content(now), held if found is None else found.held, stated=STATED)
    assert later.held.equals(held_after(now))
    assert not found or "withdraw" not in later.changes["op"].to_pylist()


@given(before=states, now=states)
def test_a_delivery_of_other_columns_counts_what_must_go_as_well(before, now):
    held = held_after(before)
    same = shipment.whole(PACKAGE, content(now), held, stated=STATED)
    other = shipment.whole(PACKAGE, content(now), held.drop_columns(["note"]), stated=STATED)
    assert other.changes is None
    assert other.withdrawn == same.withdrawn == same.changes["op"].to_pylist().count("withdraw")


def test_a_partner_that_has_nothing_is_told_nothing():
    assert shipment.withdrawals(PACKAGE, content([]), None, stated=STATED) is None
