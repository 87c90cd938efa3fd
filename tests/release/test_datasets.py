"""What a partner is told depends on what it may be told of, and on nothing else.

LEAD's golden rule as a law: whatever providers send, leave out or get wrong, rows that no consent covers
stay the same to the byte.
"""

from datetime import timedelta

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub import casework
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.settings import REPOSITORY
from leadhub.permission import agreements, disclosure, gate
from leadhub.permission.agreements import Agreement
from leadhub.release import datasets, encoding
from schemas import codes, releases
from schemas.contract import facts
from tests.casework.desk import DA as DA_FEED
from tests.casework.desk import HARBOR, NIGHT, POLICE, RIVERSIDE, ZONE, Desk, day, moment
from tests.permission.agreement import AT, active

ALL = agreements.load_all(REPOSITORY / "agreements").found
DA, POLICE_BACK = ALL["district_attorney__diversion_status"], ALL["police__referral_outcomes"]
EVENTS = ALL["harbor_case_management__client_justice_events"]
OF_PERSONS = {name: held for name, held in ALL.items() if held.identifiability == "identified_by_own_id"}
RECIPIENTS = {DA.id: "district_attorney", POLICE_BACK.id: "police"}


def build(
    desk: Desk, agreement: Agreement = DA, *, bits: float = 20.0, own_feeds=None
) -> disclosure.Disclosed:
    """As `steps.publish` does it; every record of the police is linked to every client and defendant of its
    person."""
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    consenting = active(desk, found, agreement)
    clients, crosswalk = desk.table("provider", "clients"), desk.inputs().crosswalk
    walk = pl.DataFrame(pl.from_arrow(crosswalk))
    pairs = walk.filter(pl.col("feed").is_in([HARBOR, DA_FEED])).join(
        walk.filter(pl.col("feed") == POLICE), on="person_id", suffix="_other"
    )
    known = disclosure.own_clients(
        clients,
        crosswalk,
        pairs.select(
            left="record_id", right="record_id_other", weight_bits=pl.lit(bits), status=pl.lit("linked")
        ).to_arrow(),
        consenting,
        agreement,
        own_feeds=[HARBOR],
    )
    said = pl.DataFrame(pl.from_arrow(found.statements))
    permitted = disclosure.permit(said, consenting)
    needs = gate.compiled(agreement, facts(releases.RELEASES[agreement.dataset]))
    return datasets.build(agreement, datasets.Sources(found, permitted, known, own_feeds), needs)


def only(table: pa.Table) -> dict:
    rows = table.to_pylist()
    assert len(rows) == 1
    return rows[0]


def told(desk: Desk) -> Desk:
    """Diversion 1 with its case and a completed intake."""
    return desk.referred("1").case("1").client("1").intake("1", "COMPLETED", "2026-10-10")


# the three datasets -------------------------------------------------------------------------------


def test_diversion_status_with_consent():
    found = build(told(Desk()).consent("1"))
    assert only(found.rows) == {
        "da_case_no": "s1:da/C1",
        "da_defendant_id": "s1:da/D1",
        "referral_status": "REFERRED",
        "referral_on": day("2026-10-01"),
        "charges_held_until": day("2026-10-31"),
        "diversion_status": "INTAKE_COMPLETE",
        "status_on": day("2026-10-10"),
    }
    ground = only(found.grounds)
    assert (ground["person_id"], ground["consent_id"]) == ("p1:ann", "s1:harbor/N1")
    assert "2.31" in ground["legal_basis"]


def test_diversion_status_without_consent_rests_on_the_justice_record():
    found = build(told(Desk()))
    row = only(found.rows)
    assert (row["diversion_status"], row["status_on"]) == ("NO_INFORMATION", None)
    ground = only(found.grounds)
    assert ground["consent_id"] is None
    assert "memorandum" in ground["legal_basis"]
    assert found.withheld["no_consent"] == 1


def test_the_grain_is_a_case_of_an_arrest_diversion():
    desk = told(Desk()).case("2", arrest_no="A1").referred("3").case("4", arrest_no=None, cjtn=None)
    desk.referred("5", referral_door="SOCIAL_CONTACT").case("5")
    found = build(desk)
    assert found.rows["da_case_no"].to_pylist() == ["s1:da/C1", "s1:da/C2"]
    assert found.grounds.num_rows == 2


