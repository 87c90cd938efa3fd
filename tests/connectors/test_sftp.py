"""Drops from an SFTP inbox, over a real server: what is taken, what waits, what is never opened."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import asyncssh
import paramiko
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sftp_agency import (
    CANARY,
    CLIENTS,
    NIGHT,
    TABLES,
    Agency,
    connection,
    feed,
    hold,
    judge,
    manifest,
    ssh_key,
)

from connectors import sftp_session
from connectors.base import Connection
from connectors.sftp import SftpConnector
from connectors.sftp_names import Names
from connectors.sftp_session import Entry, SftpSession
from leadhub.foundation.errors import TerminalError, TransientError
from leadhub.foundation.keys import Keys
from leadhub.intake.landing import Landing
from simulation import sftp_server
from simulation.sftp_server import SftpServer

_numbers = itertools.count()
PRIVATE, PUBLIC = ssh_key()
DAY = {n: f"2026-11-{n:02d}" for n in range(17, 24)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with SftpServer(tmp_path_factory.mktemp("sftp")) as running:
        yield running


@pytest.fixture
def agency(server: SftpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Agency:
    account = f"agency{next(_numbers)}"
    server.add_account(account, [PUBLIC])
    server.opened.clear()
    return Agency(server, Landing(tmp_path, Keys(b"k" * 32)), account, PRIVATE)


def untouched(agency: Agency) -> bool:
    """Nothing was landed, nothing half-read is left."""
    return not [p for p in agency.landing.root.rglob("*") if p.is_file()]


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


# incomplete drops -------------------------------------------------------------------------------------


def waits_then_is_refused(agency: Agency, *words: str) -> None:
    """Pending while fresh, refused for `incomplete_drop` after the grace; its files stay."""
    before = agency.names
    fresh = agency.take()
    agency.age_all(61)
    late = agency.take()
    assert (fresh.status, late.status) == ("pending", "refused")
    assert fresh.reason == late.reason == "incomplete_drop"
    assert all(word in late.message for word in words), late.message
    assert late.drop is None
    assert agency.names == before
    assert untouched(agency)


def test_t4_f05_truncated_upload_is_not_taken(agency: Agency) -> None:
    names = agency.drop(tables={"clients": CLIENTS * 20_000, "refs": TABLES["refs"]})
    whole = (agency.inbox / names[0]).read_bytes()
    (agency.inbox / names[0]).unlink()
    transport = paramiko.Transport(("127.0.0.1", agency.server.port))
    transport.connect(
        username=agency.account,
        pkey=paramiko.Ed25519Key.from_private_key(io.StringIO(PRIVATE)),
    )
    handle = paramiko.SFTPClient.from_transport(transport).open(f"inbox/{names[0]}", "wb")
    handle.write(whole[: len(whole) // 2])
    transport.sock.close()
    assert 0 < (agency.inbox / names[0]).stat().st_size < len(whole)
    waits_then_is_refused(agency, names[0], "size")


def test_t4_f06_file_still_being_written_is_taken_once_and_whole(agency: Agency) -> None:
    data = CLIENTS * 300
    agency.drop(tables={"clients": data, "refs": TABLES["refs"]})
    path = agency.inbox / "clients_20261120_01.csv"
    path.write_bytes(b"")

    def write() -> None:
        with path.open("ab", buffering=0) as handle:
            for start in range(0, len(data), 1000):
                handle.write(data[start : start + 1000])
                time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    seen = []
    while not seen or seen[-1].status == "pending":
        (arrival,) = agency.read()
        seen.append(arrival)
    writer.join()
    assert len(seen) > 1
    assert seen[-1].status == "landed"
    (member,) = seen[-1].drop.of("rows", "clients")
    assert agency.landing.read(seen[-1].drop, member) == data
    assert len(agency.landing.drops("harbor")) == 1


def test_t4_f06_a_file_of_the_right_size_with_other_bytes_is_not_taken(agency: Agency) -> None:
    agency.drop()
    agency.put("clients_20261120_01.csv", bytes(len(CLIENTS)))
    waits_then_is_refused(agency, "SHA-256")


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_109_a_file_that_changes_between_list_and_get_waits(
    agency: Agency, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    agency.drop()
    agency.age_all(600)
    real = SftpSession.chunks

    def meanwhile(self: SftpSession, path: str, size: int) -> Iterator[bytes]:
        if path.endswith(suffix):
            with (agency.inbox / os.path.basename(path)).open("ab") as handle:
                handle.write(b"C3,Late\n")
        return real(self, path, size)

    monkeypatch.setattr(SftpSession, "chunks", meanwhile)
    (arrival,) = agency.read()
    assert (arrival.status, arrival.reason) == ("pending", "incomplete_drop")
    assert ("while it was read" if suffix == ".csv" else "being written") in arrival.message
    assert untouched(agency)


@pytest.mark.parametrize("when", [0, 4102444800], ids=["1970", "2100"])
def test_110_times_prove_nothing(agency: Agency, when: int) -> None:
    names = agency.drop()
    os.utime(agency.inbox / names[0], (when, when))
    assert agency.take().status == "landed"
    agency.put("clients_20261120_02.csv", CLIENTS)
    os.utime(agency.inbox / "clients_20261120_02.csv", (when, when))
    assert agency.take().status == "refused"


def test_112_a_manifest_for_an_absent_file_waits(agency: Agency) -> None:
    names = agency.drop()
    (agency.inbox / names[0]).unlink()
    waits_then_is_refused(agency, "1 of the files")


def test_113_files_without_a_manifest_wait(agency: Agency) -> None:
    names = agency.drop()
    (agency.inbox / names[-1]).unlink()
    waits_then_is_refused(agency, "manifest")


def test_113_a_file_beside_its_manifest_waits_and_the_drop_is_taken(agency: Agency) -> None:
    names = agency.drop(tables={"clients": CLIENTS}, mode="DELTA")
    agency.serve(cadence="irregular")
    agency.put("refs_20261120_01.csv", TABLES["refs"])
    drop, stray = agency.read()
    assert (drop.status, stray.status, stray.names) == ("landed", "pending", ("refs_20261120_01.csv",))
    agency.hub.finish([drop, stray])
    assert agency.names == ["refs_20261120_01.csv"]
    assert names[0] not in agency.names


@pytest.mark.parametrize("gone", ["clients_20261120_01.csv.pgp", "refs_20261120_01.csv.pgp.sha256"])
def test_sidecar_drops_wait_for_every_table_and_sidecar(agency: Agency, gone: str) -> None:
    agency.serve(completeness="sha256", encryption="openpgp")
    agency.drop_with_sidecars()
    (agency.inbox / gone).unlink()
    waits_then_is_refused(agency, "has not come")


@pytest.mark.parametrize(
    "line",
    [b"", b"{hash}", b"{hash}  other.csv.pgp\n", b"{HASH}  {name}\n", b"{hash}  {name}\n{hash}  {name}\n"],
)
def test_a_sidecar_is_one_line_of_sha256sum(agency: Agency, line: bytes) -> None:
    agency.serve(completeness="sha256", encryption="openpgp")
    agency.drop_with_sidecars()
    name, digest = b"clients_20261120_01.csv.pgp", hashlib.sha256(CLIENTS).hexdigest().encode()
    said = line.replace(b"{hash}", digest).replace(b"{HASH}", digest.upper()).replace(b"{name}", name)
    agency.put(name + b".sha256", said)
    waits_then_is_refused(agency)


@pytest.mark.parametrize(
    ("change", "reason", "word"),
    [
        ({"extra": 1}, "unreadable_file", "extra"),
        ({"feed": "riverside"}, "unreadable_file", "another feed"),
        ({"night": "2026-11-19"}, "unreadable_file", "another feed"),
        ({"sequence": 2}, "unreadable_file", "another feed"),
        ({"sequence": "1"}, "unreadable_file", "sequence"),
        ({"mode": "full"}, "unreadable_file", "mode"),
        ({"files": []}, "unreadable_file", "files"),
        ({"generated_at": "yesterday"}, "unreadable_file", "generated_at"),
        ({"supersedes": "none"}, "unreadable_file", "supersedes"),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, dict) else None,
)
def test_a_manifest_is_read_strictly(agency: Agency, change: dict, reason: str, word: str) -> None:
    agency.drop(said=change)
    arrival = agency.take()
    assert (arrival.status, arrival.reason) == ("refused", reason)
    assert word in arrival.message
    assert untouched(agency)


def test_a_manifest_cannot_point_anywhere(agency: Agency) -> None:
    files = {"../../etc/passwd": b"x", "/etc/passwd": b"y", "clients_20261120_01.csv": CLIENTS}
    agency.put("clients_20261120_01.csv", CLIENTS)
    agency.put("harbor_20261120_01.manifest.json", json.dumps(manifest(files)).encode())
    arrival = agency.take()
    assert (arrival.status, arrival.reason) == ("pending", "incomplete_drop")
    assert "passwd" not in arrival.message
    assert agency.opened() == ["harbor_20261120_01.manifest.json"]


@pytest.mark.parametrize(
    "body", [b'{"feed": "harbor", "fee', b"\xff\xfe{}", b'{"feed": 1, "feed": 2}', b"[] []"]
)
def test_a_manifest_that_is_no_whole_json_waits(agency: Agency, body: bytes) -> None:
    names = agency.drop()
    agency.put(names[-1], body)
    waits_then_is_refused(agency, names[-1], "JSON")


def test_a_full_drop_names_every_table(agency: Agency) -> None:
    agency.drop(tables={"clients": CLIENTS})
    arrival = agency.take()
    assert (arrival.status, arrival.reason) == ("refused", "incomplete_drop")
    assert "refs" in arrival.message


def test_f11_an_empty_file_is_incomplete(agency: Agency) -> None:
    agency.drop(tables={"clients": b"", "refs": TABLES["refs"]})
    waits_then_is_refused(agency, "0 bytes")


def test_f11_a_header_alone_is_taken_where_the_manifest_says_so(agency: Agency) -> None:
    agency.drop(tables={"clients": CLIENTS.splitlines(keepends=True)[0], "refs": TABLES["refs"]})
    arrival = agency.take()
    assert arrival.status == "landed"
    assert [m.rows for m in arrival.drop.of("rows", "clients")] == [0]


def test_too_large_a_file_is_refused_unopened(agency: Agency) -> None:
    agency.serve(max_bytes=len(CLIENTS) - 1)
    agency.drop()
    arrival = agency.take()
    assert (arrival.status, arrival.reason) == ("refused", "too_large")
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


# names ------------------------------------------------------------------------------------------------

_GOOD = "clients_20261120_01.csv"


def _symlink(agency: Agency, target: str) -> None:
    os.symlink(target, agency.inbox / _GOOD)


UNSAFE = {
    "89 backslash path": (rb"..\clients_20261120_01.csv", "path"),
    "98 more than 255 bytes": (b"clients_" + b"x" * 250 + b".csv", "longer"),
    "99 not UTF-8": (b"clients_\xe9_20261120_01.csv", "UTF-8"),
    "100 leading hyphen": (b"-clients_20261120_01.csv", "begins"),
    "100 leading tilde": (b"~clients_20261120_01.csv", "begins"),
    "102 hidden": (b".clients_20261120_01.csv", "hidden"),
    "104 shell": (b"clients_20261120_01.csv;rm -rf", "characters"),
    "104 newline": (b"clients_20261120_01.csv\nINFO all is well", "invisible"),
    "104 right-to-left override": ("clients_\u202evsc.20261120_01".encode(), "invisible"),
    "106 another provider's prefix": (b"riverside_clients_20261120_01.csv", "agreed"),
    "107 no calendar day": (b"clients_20261131_01.csv", "calendar"),
    "107 future": (b"clients_20990101_01.csv", "future"),
    "107 day first": (b"clients_20112026_01.csv", "calendar"),
    "107 hyphens": (b"clients_2026-11-20_01.csv", "agreed"),
    "sequence 00": (b"clients_20261120_00.csv", "sequence"),
    "full-width digits": ("clients_２０２６１１２０_01.csv".encode(), "characters"),
}


@pytest.mark.parametrize("case", UNSAFE)
def test_f42_unsafe_names_are_refused_unopened(
    agency: Agency, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, word = UNSAFE[case]
    if len(name) > 255:
        _list_also(monkeypatch, name)
    else:
        agency.put(name, CLIENTS)
    agency.drop()
    landed, refused = agency.read()
    assert landed.status == "landed"
    assert (refused.status, refused.reason) == ("refused", "unsafe_name")
    assert word in refused.message
    assert refused.names[0].isascii()
    assert refused.names[0].isprintable()
    assert sorted(set(agency.opened())) == sorted(landed.names)
    agency.hub.finish([landed, refused])
    assert len(agency.names) == (len(name) <= 255)


def _list_also(monkeypatch: pytest.MonkeyPatch, name: bytes) -> None:
    """A server that lists what no file system holds."""
    real = sftp_server._Account.scandir

    async def scandir(self, path):
        async for found in real(self, path):
            yield found
        attrs = asyncssh.SFTPAttrs(permissions=0o100644, size=len(CLIENTS), mtime=0, atime=0)
        yield asyncssh.SFTPName(name, attrs=attrs)

    monkeypatch.setattr(sftp_server._Account, "scandir", scandir)


@pytest.mark.parametrize(
    "name", [b"../clients_20261120_01.csv", b"/etc/passwd", b"clients_\x0020261120_01.csv"]
)
def test_f42_87_88_a_server_that_lists_paths_is_not_followed(
    agency: Agency, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    _list_also(monkeypatch, name)
    arrival = agency.take()
    assert (arrival.status, arrival.reason) == ("refused", "unsafe_name")
    assert agency.opened() == []


@pytest.mark.parametrize(
    "make",
    {
        "90 absolute link": lambda a: _symlink(a, "/etc/passwd"),
        "90 link out": lambda a: _symlink(a, "../../../etc/passwd"),
        "90 link within": lambda a: (a.put("x", CLIENTS), _symlink(a, "x")),
        "91 loop": lambda a: _symlink(a, _GOOD),
        "92 dangling": lambda a: _symlink(a, "nowhere"),
        "93 folder": lambda a: (a.inbox / _GOOD).mkdir(),
        "94 FIFO": lambda a: os.mkfifo(a.inbox / _GOOD),
        "94 socket": lambda a: os.mknod(a.inbox / _GOOD, 0o140600),
    }.items(),
    ids=lambda item: item[0],
)
def test_f42_what_is_no_plain_file_is_refused_unopened(agency: Agency, make) -> None:
    make[1](agency)
    arrival = agency.take()
    assert (arrival.status, arrival.reason) == ("refused", "unsafe_name")
    assert "not a plain file" in arrival.message
    assert agency.opened() == []
    assert _GOOD in agency.names


def test_f42_a_link_put_in_place_of_a_listed_file_is_not_followed(
    agency: Agency, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = agency.drop()
    real = SftpSession.entries

    def swap(self: SftpSession, folder: str) -> list[Entry]:
        found = real(self, folder)
        (agency.inbox / names[0]).rename(agency.inbox / "x")
        (agency.inbox / names[0]).symlink_to("x")
        return found

    monkeypatch.setattr(SftpSession, "entries", swap)
    assert agency.take().status == "pending"
    assert names[0] not in agency.opened()


def test_97_case_twins_are_refused(agency: Agency) -> None:
    agency.drop()
    agency.put("CLIENTS_20261120_01.CSV", CLIENTS)
    found = agency.read()
    assert {(a.names, a.status) for a in found if a.reason == "unsafe_name"} == {
        (("CLIENTS_20261120_01.CSV",), "refused"),
        (("clients_20261120_01.csv",), "refused"),
    }
    assert "landed" not in {a.status for a in found}


@pytest.mark.parametrize("suffix", [".part", ".tmp", ".filepart", ".PART", "~"])
def test_101_unfinished_uploads_wait_then_are_refused(agency: Agency, suffix: str) -> None:
    agency.put(f".clients_20261120_01.csv{suffix}" if suffix == ".part" else f"{_GOOD}{suffix}", CLIENTS)
    waits_then_is_refused(agency, "not finished")
    assert agency.opened() == []


@pytest.mark.parametrize("suffix", [".gz", ".zip", ".7z"])
def test_f41_packed_files_are_refused_unopened(agency: Agency, suffix: str) -> None:
    agency.put(f"{_GOOD}{suffix}", b"PK\x03\x04")
    arrival = agency.take()
    assert (arrival.status, arrival.reason) == ("refused", "unreadable_file")
    assert agency.opened() == []


def test_an_encrypted_feed_takes_no_plain_file(agency: Agency) -> None:
    agency.serve(completeness="sha256", encryption="openpgp")
    agency.put(_GOOD, CLIENTS)
    arrival = agency.take()
    assert (arrival.status, arrival.reason) == ("refused", "unreadable_file")
    assert "encrypted" in arrival.message


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=300),
            st.from_regex(r"\A[-~.]?(clients|refs|Clients)_2026\d{4}_\d\d\.csv(\.gz|\.part|;|/)?\Z").map(
                str.encode
            ),
        ),
        max_size=5,
        unique=True,
    )
)
def test_whatever_the_name_it_is_ours_or_not_opened(names: list[bytes]) -> None:
    drop = feed()
    entries = [Entry(n, 0o100644, 1, 0) for n in names]
    offered, refused = Names(drop, drop.drop).sort(entries, last_day=date(2026, 12, 31))
    for file in offered:
        assert file.name.encode() in names
        assert re.fullmatch(r"(clients|refs)_2026\d{4}_\d\d\.csv", file.name)
    for refusal in refused:
        assert refusal.name.isascii()
        assert refusal.name.isprintable()
    assert len(offered) + len(refused) <= len(names)


@pytest.mark.parametrize("pattern", ["(", r"(?P<table>a)_(?P<night>\d{8})\.csv"])
def test_an_unusable_pattern_is_told_by_file_and_key(agency: Agency, pattern: str) -> None:
    with pytest.raises(TerminalError, match=r"feed_invalid.*harbor\.yaml.*drop\.pattern"):
        agency.serve(pattern=pattern)


# who we talk to ---------------------------------------------------------------------------------------


def refusal(connection: Connection) -> TerminalError | TransientError:
    with pytest.raises((TerminalError, TransientError)) as caught, SftpSession(connection):
        pass
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "PRIVATE KEY" not in f"{caught.value!r}"
    return caught.value


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"])
def test_f17_g13_a_changed_host_key_stops_before_credentials(agency: Agency, kind: str) -> None:
    agency.drop()
    other = asyncssh.generate_private_key(kind).export_public_key().decode()
    agency.server.logins.clear()
    agency.hub.connection = connection(agency.server, agency.account, PRIVATE, host_key=other)
    with pytest.raises(TerminalError, match="host_key_changed"):
        agency.read()
    assert agency.server.logins == []
    assert agency.opened() == []
    assert untouched(agency)


@pytest.mark.parametrize(
    "pin", [None, "", "AAAAC3NzaC1lZDI1NTE5", "ssh-ed25519", "ssh-ed25519 %%%", "ssh-dss AAAA"]
)
def test_g13_without_a_pin_no_connection_is_made(agency: Agency, pin: str | None) -> None:
    agency.server.logins.clear()
    error = refusal(connection(agency.server, agency.account, PRIVATE, host_key=pin))
    assert error.reason == "settings_invalid"
    assert "host_key" in error.message
    assert agency.server.logins == []


def test_a_key_that_the_server_does_not_know_is_refused(agency: Agency) -> None:
    error = refusal(connection(agency.server, agency.account, ssh_key()[0]))
    assert (type(error), error.reason) == (TerminalError, "credentials_refused")
    assert refusal(connection(agency.server, "nobody", PRIVATE)).reason == "credentials_refused"


def test_a_password_is_no_credential(agency: Agency) -> None:
    given = connection(agency.server, agency.account, PRIVATE, private_key="")
    assert refusal(given).reason == "settings_invalid"


def test_an_account_without_an_inbox_is_told_apart_from_an_empty_one(agency: Agency) -> None:
    assert agency.read() == []
    agency.inbox.rename(agency.inbox.with_name("in"))
    with pytest.raises(TerminalError, match=r"settings_invalid.*inbox"):
        agency.read()


def test_a_key_under_a_passphrase_is_opened(agency: Agency) -> None:
    key = (
        asyncssh.import_private_key(PRIVATE)
        .export_private_key(passphrase="correct horse", rounds=50)
        .decode()
    )
    with SftpSession(
        connection(agency.server, agency.account, key, private_key_passphrase="correct horse")
    ):
        pass
    wrong = connection(agency.server, agency.account, key, private_key_passphrase="wrong")
    assert refusal(wrong).reason == "settings_invalid"


def test_a_server_that_is_away_is_transient(agency: Agency) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = connection(agency.server, agency.account, PRIVATE)
    error = refusal(Connection(given.host, port, given.login, extra=given.extra))
    assert (type(error), error.reason) == (TransientError, "source_unreachable")


def test_a_server_that_says_nothing_is_given_up(agency: Agency, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sftp_session, "TIMEOUT", 0.5)
    given = connection(agency.server, agency.account, PRIVATE)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        error = refusal(Connection(given.host, mute.getsockname()[1], given.login, extra=given.extra))
    assert error.reason == "source_unreachable"
    assert time.monotonic() - began < 5


def test_a_server_that_dies_while_it_is_read_leaves_nothing(
    agency: Agency, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SftpServer(tmp_path / "other")
    other.start()
    other.add_account("harbor", [PUBLIC])
    dying = Agency(other, agency.landing, "harbor", PRIVATE)
    dying.drop(tables={**TABLES, "clients": CLIENTS * 100_000})
    real = SftpSession.chunks

    def die(self: SftpSession, path: str, size: int) -> Iterator[bytes]:
        for number, chunk in enumerate(real(self, path, size)):
            if number == 3:
                other.stop()
            yield chunk

    monkeypatch.setattr(SftpSession, "chunks", die)
    with pytest.raises(TransientError, match="source_unreachable"):
        dying.read()
    assert untouched(dying)


def test_g10_no_value_is_said(agency: Agency, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "connectors")
    agency.drop()
    agency.put("refs_20261120_01.csv", CANARY.encode())
    agency.put("clients_20261120_03.csv", CLIENTS)
    said = f"{agency.read()!r}{caplog.text}{agency.hub.connection!r}"
    assert CANARY not in said
    assert "PRIVATE KEY" not in said
