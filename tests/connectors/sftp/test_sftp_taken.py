"""Drops from an SFTP inbox, over a real server: what is taken, once and in order."""

from __future__ import annotations

import json

import pytest

from connectors.sftp import SftpConnector
from leadhub.foundation.errors import TransientError
from simulation.sftp_server import SftpServer
from tests.connectors.sftp.sftp_agency import (
    CLIENTS,
    NIGHT,
    PRIVATE,
    PUBLIC,
    TABLES,
    Agency,
    connection,
    feed,
    hold,
    judge,
)

DAY = {n: f"2026-11-{n:02d}" for n in range(17, 24)}


# whole drops ------------------------------------------------------------------------------------------


def test_a_whole_drop_lands_as_it_came(agency: Agency) -> None:
    names = agency.drop()
    (arrival,) = agency.read()
    drop = arrival.drop
    assert (arrival.status, drop.mode, drop.sequence, drop.night) == ("landed", "full", 2026112001, NIGHT)
    assert sorted(drop.origin) == sorted(names)
    rows = {m.table: (m.name, m.format, m.rows, agency.landing.read(drop, m)) for m in drop.of("rows")}
    assert rows == {
        "clients": ("clients_20261120_01.csv", "csv", 2, CLIENTS),
        "referrals": ("refs_20261120_01.csv", "csv", 1, TABLES["refs"]),
    }
    (said,) = drop.of("manifest")
    assert json.loads(agency.landing.read(drop, said))["feed"] == "harbor"
    assert agency.names == sorted(names)
    agency.hub.finish([arrival])
    agency.hub.finish([arrival])
    assert agency.names == []
    assert agency.read() == []


def test_an_encrypted_drop_with_sidecars_lands_encrypted(agency: Agency) -> None:
    agency.serve(completeness="sha256", encryption="openpgp")
    agency.drop_with_sidecars()
    arrival = agency.take()
    assert (arrival.status, arrival.drop.mode) == ("landed", "full")
    assert {m.format for m in arrival.drop.of("rows")} == {"csv.pgp"}
    assert {m.rows for m in arrival.drop.of("rows")} == {None}
    assert len(arrival.drop.of("manifest")) == 2
    assert agency.names == []