def test_of_two_referrals_of_one_arrest_the_later_counts():
    desk = Desk().referred("1", accepted=False).case("1")
    again = dict(desk.rows["police", "referrals"][0])
    again |= {"referral_no": "LR1b", "contact_at": moment("2026-10-05T12:00:00"), "accepted": True}
    desk.rows["police", "referrals"].append(again)
    row = only(build(desk).rows)
    assert (row["referral_status"], row["referral_on"]) == ("REFERRED", day("2026-10-05"))


def test_a_2_35_consent_tells_of_its_own_proceeding_alone():
    desk = told(Desk()).case("2", arrest_no="A1")
    desk.consent("1", consent_type="PART2_CJ_2_35", docket_no="CR2")
    rows = build(desk).rows.to_pylist()
    assert {r["da_case_no"]: r["diversion_status"] for r in rows} == {
        "s1:da/C1": "NO_INFORMATION",
        "s1:da/C2": "INTAKE_COMPLETE",
    }


def test_referral_outcomes():
    desk = told(Desk()).decided("1", "DIVERTED_LEAD", "2026-10-20").episode("1", "2026-10-11")
    row = only(build(desk.consent("1", recipient="police"), POLICE_BACK).rows)
    assert row == {
        "referral_no": f"s1:{POLICE}/LR1",
        "referral_status": "REFERRED",
        "intake_status": "INTAKE_COMPLETE",
        "intake_status_on": day("2026-10-10"),
        "da_decision": "DIVERTED_LEAD",
        "da_decision_on": day("2026-10-20"),
    }
    # enrolment is not for the police, whatever was consented to
    assert only(build(told(Desk()), POLICE_BACK).rows)["intake_status"] == "NO_INFORMATION"


def test_a_consent_for_the_da_tells_the_police_nothing():
    assert only(build(told(Desk()).consent("1"), POLICE_BACK).rows)["intake_status"] == "NO_INFORMATION"


def test_client_justice_events():
    line = {"recipient": "harbor_case_management", "info_category": "JUSTICE_EVENTS"}
    desk = told(Desk()).decided("1", "FILED", "2026-10-03").referred("2", "bob").client("2", "bob")
    found = build(desk.consent("1", **line), EVENTS)
    assert {r["client_id"] for r in found.rows.to_pylist()} == {"s1:harbor/K1"}
    assert [r["event_type"] for r in found.rows.to_pylist()] == ["ARREST", "DECISION"]
    assert set(found.grounds["consent_id"].to_pylist()) == {"s1:harbor/N1"}
    assert build(desk, EVENTS, bits=5.9).rows.num_rows == 0, "evidence weaker than agreed"


def test_another_provider_s_clients_are_not_this_one_s():
    line = {"recipient": "harbor_case_management", "info_category": "JUSTICE_EVENTS"}
    desk = Desk().referred("1").client("1", feed=RIVERSIDE).consent("1", feed=RIVERSIDE, **line)
    assert build(desk, EVENTS).rows.num_rows == 0


def test_another_agency_s_rows_are_left_out_before_their_ids_are_opened():
    assert build(told(Desk()), own_feeds=[DA_FEED]).rows.num_rows == 1
    assert build(told(Desk()), own_feeds=["other_da"]).rows.num_rows == 0
    assert build(told(Desk()), POLICE_BACK, own_feeds=["other_police"]).rows.num_rows == 0


@pytest.mark.parametrize("seal", codes.SEAL_TYPE)
def test_a_sealed_record_leaves_every_dataset(seal):
    line = {"recipient": "harbor_case_management", "info_category": "JUSTICE_EVENTS"}
    desk = told(Desk()).consent("1").consent("1", **line).decided("1", "FILED", "2026-10-03")
    desk.disposed("1", "DISMISSED", "2026-11-01", seal)
    for agreement in OF_PERSONS.values():
        found = build(desk, agreement)
        assert found.rows.num_rows == found.grounds.num_rows == 0, agreement.id
        assert found.withheld["sealed"] > 0


def test_a_person_whom_nobody_can_account_for_is_not_disclosed():
    desk = told(Desk()).consent("1")
    del desk.crosswalk[f"r1:{POLICE}/persons/M1"]
    found = build(desk)
    assert found.rows.num_rows == 0
    assert found.withheld["person_unknown"] == 1


