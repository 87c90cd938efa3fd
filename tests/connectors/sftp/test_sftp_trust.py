"""The connector for SFTP: whom it talks to, and a server that is away, mute or dying."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from connectors import sftp_session
from connectors.base import Connection
from connectors.sftp_session import SftpSession
from leadhub.foundation.errors import TerminalError, TransientError
from simulation.sftp_server import SftpServer
from tests.connectors.sftp.sftp_agency import (
    CANARY,
    CLIENTS,
    PRIVATE,
    PUBLIC,
    TABLES,
    Agency,
    connection,
    ssh_key,
    untouched,
)


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
