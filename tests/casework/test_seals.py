"""A seal is on the case and on its arrest, and the register remembers it when the office does not."""

from typing import get_args

import polars as pl
import pyarrow as pa
import pytest

from leadhub import casework
from leadhub.casework import provisions
from leadhub.foundation.vocabulary import RecipientKind
from tests.casework.desk import DA, NIGHT, ZONE, Desk


def reconcile(desk: Desk, seals: pa.Table | None = None) -> casework.Casework:
    return casework.reconcile(desk.inputs(seals=seals), night=NIGHT, time_zone=ZONE)


def sealed(found: casework.Casework) -> dict[str, set[str]]:
    """Table → numbers of what it says is sealed."""
    diversions, cases, events = (
        pl.DataFrame(pl.from_arrow(t)).drop_nulls("sealed_under")
        for t in (found.diversions, found.diversion_cases, found.justice_events)
    )
    return {
        "diversions": {r.rpartition("/")[2] for r in diversions["referral_no"]},
        "cases": {c.rpartition("/")[2] for c in cases["da_case_no"]},
        "events": set(events["event_type"]),
    }


def two() -> Desk:
    desk = Desk().referred("1", "ann").case("1", "ann").referred("2", "bob").case("2", "bob")
    return desk.disposed("2", "DISMISSED", "2026-11-01")


def test_what_a_disposition_seals_is_remembered():
    first = reconcile(two().disposed("1", "DISMISSED", "2026-11-01", sealed="CPL_160_50"))
    everything = {"diversions": {"LR1"}, "cases": {"C1"}, "events": {"ARREST", "DISPOSITION"}}
    assert sealed(first) == everything
    [seal] = first.seals.to_pylist()
    assert (seal["feed"], seal["sealed_under"]) == (DA, "CPL_160_50")
    forgotten = two().disposed("1", "DISMISSED", "2026-11-01")
    assert sealed(reconcile(forgotten)) == {"diversions": set(), "cases": set(), "events": set()}
    again = reconcile(forgotten, first.seals)
    assert sealed(again) == everything
    assert again.seals.equals(first.seals)


def test_a_case_that_is_gone_still_seals_its_arrest():
    first = reconcile(two().disposed("1", "DISMISSED", "2026-11-01", sealed="CPL_160_50"))
    gone = Desk().referred("1", "ann").referred("2", "bob").case("2", "bob")
    assert sealed(reconcile(gone, first.seals)) == {
        "diversions": {"LR1"},
        "cases": set(),
        "events": {"ARREST"},
    }


def test_a_sealed_case_under_another_number_is_known_by_its_cjtn():
    first = reconcile(two().disposed("1", "DISMISSED", "2026-11-01", sealed="CPL_160_50"))
    anew = Desk().referred("1", "ann").case("9", "ann", cjtn="J1", arrest_no=None)
    assert sealed(reconcile(anew, first.seals))["cases"] == {"C9"}


def test_co_defendants_under_one_arrest_number_are_not_sealed_with_it():
    """Their own case stands; the arrest that they share is the sealed one's, too."""
    first = reconcile(two().disposed("1", "DISMISSED", "2026-11-01", sealed="CPL_160_50"))
    desk = two().disposed("1", "DISMISSED", "2026-11-01").case("3", "cyd", arrest_no="A1", cjtn="J3")
    assert "C3" not in sealed(reconcile(desk, first.seals))["cases"]


# refused rows -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "numbers"),
    [
        ("dispositions", ["C1"]),
        ("seal_orders", ["C1"]),
        ("seal_orders", ["A1"]),
        ("seal_orders", ["J1"]),
        ("seal_orders", ["C9", "A1"]),
    ],
)
def test_what_a_refused_row_may_seal_is_withheld_and_not_remembered(table, numbers):
    desk = two().disposed("1", "DISMISSED", "2026-11-01", sealed="CPL_160_57")
    found = reconcile(desk.refused(table, *numbers))
    assert sealed(found) == {"diversions": {"LR1"}, "cases": {"C1"}, "events": {"ARREST", "DISPOSITION"}}
    cases = pl.DataFrame(pl.from_arrow(found.diversion_cases)).drop_nulls("sealed_under")
    assert cases["sealed_under"].to_list() == ["IN_DOUBT"], "stricter than every provision"
    assert found.seals["sealed_under"].to_pylist() == ["CPL_160_57"]


def test_nobody_may_have_what_is_in_doubt():
    table = provisions.load()
    kinds, purposes = get_args(RecipientKind), {o.purpose for p in table.provisions for o in p.visible_to}
    assert not any(provisions.IN_DOUBT in table.visible(k, p) for k in kinds for p in purposes)
    assert provisions.IN_DOUBT not in {p.id for p in table.provisions}


def test_stewards_see_which_row_cannot_be_read_and_whether_it_names_a_case():
    desk = two().refused("dispositions", "C1").refused("seal_orders", "C9").refused("seal_orders")
    found = pl.DataFrame(pl.from_arrow(reconcile(desk).discrepancies)).filter(kind="restriction_unread")
    told = found.select("one_says", "other_says", pl.col("other_record").str.tail(2), "one_feed").rows()
    assert sorted(told, key=str) == [
        ("dispositions", "WITHHELD", "C1", DA),
        ("seal_orders", "NAMES_NO_CASE", None, DA),
        ("seal_orders", "WITHHELD", None, DA),
    ]
    assert found.drop_nulls("diversion_id")["one_says"].to_list() == ["dispositions"]
    assert sealed(reconcile(two().refused("seal_orders"))) == sealed(reconcile(two())), "else all would be"
