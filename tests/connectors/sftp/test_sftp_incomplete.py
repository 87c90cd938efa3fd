"""Drops from an SFTP inbox: what is not whole waits, and is refused when it has waited long enough."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
import time
from collections.abc import Iterator

import paramiko
import pytest

from connectors.sftp_session import SftpSession
from tests.connectors.sftp.sftp_agency import (
    CLIENTS,
    PRIVATE,
    TABLES,
    Agency,
    manifest,
    untouched,
    waits_then_is_refused,
)


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