@pytest.mark.parametrize("agreement", OF_PERSONS.values(), ids=OF_PERSONS)
def test_g7_rows_are_those_of_the_release_contract_and_hold_no_person_id(agreement):
    line = {"recipient": "harbor_case_management", "info_category": "JUSTICE_EVENTS"}
    desk = told(Desk()).consent("1").consent("1", recipient="police").consent("1", **line)
    found = build(desk.decided("1", "FILED", "2026-10-03"), agreement)
    assert found.rows.num_rows > 0
    assert found.rows.column_names == agreement.columns
    own = {
        c.name for c in facts(releases.RELEASES[agreement.dataset]).columns if c.sensitivity == "local_id"
    }
    for name in found.rows.column_names:
        for value in found.rows[name].to_pylist():
            assert str(value).startswith("s1:") == (name in own)
            assert not str(value).startswith(("p1:", "r1:", "t1:"))


def test_g6_an_agreement_by_numbers_gets_no_dataset_by_person():
    numbers = EVENTS.model_copy(update={"link_evidence": DA.link_evidence})
    with pytest.raises(TerminalError, match="agreement_invalid"):
        build(told(Desk()), numbers)


def test_a_dataset_that_nobody_builds():
    none = datasets.Sources(None, disclosure.Permitted(pl.DataFrame(), {}), pl.DataFrame())
    with pytest.raises(TerminalError, match="agreement_invalid"):
        datasets.build(DA.model_copy(update={"dataset": "gossip"}), none, gate.Gate({}, {}))


# the golden rule ----------------------------------------------------------------------------------

DAYS = st.integers(-60, 20).map(lambda n: day(NIGHT) + timedelta(days=n))
PEOPLE = ["0", "1", "2", "3"]
#: what the provider holds of one client, and which referral it quotes, rightly or wrongly
COURSE = st.fixed_dictionaries(
    {
        "feed": st.sampled_from([HARBOR, RIVERSIDE]),
        "person": st.sampled_from([*PEOPLE, "stranger", None]),
        "quotes": st.sampled_from([*PEOPLE, "9"]),
        "part2": st.booleans(),
        "intakes": st.lists(st.tuples(st.sampled_from(codes.INTAKE_OUTCOME), DAYS), max_size=3),
        "episodes": st.lists(st.tuples(DAYS, st.none() | st.integers(0, 40)), max_size=2),
    }
)
#: consent lines that do not cover this partner now, each for another reason
NO_CONSENT = [
    None,
    {"recipient": "housing"},
    {"info_category": "ATTENDANCE"},
    {"purpose": "PAYMENT"},
    {"consent_type": "PART2_TPO"},
    {"consent_type": "HMIS_ROI"},
    {"signed_on": day("2026-11-21")},
    {"expires_on": day("2026-11-19")},
    {"revoked_at": AT},
    {"consent_type": "PART2_CJ_2_35"},
    {"consent_type": "PART2_CJ_2_35", "docket_no": "CR-of-nobody"},
]
UNCOVERED = st.lists(st.tuples(COURSE, st.sampled_from(NO_CONSENT)), max_size=4)
COVERED = st.lists(COURSE, max_size=3)


def _county(
    recipient: str, covered: list, uncovered: list, taken_for: dict[str, str] | None = None
) -> Desk:
    """Four diversions that are the same each time, and what providers hold besides."""
    desk = Desk()
    desk.taken_for = taken_for or {}
    for n in PEOPLE:
        desk.referred(n, n, accepted=n != "3").case(n, n).decided(n, "FILED", "2026-10-03")
    for place, course in enumerate(covered):
        number = f"c{place}"
        _client(desk, number, course)
        desk.consent(number, feed=course["feed"], recipient=recipient)
    for place, (course, line) in enumerate(uncovered):
        number = f"u{place}"
        _client(desk, number, course)
        if line is not None:
            desk.consent(number, feed=course["feed"], **({"recipient": recipient} | line))
    return desk


def _client(desk: Desk, number: str, course: dict) -> None:
    desk.client(number, course["person"], feed=course["feed"], part2=course["part2"])
    quoted = {"feed": course["feed"], "referral_no": f"LR{course['quotes']}"}
    for outcome, on in course["intakes"]:
        desk.intake(number, outcome, on.isoformat(), **quoted)
    for enrolled, stay in course["episodes"]:
        exited = None if stay is None else (enrolled + timedelta(days=stay)).isoformat()
        desk.episode(number, enrolled.isoformat(), exited, **quoted)


