"""What was over stays over: absence lifts nothing, and whoever still speaks may correct it."""

from datetime import date

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.casework import events
from leadhub.casework.frames import Frames
from leadhub.identity.keyed import to_arrow
from leadhub.permission import consent, consent_ends
from leadhub.permission.consent_ends import PAST
from tests.casework.desk import NIGHT, ZONE, Desk, day, moment
from tests.permission.agreement import AT, agreement

DA = agreement()
#: nights before and after the one on which the register saw what it remembers
BEFORE, LATER = {"landed_on": "2026-11-19"}, {"landed_on": "2026-11-21"}
#: of a client in treatment, and of a defendant
TREATED = {"expires_on": day("2027-10-05"), "expiry_event": "END_OF_TREATMENT"}
TRIED = {"consent_type": "PART2_CJ_2_35", "docket_no": "CR1", "expires_on": day("2027-10-05")}


def tables(desk: Desk):
    happened = events.justice_events(Frames.of(desk.inputs(), night=NIGHT, time_zone=ZONE))
    return desk.table("provider", "consents"), desk.table("provider", "episodes"), to_arrow(happened)


def seen(desk: Desk, past: pl.DataFrame | None = None) -> pl.DataFrame:
    """The register after a night that saw this."""
    lines, episodes, justice = tables(desk)
    found = consent_ends.over(lines, date.fromisoformat(NIGHT), episodes, justice)
    return found if past is None else pl.concat([past, found])


def reasons(desk: Desk, past: pl.DataFrame) -> dict[str, list[str]]:
    lines, episodes, justice = tables(desk)
    told = {"time_zone": ZONE, "episodes": episodes, "justice_events": justice, "past": past}
    found = consent.judged(lines, desk.table("provider", "clients"), DA, at=AT, **told)
    return {r["consent_id"].rpartition("/")[2]: r["reasons"] for r in found.to_dicts()}


def person() -> Desk:
    return Desk().referred("1").client("1")


def test_nothing_is_over_where_nothing_was_said():
    desk = person().case("1").consent("1", **TRIED).consent("1", consent_id="N2", **TREATED)
    assert seen(desk.episode("1", "2026-10-06")).rows() == []
    assert seen(desk).schema == pl.Schema(PAST)


# treatment ----------------------------------------------------------------------------------------


def treated(exited: str | None = "2026-10-20", **episode) -> Desk:
    return person().consent("1", **TREATED).episode("1", "2026-10-06", exited, **episode)


def test_a_treatment_that_ended_stays_ended_when_its_episode_is_gone():
    past = seen(treated())
    assert past["ended_on"].to_list() == [day("2026-10-20")]
    gone = person().consent("1", **TREATED)
    assert reasons(gone, past.clear()) == {"N1": []}, "the gap that is closed"
    assert reasons(gone, past) == {"N1": ["ended"]}
    assert reasons(gone.episode("1", "2026-11-02"), past) == {"N1": ["ended"]}, "another treatment"


def test_an_episode_that_is_still_sent_counts_as_it_is_sent():
    past = seen(treated())
    assert reasons(treated(None, **LATER), past) == {"N1": []}, "the exit was a mistake"
    assert reasons(treated("2026-12-24", **LATER), past) == {"N1": []}, "or is yet to come"
    assert reasons(treated("2026-10-22", **LATER), past) == {"N1": ["ended"]}


@pytest.mark.parametrize("exited", [None, "2026-12-24"])
def test_an_open_episode_of_a_restored_state_does_not_reopen_the_treatment(exited):
    past = seen(treated())
    assert reasons(treated(exited, **BEFORE), past) == {"N1": ["ended"]}
    other = treated(exited, **BEFORE).episode("1", "2026-11-02", **LATER)
    assert reasons(other, past) == {"N1": ["ended"]}, "nor does another treatment that began since"


def test_a_treatment_that_ended_again_needs_another_correction():
    past = seen(treated(**LATER), seen(treated(**BEFORE)))
    assert reasons(treated(None), past) == {"N1": ["ended"]}, "a backup from between"
    assert reasons(treated(None, landed_on="2026-11-22"), past) == {"N1": []}


def test_a_treatment_before_the_signature_is_not_the_one_consented_for():
    before = {"enrolled": "2026-09-01", "exited": "2026-09-30"}
    assert seen(person().consent("1", **TREATED).episode("1", **before)).height == 0


def test_a_line_that_rests_on_another_end_now_is_not_ended_by_the_old_one():
    past = seen(treated())
    assert reasons(person().consent("1", **TREATED | {"expiry_event": None}), past) == {"N1": []}


