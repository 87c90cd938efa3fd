"""Drops from an SFTP inbox: what is never opened for its name or its kind."""

from __future__ import annotations

import os
import re
from datetime import date

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.sftp_names import Names
from connectors.sftp_session import Entry, SftpSession
from leadhub.foundation.errors import TerminalError
from simulation import sftp_server
from tests.connectors.sftp.sftp_agency import CLIENTS, Agency, feed, waits_then_is_refused

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