def _bytes(desk: Desk, agreement: Agreement) -> bytes:
    rows = build(desk, agreement).rows
    assert rows.num_rows == len(PEOPLE)
    return encoding.parquet(rows) + encoding.csv(rows)


@pytest.mark.parametrize("agreement", [DA, POLICE_BACK], ids=lambda a: a.partner)
@given(
    covered=COVERED,
    one=UNCOVERED,
    other=UNCOVERED,
    taken_for=st.dictionaries(st.sampled_from([*PEOPLE, "stranger"]), st.sampled_from(["x", *PEOPLE])),
)
@settings(max_examples=40, deadline=None)
def test_t3_golden_rule_what_no_consent_covers_changes_no_byte(agreement, covered, one, other, taken_for):
    """Nor does it matter whom the crosswalk takes anybody for: any record may have moved it."""
    recipient = RECIPIENTS[agreement.id]
    assert _bytes(_county(recipient, covered, one), agreement) == _bytes(
        _county(recipient, covered, other, taken_for), agreement
    )


@pytest.mark.parametrize("agreement", [DA, POLICE_BACK], ids=lambda a: a.partner)
@given(uncovered=UNCOVERED, merged=st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(["x", "y"])))
@settings(max_examples=25, deadline=None)
def test_golden_rule_without_consent_it_is_as_if_there_were_no_provider(agreement, uncovered, merged):
    """Nor does it matter whom linkage takes anybody for, bridged by a provider's row or not."""
    recipient = RECIPIENTS[agreement.id]
    bare = _county(recipient, [], [])
    for name in ("clients", "consents", "intakes", "episodes"):
        assert bare.rows["provider", name] == []
    assert _bytes(_county(recipient, [], uncovered, merged), agreement) == _bytes(bare, agreement)


@pytest.mark.parametrize("agreement", [DA, POLICE_BACK], ids=lambda a: a.partner)
@given(covered=COVERED, uncovered=UNCOVERED)
@settings(max_examples=25, deadline=None)
def test_golden_rule_consent_of_one_person_moves_no_row_of_another(agreement, covered, uncovered):
    recipient = RECIPIENTS[agreement.id]
    plain = build(_county(recipient, [], uncovered), agreement).rows.to_pylist()
    spoken = build(_county(recipient, covered, uncovered), agreement).rows.to_pylist()
    own = agreement.columns[0]
    assert [r[own] for r in spoken] == [r[own] for r in plain], "the order tells nothing"
    quoted = {c["quotes"] for c in covered if c["person"] == c["quotes"]}
    for before, after in zip(plain, spoken):
        if before != after:
            assert before[own][-1] in quoted


def test_the_golden_rule_test_would_notice():
    """A consented course does change the DA's bytes, so that equality above says something."""
    course = {
        "feed": HARBOR,
        "person": "0",
        "quotes": "0",
        "part2": True,
        "intakes": [("COMPLETED", day("2026-10-10"))],
        "episodes": [],
    }
    silent, spoken = (
        _county("district_attorney", [], [(course, None)]),
        _county("district_attorney", [course], []),
    )
    assert _bytes(silent, DA) != _bytes(spoken, DA)


@pytest.mark.parametrize("outcome", ["NO_SHOW", "REFUSED", "UNABLE_TO_LOCATE"])
@pytest.mark.parametrize("agreement", [DA, POLICE_BACK], ids=lambda a: a.partner)
def test_golden_rule_bad_news_is_no_news_even_with_consent(agreement, outcome):
    course = {
        "feed": HARBOR,
        "person": "0",
        "quotes": "0",
        "part2": True,
        "intakes": [(outcome, day("2026-10-10"))],
        "episodes": [],
    }
    recipient = RECIPIENTS[agreement.id]
    with_bad_news = _county(recipient, [course], [])
    with_no_news = _county(recipient, [course | {"intakes": []}], [])
    assert _bytes(with_bad_news, agreement) == _bytes(with_no_news, agreement)
    assert _bytes(with_bad_news, agreement) == _bytes(_county(recipient, [], []), agreement)
