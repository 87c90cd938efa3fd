"""Consent: named recipient, named information, now. Everything else is no."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub import casework
from leadhub.permission import consent
from schemas import codes
from tests.casework.desk import HARBOR, NIGHT, RIVERSIDE, ZONE, Desk, day, moment
from tests.permission.agreement import AT, active, agreement

DA = agreement()


def asked(desk: Desk, at: datetime = AT):
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    return active(desk, found, DA, at)


def counts(desk: Desk, at: datetime = AT) -> bool:
    return asked(desk, at).height > 0


def reasons(desk: Desk, at: datetime = AT) -> list[list[str]]:
    found = consent.judged(
        desk.table("provider", "consents"), desk.table("provider", "clients"), DA, at=at, time_zone=ZONE
    )
    return found["reasons"].to_list()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({}, []),
        ({"signed_on": day(NIGHT)}, []),
        ({"signed_on": day("2026-11-21")}, ["not_yet_signed"]),
        ({"expires_on": day(NIGHT)}, []),
        ({"expires_on": day("2026-11-19")}, ["expired"]),
        ({"revoked_at": moment("2026-11-20T09:59:59")}, ["revoked"]),
        ({"revoked_at": moment("2026-11-20T10:00:00")}, ["revoked"]),
        ({"revoked_at": moment("2026-11-20T10:00:01")}, []),
        ({"purpose": "PAYMENT"}, ["other_purpose"]),
        ({"consent_type": "LEAD_ROI"}, ["type_not_sufficient"]),
        ({"consent_type": "LEAD_ROI", "expires_on": day("2026-01-01")}, ["expired", "type_not_sufficient"]),
        ({"expires_on": None, "expiry_event": "NONE"}, ["end_unknown"]),
        ({"discloser": None}, ["discloser_missing"]),
        ({"revocable": None}, ["revocation_right_missing"]),
        ({"signer": None}, ["signature_missing"]),
        ({"signer": "PARENT"}, ["signer_not_sufficient"]),
        ({"signer": "PATIENT_AND_PARENT"}, []),
        ({"signer": "GUARDIAN"}, []),
        ({"known_false": True}, ["known_false"]),
        ({"consent_type": "PART2_TPO"}, ["tpo_statement_missing", "type_not_sufficient"]),
        ({"consent_type": "PART2_TPO", "tpo_statement": True}, ["type_not_sufficient"]),
        ({"expires_on": None, "expiry_event": "END_OF_TREATMENT"}, ["end_unknown"]),
        ({"consent_type": "PART2_CJ_2_35"}, ["no_proceeding"]),
    ],
)
def test_reasons_of_a_line(line, expected):
    assert AT.astimezone(UTC) == moment("2026-11-20T10:00:00"), "a tie is revoked"
    assert reasons(Desk().client("1").consent("1", **line)) == [expected]


def test_a_form_that_part_2_asks_for_is_not_asked_of_a_general_release():
    line = {"consent_type": "LEAD_ROI", "discloser": None, "signer": "PARENT", "revocable": None}
    assert counts(Desk().client("1", part2=False).consent("1", **line))
    assert not counts(Desk().client("1", part2=False).consent("1", **line | {"known_false": True}))


def test_every_reason_is_explained_with_its_law():
    told = {r.id: r for r in consent.law().reasons}
    worst = {
        "signed_on": day("2027-01-01"),
        "expires_on": None,
        "revoked_at": moment("2026-11-01T15:00:00"),
        "discloser": None,
        "revocable": None,
        "known_false": True,
        "consent_type": "PART2_TPO",
        "purpose": "PAYMENT",
    }
    signers = {"signer": None}, {"signer": "PARENT"}
    ends = {}, {"expires_on": day("2026-01-01")}, {"consent_type": "PART2_CJ_2_35"}
    seen = {
        reason
        for who in signers
        for end in ends
        for reason in reasons(Desk().client("1").consent("1", **worst | who | end))[0]
    }
    assert seen == set(told) - {"ended", "not_asked_for", "in_doubt"}
    assert all(r.citation for r in told.values())


@pytest.mark.parametrize(
    "line", [{"recipient": "police"}, {"info_category": "ATTENDANCE"}, {"client_id": "K2"}]
)
def test_a_line_for_somebody_or_something_else_says_nothing(line):
    desk = Desk().client("1").client("2").consent("1", **line)
    assert asked(desk)["client_id"].to_list() == (["s1:harbor/K2"] if "client_id" in line else [])


def test_a_client_id_of_another_provider_is_another_client():
    desk = Desk().client("1").client("1", feed=RIVERSIDE).consent("1", feed=RIVERSIDE)
    assert asked(desk)["feed"].to_list() == [RIVERSIDE]


# types --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", codes.CONSENT_TYPE)
@pytest.mark.parametrize("part2", [True, False])
def test_a_general_release_never_satisfies_part_2(kind, part2):
    sufficient = {"PART2_SPECIFIC", "PART2_CJ_2_35"} | (set() if part2 else {"LEAD_ROI"})
    desk = Desk().client("1", part2=part2).consent("1", consent_type=kind, docket_no="CR1")
    assert counts(desk) == (kind in sufficient)


def test_a_client_nobody_describes_is_a_part_2_patient():
    assert not counts(Desk().consent("1", consent_type="LEAD_ROI"))
    assert counts(Desk().consent("1"))


def test_a_2_35_consent_without_a_proceeding_is_none():
    assert not counts(Desk().client("1").consent("1", consent_type="PART2_CJ_2_35"))


# revocation ---------------------------------------------------------------------------------------


def test_g8_who_takes_one_consent_back_takes_back_what_was_signed_before():
    desk = (
        Desk()
        .client("1")
        .consent("1")
        .consent(
            "1", consent_id="N2", signed_on=day("2026-10-20"), revoked_at=moment("2026-11-01T15:00:00")
        )
    )
    assert reasons(desk) == [["revoked"], ["revoked"]]
    assert not counts(desk)
    assert counts(desk, AT - timedelta(days=30)), "not before it was revoked"


def test_f30_a_consent_of_the_day_of_revocation_is_revoked_by_the_site_s_calendar():
    # 02:00 UTC on the 2nd is the evening of the 1st where the site is
    revoked = {"consent_id": "N2", "revoked_at": moment("2026-11-02T02:00:00")}
    tie = Desk().client("1").consent("1", signed_on=day("2026-11-01")).consent("1", **revoked)
    assert not counts(tie)
    later = Desk().client("1").consent("1", signed_on=day("2026-11-02")).consent("1", **revoked)
    assert counts(later)


def test_f38_given_again_counts_from_then_on():
    desk = Desk().client("1").consent("1", revoked_at=moment("2026-10-10T15:00:00"))
    assert not counts(desk)
    assert counts(desk.consent("1", consent_id="N2", signed_on=day("2026-10-11")))


@pytest.mark.parametrize(
    "other", [{"recipient": "police"}, {"info_category": "ATTENDANCE"}, {"client_id": "K2"}]
)
def test_a_revocation_for_somebody_or_something_else_leaves_this_line(other):
    desk = Desk().client("1").client("2").consent("1")
    desk.consent("1", consent_id="N2", revoked_at=moment("2026-11-01T15:00:00"), **other)
    assert asked(desk)["client_id"].to_list() == ["s1:harbor/K1"]


# ends ---------------------------------------------------------------------------------------------


def test_a_consent_until_the_end_of_treatment_ends_with_the_last_episode():
    line = {"expires_on": None, "expiry_event": "END_OF_TREATMENT"}
    desk = Desk().referred("1").client("1").consent("1", **line)
    assert counts(desk), "treatment has not ended before it began"
    assert counts(desk.episode("1", "2026-10-10"))
    desk.episode("1", "2026-10-01", "2026-10-09")
    assert counts(desk), "one episode is open"
    ended = Desk().referred("1").client("1").consent("1", **line).episode("1", "2026-10-01", NIGHT)
    assert not counts(ended)


def test_a_2_35_consent_ends_with_the_disposition_whatever_its_date_says():
    """42 CFR 2.35(c): no later than the final disposition of the action."""
    line = {"consent_type": "PART2_CJ_2_35", "docket_no": "CR1"}
    desk = Desk().referred("1").case("1").client("1").consent("1", **line)
    assert asked(desk)["docket_no_token"].to_list() == ["t1:docket_no/CR1"]
    assert not counts(desk.disposed("1", "PLEA", "2026-11-01"))


def test_a_final_disposition_of_no_named_proceeding_is_unknown():
    line = {"expires_on": None, "expiry_event": "FINAL_DISPOSITION"}
    assert not counts(Desk().client("1").consent("1", **line))
    known = Desk().referred("1").case("1").client("1").consent("1", docket_no="CR1", **line)
    known.rows["da", "charges"][0]["filed_on"] = day("2026-10-05")
    assert counts(known)
    mistyped = Desk().referred("1").case("1").client("1").consent("1", docket_no="CR-1", **line)
    assert not counts(mistyped), "a docket that no known case bears would let it count for ever"


@pytest.mark.parametrize(
    ("refused", "in_doubt"),
    [
        ([], []),
        ([(HARBOR, "1", "N9")], ["N1", "N2"]),
        ([(HARBOR, "2", None)], ["N3"]),
        ([(HARBOR, None, None)], ["N1", "N2", "N3"]),
        ([(RIVERSIDE, "1", None)], ["N4"]),
        ([(HARBOR, "9", "N1")], ["N1"]),
    ],
)
def test_a_refused_row_puts_whom_it_names_in_doubt_and_everybody_where_it_names_nobody(refused, in_doubt):
    """It may have been a revocation, of any of their lines, that nobody could read."""
    desk = Desk().client("1").consent("1").consent("1", consent_id="N2").client("2")
    desk.consent("2", consent_id="N3").client("1", feed=RIVERSIDE)
    desk.consent("1", feed=RIVERSIDE, consent_id="N4")
    tables = [desk.table("provider", n) for n in ("consents", "clients")]
    line = {r["consent_id"].rpartition("/")[2]: r["record_id"] for r in tables[0].to_pylist()}
    rows = [(feed, n and f"s1:{feed}/K{n}", line.get(which), None) for feed, n, which in refused]
    doubted = pl.DataFrame(rows, consent.DOUBTED, orient="row")
    found = consent.judged(*tables, DA, at=AT, time_zone=ZONE, doubted=doubted)
    told = {r["consent_id"].rpartition("/")[2]: r["reasons"] for r in found.to_dicts()}
    assert told == {n: ["in_doubt"] if n in in_doubt else [] for n in ("N1", "N2", "N3", "N4")}


@pytest.mark.parametrize(("client", "in_doubt"), [("1", ["N1"]), (None, ["N1", "N3"]), ("9", [])])
def test_a_refused_episode_puts_in_doubt_what_ends_with_the_treatment_alone(client, in_doubt):
    """It may have been the exit."""
    ends = {"expiry_event": "END_OF_TREATMENT"}
    desk = Desk().client("1").consent("1", **ends).consent("1", consent_id="N2").client("2")
    desk.consent("2", consent_id="N3", **ends).consent("2", consent_id="N4", expiry_event="NONE")
    desk.episode("1", "2026-10-06").episode("2", "2026-10-06")
    rows = [(HARBOR, client and f"s1:{HARBOR}/K{client}", None, "END_OF_TREATMENT")]
    lines, clients, episodes = (desk.table("provider", n) for n in ("consents", "clients", "episodes"))
    doubted = pl.DataFrame(rows, consent.DOUBTED, orient="row")
    told = {"time_zone": ZONE, "episodes": episodes, "doubted": doubted}
    found = consent.judged(lines, clients, DA, at=AT, **told)
    reasons = {r["consent_id"].rpartition("/")[2]: r["reasons"] for r in found.to_dicts()}
    assert reasons == {n: ["in_doubt"] if n in in_doubt else [] for n in ("N1", "N2", "N3", "N4")}


@pytest.mark.parametrize("kind", ["PART2_SPECIFIC", "PART2_CJ_2_35"])
def test_that_a_consent_stands_until_an_event_is_for_a_proceeding_s_alone(kind):
    line = {"consent_type": kind, "docket_no": "CR1", "revocable": "NOT_BEFORE_EVENT"}
    [found] = reasons(Desk().client("1").consent("1", **line))
    assert ("revocation_right_missing" in found) == (kind == "PART2_SPECIFIC")


def test_g6_without_the_tables_that_show_the_end_the_answer_is_no():
    desk = Desk().client("1").consent("1", expires_on=None, expiry_event="END_OF_TREATMENT")
    found = consent.active(
        desk.table("provider", "consents"), desk.table("provider", "clients"), DA, at=AT, time_zone=ZONE
    )
    assert found.height == 0


# at a moment --------------------------------------------------------------------------------------


def test_valid_at_says_of_every_line_which_agreement_asks_and_why_not():
    desk = Desk().client("1").consent("1").consent("1", recipient="housing")
    desk.consent("1", consent_id="N2", info_category="ATTENDANCE", revoked_at=moment("2026-11-01T15:00:00"))
    tables = [desk.table("provider", n) for n in ("consents", "clients")]

    def told(at):
        found = consent.valid_at(*tables, [DA], at=at, time_zone=ZONE)
        return [
            (r["recipient"], r["info_category"], r["agreement"], r["reasons"]) for r in found.to_dicts()
        ]

    assert told(AT) == [
        ("district_attorney", "PROGRAMME_STATUS", DA.id, []),
        ("housing", "PROGRAMME_STATUS", None, ["not_asked_for"]),
        ("district_attorney", "ATTENDANCE", None, ["not_asked_for"]),
    ]
    assert told(AT - timedelta(days=90))[0][3] == ["not_yet_signed"]
    assert consent.valid_at(*tables, [], at=AT, time_zone=ZONE)["agreement"].null_count() == 3


# state --------------------------------------------------------------------------------------------


def test_state_names_who_consents_now_and_nothing_else():
    desk = Desk().client("1").client("2").consent("1")
    before = consent.state(asked(desk))
    assert consent.state(asked(desk.consent("2", recipient="police"))) == before
    assert consent.state(asked(desk.consent("2"))) != before


DAYS = st.integers(-40, 40).map(lambda n: day(NIGHT) + timedelta(days=n))
LINES = st.lists(
    st.fixed_dictionaries(
        {
            "consent_type": st.sampled_from(codes.CONSENT_TYPE),
            "recipient": st.sampled_from(["district_attorney", "police"]),
            "info_category": st.sampled_from(["PROGRAMME_STATUS", "ATTENDANCE"]),
            "purpose": st.sampled_from(codes.CONSENT_PURPOSE),
            "signed_on": DAYS,
            "expires_on": DAYS | st.none(),
            "expiry_event": st.sampled_from([*codes.EXPIRY_EVENT, None]),
            "docket_no": st.sampled_from(["CR1", None]),
            "revoked_at": st.none() | st.integers(-900, 900).map(lambda h: AT + timedelta(hours=h)),
        }
    ),
    max_size=5,
)


@given(LINES, st.booleans())
@settings(max_examples=80, deadline=None)
def test_law_whoever_counts_has_a_line_that_says_so(lines, part2):
    """The rule of 42 CFR 2.31 written again, line by line, as plainly as possible."""
    desk = Desk().client("1", part2=part2)
    for number, line in enumerate(lines):
        desk.consent("1", consent_id=f"N{number}", **line)
    types = {"PART2_SPECIFIC", "PART2_CJ_2_35"} | (set() if part2 else {"LEAD_ROI"})
    today = AT.date()
    good = {
        f"s1:{HARBOR}/N{n}"
        for n, li in enumerate(lines)
        if li["recipient"] == "district_attorney"
        and li["info_category"] == "PROGRAMME_STATUS"
        and li["purpose"] == "DIVERSION_COORDINATION"
        and li["consent_type"] in types
        and li["signed_on"] <= today
        and (li["expires_on"] is None or li["expires_on"] >= today)
        and (li["revoked_at"] is None or li["revoked_at"] > AT)
    }
    found = asked(desk)
    assert set(found["consent_id"]) <= good
    plain = {
        f"s1:{HARBOR}/N{n}"
        for n, li in enumerate(lines)
        if li["expires_on"] is not None
        and li["expiry_event"] in (None, "NONE")
        and li["consent_type"] == "PART2_SPECIFIC"
    }
    if not any(li["revoked_at"] and li["revoked_at"] <= AT for li in lines):
        assert bool(good & plain) <= (found.height > 0), "and what is plainly in order does count"