# proceedings --------------------------------------------------------------------------------------


def tried(disposed: str | None = "2026-11-01", **line) -> Desk:
    desk = person().case("1").consent("1", **TRIED | line)
    return desk.disposed("1", "PLEA", disposed) if disposed else desk


@pytest.mark.parametrize(
    "line", [{}, {"consent_type": "PART2_SPECIFIC", "expiry_event": "FINAL_DISPOSITION"}]
)
def test_a_proceeding_that_ended_stays_ended_when_its_case_or_disposition_is_gone(line):
    past = seen(tried(**line))
    assert past["ended_by"].to_list() == ["FINAL_DISPOSITION"]
    for forgotten in (tried(None, **line), person().consent("1", **TRIED | line)):
        assert reasons(forgotten, past.clear()) == {"N1": []}
        assert reasons(forgotten, past) == {"N1": ["ended"]}


def test_a_line_that_names_another_docket_now_is_not_ended_by_the_old_one():
    desk = tried(None).case("2", docket_no="CR2")
    past = seen(tried())
    assert reasons(desk, past) == {"N1": ["ended"]}
    desk.rows["provider", "consents"][0]["docket_no"] = "CR2"
    assert reasons(desk, past) == {"N1": []}


# revocations --------------------------------------------------------------------------------------


def test_a_revoked_line_that_is_gone_still_ends_what_was_signed_before_it():
    taken_back = {"consent_id": "N2", "revoked_at": moment("2026-11-01T15:00:00")}
    past = seen(person().consent("1").consent("1", **taken_back))
    first = person().consent("1")
    assert reasons(first, past) == {"N1": ["revoked"]}
    later = first.consent("1", consent_id="N3", signed_on=day("2026-11-02"))
    assert reasons(later, past) == {"N1": ["revoked"], "N3": []}
    corrected = first.consent("1", consent_id="N2", **LATER)
    assert reasons(corrected, past)["N1"] == [], "its provider's word: a mistake"


@pytest.mark.parametrize("signed", [{}, {"signed_on": day("2026-11-03")}])
def test_a_line_of_a_restored_state_is_revoked_as_it_was(signed):
    revoked = {"revoked_at": moment("2026-11-01T15:00:00")}
    past = seen(person().consent("1", **signed, **revoked))
    assert reasons(person().consent("1", **signed, **BEFORE), past) == {"N1": ["revoked"]}
    assert reasons(person().consent("1", **signed, **LATER), past) == {"N1": []}
    again = seen(person().consent("1", **signed, **revoked, landed_on="2026-11-22"), past)
    assert reasons(person().consent("1", **signed, **LATER), again) == {"N1": ["revoked"]}


@pytest.mark.parametrize(
    "other", [{"recipient": "police"}, {"info_category": "ATTENDANCE"}, {"client_id": "K2"}]
)
def test_a_remembered_revocation_for_somebody_or_something_else_leaves_a_line(other):
    taken_back = {"consent_id": "N2", "revoked_at": moment("2026-11-01T15:00:00")} | other
    past = seen(person().client("2").consent("1").consent("1", **taken_back))
    assert reasons(person().client("2").consent("1"), past) == {"N1": []}


DAYS = st.integers(1, 19).map(lambda n: f"2026-11-{n:02d}")


@given(
    st.lists(st.tuples(DAYS, DAYS | st.none(), st.booleans()), min_size=1, max_size=4),
    st.sampled_from([TREATED, TRIED, {}]),
    st.booleans(),
)
@settings(max_examples=15, deadline=None)
def test_law_what_a_night_saw_over_no_absence_revives(stays, ends, disposed):
    """Whatever line did not count for its end or a revocation does not count with everything taken away."""
    desk = person().case("1")
    for n, (begun, until, revoked) in enumerate(stays):
        at = moment(f"{begun}T15:00:00") if revoked else None
        desk.consent("1", consent_id=f"N{n}", **ends | {"signed_on": day("2026-10-05"), "revoked_at": at})
        if until is None or until >= begun:
            desk.episode("1", begun, until)
    if disposed:
        desk.disposed("1", "PLEA", "2026-11-10")
    past = seen(desk)
    over = {n for n, why in reasons(desk, past).items() if {"ended", "revoked"} & set(why)}
    unrevoked = {f"N{n}" for n, (_, _, revoked) in enumerate(stays) if not revoked}
    left = person()
    for n in sorted(over & unrevoked):
        left.consent("1", consent_id=n, **ends | {"signed_on": day("2026-10-05")})
    assert all(reasons(left, past).values())
