"""One server for the tests of a file; each finds it as if just started."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from simulation.da_api import DaServer
from tests.connectors.rest.da_interface import KEYS, cases, defendants


@pytest.fixture(scope="module")
def shared() -> Iterator[DaServer]:
    with DaServer() as running:
        yield running


@pytest.fixture
def server(shared: DaServer) -> DaServer:
    shared.script([])
    shared.expire_tokens()
    shared.load({"defendants": defendants(), "cases": cases()}, KEYS)
    shared.requests.clear()
    shared.received.clear()
    return shared
