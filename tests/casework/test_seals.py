"""A seal is on the case and on its arrest, and the register remembers it when the office does not."""

import polars as pl
import pyarrow as pa

from leadhub import casework
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
