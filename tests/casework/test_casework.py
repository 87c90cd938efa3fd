"""What agencies say together: one record a referral, nothing from silence, nobody overwritten."""

import dataclasses
import random

import polars as pl
import pytest

from leadhub import casework
from leadhub.casework import discrepancies, participants, statements
from leadhub.casework.frames import Frames, once
from schemas import codes
from tests.casework.desk import HARBOR, NIGHT, POLICE, RIVERSIDE, ZONE, Desk, day


def reconcile(desk: Desk, night: str = NIGHT) -> casework.Casework:
    return casework.reconcile(desk.inputs(), night=night, time_zone=ZONE)


def frame(table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))


def only(table) -> dict:
    rows = table.to_pylist()
    assert len(rows) == 1
    return rows[0]


def kinds(desk: Desk) -> list[str]:
    return [d["kind"] for d in reconcile(desk).discrepancies.to_pylist()]


# the police's word --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"offered": True, "accepted": True}, "REFERRED"),
        ({"offered": True, "accepted": None}, "REFERRED"),
        ({"offered": True, "accepted": False}, "PARTICIPANT_DECLINED"),
        (
            {"offered": False, "accepted": None, "not_offered_reason": "AGE_UNDER_18"},
            "INELIGIBLE_RETURNED",
        ),
    ],
)
def test_referral_status_is_what_the_police_write(said, status):
    row = only(reconcile(Desk().referred("1", **said)).diversions)
    assert row["referral_status"] == status
    assert row["person_id"] == "p1:ann"
    assert row["charges_held_until"] == day("2026-10-31")


def test_a_day_is_the_site_s_own():
    row = only(reconcile(Desk().referred("1", contact_at="2026-10-02T02:30:00")).diversions)
    assert row["referral_on"] == day("2026-10-01")


# silence ------------------------------------------------------------------------------------------


def test_no_status_comes_from_absence():
    """A window long past, and nobody has said anything."""
    found = reconcile(Desk().referred("1", contact_at="2025-01-01T12:00:00").case("1"))
    assert found.statements.num_rows == 0
    assert only(found.diversions)["participant_status"] == "ACCEPTED"
    assert only(found.diversions)["decision"] is None


@pytest.mark.parametrize("outcome", statements.NOT_TOLD)
def test_bad_news_gives_no_statement_but_counts_inside(outcome):
    found = reconcile(Desk().referred("1").client("1").intake("1", outcome, "2026-10-20"))
    assert found.statements.num_rows == 0
    row = only(found.diversions)
    assert (row["participant_status"], row["participant_status_by"]) == ("INTAKE_NOT_COMPLETED", "provider")


def test_every_outcome_of_the_contract_is_either_told_or_not():
    assert set(statements.INTAKE_STATUS) | set(statements.NOT_TOLD) == set(codes.INTAKE_OUTCOME)
    told = {s for s, _ in statements.PRECEDENCE} - {"INTAKE_NOT_COMPLETED"}
    assert told == set(codes.DIVERSION_STATUS) - {"NO_INFORMATION"}


def test_what_is_dated_after_the_night_has_not_happened():
    desk = Desk().referred("1").case("1").decided("1", "FILED", "2026-12-01").client("1")
    desk.intake("1", "WINDOW_LAPSED", "2026-12-01").episode("1", "2026-11-01", "2026-12-15")
    found = reconcile(desk)
    assert [s["status"] for s in found.statements.to_pylist()] == ["ENROLLED"]
    assert only(found.diversions)["decision"] is None
    later = reconcile(desk, "2026-12-31")
    assert {s["status"] for s in later.statements.to_pylist()} == {
        "INTAKE_WINDOW_LAPSED",
        "NO_LONGER_ENROLLED",
    }


def test_an_appointment_may_lie_ahead():
    found = reconcile(Desk().referred("1").client("1").intake("1", "SCHEDULED", "2026-12-01"))
    assert only(found.statements)["status"] == "INTAKE_PENDING"


# statements ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "counts"),
    [
        ([("SCHEDULED", "2026-10-20"), ("COMPLETED", "2026-10-10")], "INTAKE_COMPLETE"),
        ([("WINDOW_LAPSED", "2026-10-20"), ("SCHEDULED", "2026-10-25")], "INTAKE_PENDING"),
        ([("SCHEDULED", "2026-10-05"), ("WINDOW_LAPSED", "2026-10-31")], "INTAKE_WINDOW_LAPSED"),
        ([("WINDOW_LAPSED", "2026-10-31"), ("COMPLETED", "2026-11-03")], "INTAKE_COMPLETE"),
    ],
)
def test_precedence_of_intakes(said, counts):
    desk = Desk().referred("1").client("1")
    for outcome, on in said:
        desk.intake("1", outcome, on)
    assert only(statements.prevailing(frame(reconcile(desk).statements)).to_arrow())["status"] == counts