def test_drops_of_several_days_land_in_order_and_tomorrow_waits(agency: Agency) -> None:
    for day in (20, 18, 21, 19):
        agency.drop(DAY[day], generated_at=f"{DAY[day]}T20:00:00Z")
    arrivals = agency.read(DAY[20])
    assert [(a.status, a.drop.sequence // 100) for a in arrivals] == [
        ("landed", 20261118),
        ("landed", 20261119),
        ("landed", 20261120),
    ]
    agency.hub.finish(arrivals)
    assert all("20261121" in name for name in agency.names)


def test_other_feeds_of_the_account_are_none_of_our_business(agency: Agency) -> None:
    agency.put("disputes_20261120_01.csv", b"x")
    agency.put("harbor_disputes_20261120_01.manifest.json", b"{}")
    agency.put("README.txt", b"x")
    assert agency.read() == []
    assert agency.opened() == []


# again, differently, out of order ---------------------------------------------------------------------


def test_f08_the_same_drop_again_is_a_duplicate(agency: Agency) -> None:
    agency.drop()
    first = agency.take()
    judge(agency.landing, first)
    agency.drop()
    again = agency.take(DAY[21])
    assert (again.status, again.drop) == ("duplicate", first.drop)
    assert agency.names == []
    assert len(agency.landing.drops("harbor")) == 1


def test_f08_the_same_rows_under_another_name_are_a_duplicate(agency: Agency) -> None:
    agency.drop()
    first = agency.take()
    agency.drop(sequence=2)
    again = agency.take()
    assert (again.status, again.drop) == ("duplicate", first.drop)
    assert agency.names == []
    agency.drop(DAY[21])
    assert agency.take(DAY[21]).status == "landed", "the same rows under a new date say: nothing changed"


def test_f09_other_bytes_under_the_same_names_are_held(agency: Agency) -> None:
    agency.drop()
    agency.take()
    agency.drop(tables={**TABLES, "clients": CLIENTS + b"C3,New\n"})
    (arrival,) = agency.read(DAY[21])
    assert (arrival.status, arrival.reason) == ("held", "conflicting_resubmission")
    # the run was killed before it could mark the drop: asked again, tonight or later, the answer stands
    for night in (DAY[21], DAY[22]):
        (again,) = agency.read(night)
        assert (again.status, again.reason, again.drop) == (
            "held",
            "conflicting_resubmission",
            arrival.drop,
        )
    agency.hub.finish([again])
    assert agency.names == []
    assert len(agency.landing.drops("harbor")) == 2


def test_f09_latest_wins_where_the_feed_says_so(agency: Agency) -> None:
    agency.serve(resubmission="latest_wins")
    agency.drop()
    agency.take()
    agency.drop(tables={**TABLES, "clients": CLIENTS + b"C3,New\n"})
    assert agency.take().status == "landed"


def test_f10_an_older_full_drop_is_held(agency: Agency) -> None:
    agency.drop(DAY[20])
    agency.take(DAY[20])
    agency.drop(DAY[19], tables={**TABLES, "clients": CLIENTS + b"C3,Old\n"})
    (late,) = agency.read(DAY[21])
    assert (late.status, late.reason) == ("held", "out_of_order")
    assert agency.read(DAY[21]) == [late]


def test_f10_changes_wait_for_the_day_before(agency: Agency) -> None:
    agency.drop(DAY[18])
    agency.take(DAY[18])
    for day in (20, 21):
        agency.drop(DAY[day], tables={"clients": CLIENTS + b"%d\n" % day}, mode="DELTA")
    gap = agency.read(DAY[21])
    assert [(a.status, a.reason) for a in gap] == [("held", "out_of_order")] * 2
    for arrival in gap:
        hold(agency.landing, arrival)
    agency.hub.finish(gap)
    agency.drop(DAY[19], tables={"clients": CLIENTS + b"19\n"}, mode="DELTA")
    assert agency.take(DAY[21]).status == "landed"
    # a steward released day 20: the chain goes on from there
    agency.landing.path(gap[0].drop, "held.json").unlink()
    agency.landing.path(gap[1].drop, "held.json").unlink()
    agency.drop(DAY[22], tables={"clients": CLIENTS + b"22\n"}, mode="DELTA")
    assert agency.take(DAY[22]).status == "landed"


def test_f10_changes_without_any_state_are_held_unless_irregular(agency: Agency) -> None:
    agency.drop(tables={"clients": CLIENTS}, mode="DELTA")
    assert [a.reason for a in agency.read()] == ["out_of_order"]
    agency.drop(DAY[21], tables={"clients": CLIENTS}, mode="DELTA")
    agency.serve(cadence="irregular")
    assert agency.read(DAY[21])[-1].status == "landed"


def test_a_run_killed_after_landing_lands_the_same_drop_again(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency.drop()
    agency.drop(sequence=2, tables={**TABLES, "clients": CLIENTS + b"C3,New\n"})
    monkeypatch.setenv("LEADHUB_FAILPOINT", "land.after_commit:raise")
    with pytest.raises(TransientError):
        agency.read()
    monkeypatch.delenv("LEADHUB_FAILPOINT")
    arrivals = agency.read()
    assert [a.status for a in arrivals] == ["landed", "landed"]
    assert agency.read() == arrivals
    assert len(agency.landing.drops("harbor")) == 2
    assert not list(agency.landing.root.rglob(".staging-*"))


def test_a_run_killed_between_two_drops_takes_them_in_order(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    agency.drop(DAY[20])
    monkeypatch.setenv("LEADHUB_FAILPOINT", "land.after_commit:raise")
    with pytest.raises(TransientError):
        agency.read()
    monkeypatch.delenv("LEADHUB_FAILPOINT")
    agency.drop(DAY[19])
    assert [(a.status, a.drop.sequence) for a in agency.read()] == [
        ("landed", 2026111901),
        ("landed", 2026112001),
    ]


def test_finish_leaves_what_was_replaced_and_never_fails(agency: Agency, server: SftpServer) -> None:
    names = agency.drop()
    (arrival,) = agency.read()
    agency.put(names[0], CLIENTS + b"C3,New\n")
    SftpConnector(feed(), {}, agency.hub.connection).finish([arrival])
    assert agency.names == sorted(names), "who has not read a file does not remove it"
    agency.hub.finish([arrival])
    assert agency.names == [names[0]]
    with SftpServer(server.root) as other:
        other.add_account(agency.account, [PUBLIC])
        gone = SftpConnector(feed(), {}, connection(other, agency.account, PRIVATE))
        agency.drop(sequence=2)
        found = gone.read(agency.landing, NIGHT, {})
    gone.finish(found)
    assert len(agency.names) == 4
