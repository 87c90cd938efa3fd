"""One PostgreSQL for all these tests: to start it takes a second."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulation.police_db import PoliceDatabase
from tests.connectors.sql.police_records import charges, persons, put


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoliceDatabase]:
    with PoliceDatabase(tmp_path_factory.mktemp("police") / "records") as running:
        yield running


@pytest.fixture
def database(server: PoliceDatabase) -> PoliceDatabase:
    put(server, persons(), charges())
    return server