def test_who_left_one_programme_and_is_in_another_is_enrolled():
    desk = Desk().referred("1").client("1").episode("1", "2026-10-10", "2026-11-01")
    desk.episode("1", "2026-10-15")
    row = only(reconcile(desk).statements)
    assert (row["status"], row["stated_on"]) == ("ENROLLED", day("2026-10-15"))
    desk.client("1", feed=RIVERSIDE).episode("1", "2026-10-12", "2026-11-10", feed=RIVERSIDE)
    said = frame(reconcile(desk).statements)
    assert sorted(said["status"]) == ["ENROLLED", "NO_LONGER_ENROLLED"]
    assert statements.prevailing(said)["status"].to_list() == ["ENROLLED"]


def test_a_statement_says_whose_it_is_and_whether_persons_agree():
    desk = Desk().referred("1", "ann").client("1", "bob").intake("1", "COMPLETED", "2026-10-10")
    row = only(reconcile(desk).statements)
    assert (row["person_id"], row["person_agrees"], row["feed"]) == ("p1:bob", False, HARBOR)
    assert row["client_record_id"] == f"r1:{HARBOR}/clients/K1"
    # the number was written down on both sides, so the hub counts it; a partner will not see it
    assert only(reconcile(desk).diversions)["participant_status"] == "INTAKE_COMPLETE"


def test_a_client_whom_nobody_could_place_agrees_with_nobody():
    desk = Desk().referred("1").client("1").intake("1", "COMPLETED", "2026-10-10")
    del desk.crosswalk[f"r1:{HARBOR}/clients/K1"]
    assert only(reconcile(desk).statements)["person_agrees"] is False


# the DA's word ------------------------------------------------------------------------------------


def test_cases_join_by_identifiers_alone():
    desk = Desk().referred("1").case("1", "bob").case("2", cjtn="J1", arrest_no=None)
    desk.case("3", "ann", arrest_no="A9", cjtn="J9").case("4", "ann", arrest_no=None, cjtn=None)
    cases = reconcile(desk).diversion_cases.to_pylist()
    assert [(c["da_case_no"], c["matched_by"]) for c in cases] == [
        ("s1:da/C1", "arrest_no"),
        ("s1:da/C2", "cjtn"),
    ]


def test_an_arrest_number_that_nobody_holds_is_not_mended_by_the_cjtn():
    found = reconcile(Desk().referred("1").case("1", arrest_no="A7"))
    assert found.diversion_cases.num_rows == 0
    assert [d["kind"] for d in found.discrepancies.to_pylist()] == ["arrest_unknown"]


def test_latest_decision_and_disposition():
    desk = Desk().referred("1").case("1")
    desk.decided("1", "HELD_IN_ABEYANCE", "2026-10-02").decided("1", "DIVERTED_LEAD", "2026-10-20")
    desk.decided("1", "PENDING_REVIEW", "2026-10-20", updated="2026-10-19T00:00:00")
    desk.disposed("1", "DISMISSED", "2026-11-01", "CPL_160_50")
    row = only(reconcile(desk).diversions)
    assert (row["decision"], row["decided_on"]) == ("DIVERTED_LEAD", day("2026-10-20"))
    assert (row["disposition"], row["sealed_under"]) == ("DISMISSED", "CPL_160_50")
    assert row["case_count"] == 1


def test_a_referral_with_two_cases_keeps_both():
    desk = Desk().referred("1").case("1").case("2", arrest_no="A1")
    desk.decided("1", "FILED", "2026-10-03").decided("2", "DECLINED", "2026-10-09")
    found = reconcile(desk)
    assert found.diversion_cases.num_rows == 2
    row = only(found.diversions)
    assert (row["case_count"], row["decision"], row["da_case_no"]) == (2, "DECLINED", "s1:da/C2")


# events -------------------------------------------------------------------------------------------


def test_justice_events_carry_source_category_and_seal():
    desk = Desk().referred("1").case("1").decided("1", "FILED", "2026-10-03")
    desk.add("police", "charges", POLICE, arrest_no="A1", charge_seq="2", law_category="F")
    desk.rows["da", "charges"][0]["filed_on"] = day("2026-10-03")
    desk.disposed("1", "ACQUITTED", "2026-11-01", "CPL_160_50")
    events = reconcile(desk).justice_events.to_pylist()
    assert [(e["event_type"], e["law_category"], e["source"]) for e in events] == [
        ("ARREST", "F", "police"),
        ("CHARGE_FILED", "M", "da"),
        ("DECISION", "M", "da"),
        ("DISPOSITION", "M", "da"),
    ]
    assert {e["sealed_under"] for e in events} == {"CPL_160_50"}
    assert {e["docket_no_token"] for e in events[1:]} == {"t1:docket_no/CR1"}


# disagreements ------------------------------------------------------------------------------------


def test_agreement_gives_no_discrepancy():
    desk = Desk().referred("1").case("1").decided("1", "DIVERTED_LEAD", "2026-10-20").client("1")
    assert kinds(desk.intake("1", "COMPLETED", "2026-10-10").episode("1", "2026-10-11")) == []


