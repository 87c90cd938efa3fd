"""Seal orders: of a case, of an arrest, of a charge; from their day on; until the office vacates them."""

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub import casework
from leadhub.casework import sealable
from leadhub.casework.frames import Frames
from tests.casework.desk import DA, NIGHT, ZONE, Desk, day
from tests.casework.test_seals import reconcile, sealed, two


def facts(found: casework.Casework, event: str) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(found.justice_events)).filter(pl.col("event_type") == event)


@pytest.mark.parametrize("scope", ["CASE", "ARREST"])
def test_an_order_seals_case_and_arrest(scope):
    found = reconcile(two().disposed("1", "DISMISSED", "2026-11-01").ordered("1", scope))
    assert sealed(found) == {"diversions": {"LR1"}, "cases": {"C1"}, "events": {"ARREST", "DISPOSITION"}}


def test_an_arrest_s_order_seals_every_case_on_it_and_no_other():
    desk = two().case("9", "ann", arrest_no="A1", cjtn="J9").disposed("1", "PLEA", "2026-11-01")
    assert sealed(reconcile(desk.ordered("1", "ARREST")))["cases"] == {"C1", "C9"}
    by_case = two().case("9", "ann", arrest_no="A1", cjtn="J9").ordered("1", "CASE")
    assert sealed(reconcile(by_case))["cases"] == {"C1"}


def test_an_arrest_may_be_sealed_by_its_cjtn_alone():
    order = {"arrest_no": None, "cjtn": "J1"}
    assert sealed(reconcile(two().ordered("1", "ARREST", **order)))["diversions"] == {"LR1"}


@pytest.mark.parametrize("quoted", [{"arrest_no": None, "cjtn": "J1"}, {"arrest_no": "A1", "cjtn": None}])
@pytest.mark.parametrize("ordered", [{"arrest_no": None, "cjtn": "J1"}, {"arrest_no": "A1", "cjtn": None}])
def test_an_arrest_sealed_by_one_of_its_numbers_is_sealed_by_the_other(quoted, ordered):
    """Only the police write down both."""
    desk = Desk().referred("1", "ann").case("1", "ann", **quoted).disposed("1", "DISMISSED", "2026-11-01")
    order = {"da_case_no": None, **ordered}
    found = reconcile(desk.ordered("1", "ARREST", **order))
    assert sealed(found) == {"diversions": {"LR1"}, "cases": {"C1"}, "events": {"ARREST", "DISPOSITION"}}
    again = Desk().case("1", "ann", **quoted).disposed("1", "DISMISSED", "2026-11-01")
    assert sealed(reconcile(again, found.seals))["events"] == {"DISPOSITION"}, "forgotten"


def test_a_case_entered_anew_by_the_arrest_s_number_alone_stays_sealed():
    numbers = {"arrest_no": "A1", "cjtn": None}
    desk = Desk().referred("1", "ann").case("1", "ann", **numbers)
    first = reconcile(desk.disposed("1", "DISMISSED", "2026-11-01", sealed="CPL_160_50"))
    anew = Desk().referred("1", "ann").case("9", "ann", **numbers)
    assert sealed(reconcile(anew, first.seals))["cases"] == {"C9"}


@pytest.mark.parametrize(("on", "seals"), [("2026-11-19", True), (NIGHT, True), ("2026-11-21", False)])
def test_an_order_counts_from_its_day_on(on, seals):
    assert (sealed(reconcile(two().ordered("1", on=on)))["cases"] == {"C1"}) == seals


def test_a_charge_s_order_hides_the_charge_and_the_last_one_seals_the_case():
    def with_two(*orders):
        desk = Desk().referred("1", "ann").case("1", "ann")
        desk.rows["da", "charges"][0] |= {"law_category": "F", "filed_on": day("2026-10-05")}
        desk.add(
            "da",
            "charges",
            DA,
            da_case_no="C1",
            charge_seq="2",
            law_category="V",
            filed_on=day("2026-10-09"),
        )
        for seq in orders:
            desk.ordered("1", "CHARGE", charge_seq=seq, order_id=f"O{seq}")
        return reconcile(desk)

    none, one, both = with_two(), with_two("1"), with_two("1", "2")
    assert facts(none, "CHARGE_FILED")["law_category"].to_list() == ["F"]
    assert facts(one, "CHARGE_FILED")["law_category"].to_list() == ["V"], "the graver charge is sealed"
    assert facts(one, "CHARGE_FILED")["event_on"].to_list() == [day("2026-10-09")]
    assert sealed(one)["cases"] == set()
    assert sealed(both)["cases"] == {"C1"}
    assert "ARREST" in sealed(both)["events"]


@pytest.mark.parametrize("scope", ["CASE", "ARREST", "CHARGE"])
def test_an_order_that_is_no_longer_there_still_counts_and_a_vacated_one_does_not(scope):
    first = reconcile(two().ordered("1", scope))
    assert sealed(first)["cases"] == {"C1"}
    forgotten = reconcile(two(), first.seals)
    assert sealed(forgotten) == sealed(first)
    assert forgotten.seals.equals(first.seals)
    vacated = reconcile(two().ordered("1", scope, vacated_on=day(NIGHT)), first.seals)
    assert sealed(vacated) == {"diversions": set(), "cases": set(), "events": set()}
    older = reconcile(two().ordered("1", scope), vacated.seals)
    assert sealed(older) == sealed(first), "an older extract brings back the order, never the record"


def test_a_vacated_order_leaves_what_a_disposition_seals():
    desk = two().disposed("1", "DISMISSED", "2026-11-01", sealed="CPL_160_50")
    assert sealed(reconcile(desk.ordered("1", vacated_on=day(NIGHT))))["cases"] == {"C1"}


def test_what_is_ordered_is_no_longer_due():
    desk = Desk().referred("1", "ann").case("1", "ann").disposed("1", "DISMISSED", "2026-10-10")

    def due():
        frames = Frames.of(desk.inputs(), night=NIGHT, time_zone=ZONE)
        return sealable.due(frames, sealable.load())["da_case_no"].to_list()

    assert len(due()) == 1
    desk.ordered("1")
    assert due() == []


orders = st.lists(
    st.tuples(
        st.sampled_from("123"),
        st.sampled_from(["CASE", "ARREST", "CHARGE"]),
        st.sampled_from(["2026-11-01", "2026-11-30"]),
    ),
    max_size=4,
)


@settings(deadline=None, max_examples=30)
@given(before=orders, now=orders)
def test_seals_only_ever_grow_without_a_vacated_order(before, now):
    def desk(given_orders):
        made = Desk()
        for n in "123":
            made.referred(n, f"person{n}").case(n, f"person{n}")
        for i, (n, scope, on) in enumerate(given_orders):
            made.ordered(n, scope, on, order_id=f"O{i}{n}{scope}{on}")
        return made

    first = reconcile(desk(before))
    second = reconcile(desk(now), first.seals)
    assert sealed(first)["cases"] | sealed(reconcile(desk(now)))["cases"] == sealed(second)["cases"]
    again: pa.Table = reconcile(desk([]), second.seals).seals
    assert again.equals(second.seals)
