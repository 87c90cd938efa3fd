"""An SFTP server for the tests of a file; in it each has an account, an agency's or a partner's."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.base import Connection
from leadhub.intake.landing import Landing
from simulation.sftp_server import SftpServer
from tests.connectors.sftp.sftp_agency import PRIVATE, PUBLIC, Agency, connection
from tests.connectors.sftp.sftp_partner import package

_numbers = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpServer]:
    with SftpServer(tmp_path_factory.mktemp("sftp")) as running:
        yield running


@pytest.fixture
def agency(server: SftpServer, landing: Landing) -> Agency:
    account = f"agency{next(_numbers)}"
    server.add_account(account, [PUBLIC])
    server.opened.clear()
    return Agency(server, landing, account, PRIVATE)


@pytest.fixture
def account(server: SftpServer) -> str:
    name = f"partner{next(_numbers)}"
    server.add_account(name, [PUBLIC])
    return name


@pytest.fixture
def where(server: SftpServer, account: str) -> Connection:
    return connection(server, account, PRIVATE)


@pytest.fixture
def outbox(server: SftpServer, account: str) -> Path:
    return server.root / account / "outbox"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return package(tmp_path / "release", b"one")