@pytest.mark.parametrize(
    ("kind", "desk"),
    [
        ("referral_unknown", Desk().client("9").intake("9", "COMPLETED", "2026-10-10")),
        ("person_differs", Desk().referred("1").client("1", "bob").intake("1", "COMPLETED", "2026-10-10")),
        (
            "providers_differ",
            Desk()
            .referred("1")
            .client("1")
            .episode("1", "2026-10-10")
            .client("1", feed=RIVERSIDE)
            .intake("1", "WINDOW_LAPSED", "2026-10-31", feed=RIVERSIDE),
        ),
        (
            "served_though_not_accepted",
            Desk().referred("1", accepted=False).client("1").intake("1", "COMPLETED", "2026-10-10"),
        ),
        ("arrest_unknown", Desk().case("1")),
        ("arrest_ambiguous", Desk().referred("1").referred("2").case("1", cjtn="J2")),
        (
            "diverted_though_not_held",
            Desk().referred("1", diverted=False).case("1").decided("1", "DIVERTED_LEAD", "2026-10-20"),
        ),
        ("restriction_unread", Desk().referred("1").case("1").refused("dispositions", "C1")),
        ("disputed", Desk().referred("1").case("1").disputed("1", "referral_status")),
    ],
)
def test_each_kind_of_discrepancy(kind, desk):
    found = only(reconcile(desk).discrepancies)
    assert found["kind"] == kind
    assert found["first_seen"] == NIGHT
    assert found["one_feed"] is not None
    assert found["one_says"] is not None


def test_every_kind_is_tested():
    marks = test_each_kind_of_discrepancy.pytestmark[0].args[1]
    assert {kind for kind, _ in marks} == set(discrepancies.KINDS)


def test_a_diversion_by_cjtn_is_checked_against_the_arrest_too():
    desk = Desk().referred("1", diverted=False).case("1", arrest_no=None)
    assert kinds(desk.decided("1", "DIVERTED_LEAD", "2026-10-20")) == ["diverted_though_not_held"]


def test_the_dispute_finds_the_row_by_the_partner_s_own_number():
    desk = Desk().referred("1").case("1").disputed("1", "referral_status")
    found = only(reconcile(desk).discrepancies)
    assert found["diversion_id"] == f"r1:{POLICE}/referrals/LR1"
    assert (found["one_says"], found["other_says"]) == ("referral_status:WRONG_STATUS", "REFERRED")


def test_first_seen_is_when_the_later_side_came_to_stand():
    desk = Desk().referred("1", accepted=False, landed_on="2026-10-03").client("1")
    desk.intake("1", "COMPLETED", "2026-10-10", landed_on="2026-10-12")
    assert only(reconcile(desk).discrepancies)["first_seen"] == "2026-10-12"


# determinism --------------------------------------------------------------------------------------


def _county() -> Desk:
    desk = Desk()
    for i in range(12):
        n = str(i)
        desk.referred(n, f"x{i}", accepted=i % 3 != 0).case(n, f"x{i}").client(n, f"x{i - i % 2}")
        desk.decided(n, "FILED", "2026-10-03").decided(n, "DIVERTED_LEAD", "2026-10-03")
        desk.intake(n, codes.INTAKE_OUTCOME[i % 6], "2026-10-10").episode(n, "2026-10-11")
        desk.client(n, f"x{i}", feed=RIVERSIDE).intake(n, "SCHEDULED", "2026-10-10", feed=RIVERSIDE)
    desk.disposed("1", "DISMISSED", "2026-11-01", sealed="CPL_160_50")
    return desk


@pytest.mark.parametrize("seed", range(5))
def test_t5_g2_shuffled_input_gives_the_same_bytes(seed):
    desk = _county()
    shuffled = desk.inputs(random.Random(seed).shuffle)
    other = casework.reconcile(shuffled, night=NIGHT, time_zone=ZONE)
    for name, table in reconcile(desk).tables().items():
        assert table.num_rows > 0
        assert table.equals(other.tables()[name]), name


def test_kinds_of_feed_that_never_came_are_empty():
    desk = Desk().referred("1")
    whole = desk.inputs()
    bare = dataclasses.replace(whole, da={}, provider={}, disputes={})
    found = casework.reconcile(bare, night=NIGHT, time_zone=ZONE)
    with_empty = casework.reconcile(whole, night=NIGHT, time_zone=ZONE)
    for name, table in found.tables().items():
        assert table.equals(with_empty.tables()[name]), name


def test_precedence_between_agencies_is_data():
    frames = Frames.of(
        Desk().referred("1").client("1").intake("1", "SCHEDULED", "2026-10-09").inputs(),
        night=NIGHT,
        time_zone=ZONE,
    )
    assert participants.SOURCES == ("police", "provider")
    assert participants.participant_status(frames)["participant_status"].to_list() == ["INTAKE_PENDING"]


def test_what_many_ask_of_the_same_frames_is_worked_out_once():
    asked = []

    @once
    def counted(frames: Frames) -> pl.DataFrame:
        asked.append(frames)
        return frames["da.cases"]

    one, other = (Frames.of(Desk().inputs(), night=NIGHT, time_zone=ZONE) for _ in "12")
    assert counted(one) is counted(one)
    assert counted(other) is not counted(one)
    assert [id(frames) for frames in asked] == [id(one), id(other)]
