"""Persons counted once, by the police's own words; nothing of a provider moves a count."""

import polars as pl

from leadhub import casework
from leadhub.casework.referred import persons_referred
from tests.casework.desk import NIGHT, POLICE, ZONE, Desk, day, moment

ACCEPTED = {"offered": True, "accepted": True}
DECLINED = {"offered": True, "accepted": False}


def counted(desk: Desk, first: str = "2026-07-01", last: str = "2026-09-30") -> dict[tuple[str, str], int]:
    found = casework.reconcile(desk.inputs(), night=NIGHT, time_zone=ZONE)
    tables = (desk.table("police", "referrals"), desk.table("police", "persons"), found.diversions)
    rows = persons_referred(*(pl.DataFrame(pl.from_arrow(t)) for t in tables), day(first), day(last))
    return {(r["race_ethnicity"], r["referral_status"]): r["persons"] for r in rows.to_dicts()}


def test_a_person_counts_once_by_the_last_referral_of_the_period():
    desk = Desk().referred("1", contact_at="2026-07-01T16:00:00", **DECLINED)
    again = {"referral_door": "SOCIAL_CONTACT", "person_no": "M1", **ACCEPTED}
    for number, at in (("8", "2026-08-02T16:00:00"), ("9", "2026-10-01T16:00:00")):
        desk.add("police", "referrals", POLICE, referral_no=f"LR{number}", contact_at=moment(at), **again)
    assert counted(desk) == {("WHITE", "REFERRED"): 1}
    assert counted(desk, "2026-07-01", "2026-07-31") == {("WHITE", "PARTICIPANT_DECLINED"): 1}


def test_the_first_and_the_last_day_are_the_site_s_own_and_count():
    desk = Desk()
    for number, at in (
        ("1", "2026-07-01T03:59:00"),  # the evening before, in New York
        ("2", "2026-07-01T04:00:00"),
        ("3", "2026-10-01T03:59:00"),
        ("4", "2026-10-01T04:00:00"),
    ):
        desk.referred(number, number, contact_at=at, **ACCEPTED)
    assert counted(desk) == {("WHITE", "REFERRED"): 2}


def test_a_sealed_referral_is_in_no_count():
    desk = Desk().referred("1", contact_at="2026-08-01T12:00:00", **ACCEPTED).case("1")
    assert sum(counted(desk).values()) == 1
    desk.disposed("1", "DISMISSED", "2026-09-10", sealed="CPL_160_50")
    assert counted(desk) == {}


def test_neither_a_provider_nor_linkage_moves_a_count():
    """Two records of the police stay two, though a client makes linkage take them for one person."""
    at = "2026-08-01T12:00:00"
    plain = Desk().referred("1", "ann", contact_at=at).referred("2", "ann again", contact_at=at)
    told = Desk().referred("1", "ann", contact_at=at).referred("2", "ann", contact_at=at)
    told.client("1", "ann").consent("1").intake("1", "COMPLETED", "2026-08-10").episode("1", "2026-08-12")
    assert counted(told) == counted(plain) == {("WHITE", "REFERRED"): 2}
