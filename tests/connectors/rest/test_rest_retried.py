"""The connector for HTTP interfaces: what it tries again, and when it gives up."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from connectors import http_outcomes
from connectors.base import Connection
from connectors.http_session import Budget
from leadhub.foundation.errors import TransientError
from leadhub.intake.landing import Landing
from simulation.da_api import DaServer
from simulation.da_faults import Fault
from tests.connectors.rest.da_interface import QUICK, asked, defendants, read, refused, rows

# --- F19, F20: busy and broken ---------------------------------------------------------------


def in_a_moment() -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)


@pytest.mark.parametrize(
    ("value", "least"), [(lambda: "1", 1.0), (in_a_moment, 0.9), (lambda: None, 0.0), (lambda: "soon", 0.0)]
)
def test_f19_a_pause_that_is_asked_for_is_made_and_no_page_lost(server, landing, value, least):
    server.script([Fault("/v1/defendants", nth=2, status=429, headers={"retry-after": value()})])
    begun = time.monotonic()
    drop = read(server, landing)
    assert time.monotonic() - begun >= least
    assert rows(landing, drop) == defendants().to_dicts()
    second, third = asked(server, "/v1/defendants")[1:3]
    assert second == third


@pytest.mark.parametrize("value", ["1000000000", "9" * 5000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_f19_an_absurd_pause_is_not_made(server, landing, value):
    server.script([Fault("/v1/defendants", nth=2, status=429, headers={"retry-after": value})])
    begun = time.monotonic()
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TransientError, "rate_limited")
    assert time.monotonic() - begun < 1


def test_f19_pauses_share_one_budget(server, landing):
    server.script(
        [
            Fault("/v1/defendants", nth=1, status=429, headers={"retry-after": "1"}),
            Fault("/v1/defendants", nth=3, status=429, headers={"retry-after": "1"}),
        ]
    )
    budget = Budget(waiting=1.5)
    assert refused(landing, lambda: read(server, landing, budget=budget)).reason == "rate_limited"


def test_f19_zero_seconds_for_ever_ends(server, landing):
    server.script([Fault("/v1/defendants", times=99, status=429, headers={"retry-after": "0"})])
    assert refused(landing, lambda: read(server, landing)).reason == "rate_limited"
    assert len(asked(server, "/v1/defendants")) == QUICK.attempts


def test_f19_a_date_is_read_against_the_agencys_own_clock():
    headers = {"date": "Wed, 01 Jan 2020 00:00:00 GMT", "retry-after": "Wed, 01 Jan 2020 00:00:07 GMT"}
    assert http_outcomes.retry_after(httpx.Headers(headers)) == 7.0


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_f20_a_burst_is_survived_on_the_same_page(server, landing, status):
    server.script([Fault("/v1/defendants", nth=2, times=2, status=status, body=b"<html>")])
    assert rows(landing, read(server, landing)) == defendants().to_dicts()
    queries = asked(server, "/v1/defendants")
    assert queries[1] == queries[2] == queries[3]


def test_f20_a_lasting_failure_is_transient_after_bounded_tries(server, landing):
    server.script([Fault("/v1/defendants", nth=2, times=99, status=503)])
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TransientError, "source_unreachable")
    assert len(asked(server, "/v1/defendants")) == 1 + QUICK.attempts


def test_f20_a_broken_body_is_asked_for_again(server, landing):
    server.script([Fault("/v1/defendants", nth=2, cut=20)])
    assert rows(landing, read(server, landing)) == defendants().to_dicts()
    server.script([Fault("/v1/cases", times=99, cut=20)])
    with pytest.raises(TransientError, match="source_unreachable"):
        read(server, landing, "cases", night="2026-11-21")


def test_nobody_listens(landing):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    target = Connection("127.0.0.1", port, extra={"scheme": "http"})
    assert refused(landing, lambda: read(target, landing)).reason == "source_unreachable"


# --- F21: time -------------------------------------------------------------------------------

HASTY = Budget(attempts=2, backoff=0.01, read=0.4, connect=0.4, request=0.8)


@contextlib.contextmanager
def dripping_headers() -> Iterator[Connection]:
    """A server that sends its headers for ever, a byte at a time: no single read is ever late."""
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
            while not over.wait(0.05):
                client.sendall(b"z")

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=drip, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield Connection("127.0.0.1", listener.getsockname()[1], extra={"scheme": "http"})
        over.set()


@contextlib.contextmanager
def full_queue() -> Iterator[Connection]:
    """A listener whose queue is full: the next connection is never answered."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield Connection("127.0.0.1", listener.getsockname()[1], extra={"scheme": "http"})


def assert_times_out(landing: Landing, target: DaServer | Connection, budget: Budget = HASTY) -> None:
    begun = time.monotonic()
    error = refused(landing, lambda: read(target, landing, budget=budget))
    assert (type(error), error.reason) == (TransientError, "source_timeout")
    assert time.monotonic() - begun < budget.attempts * budget.request + 1


@pytest.mark.parametrize("fault", [{"delay": 2.0}, {"drip": 0.05}])
def test_f21_a_slow_answer_meets_the_deadline(server, landing, fault):
    server.script([Fault("/v1/defendants", times=9, **fault)])
    assert_times_out(landing, server)


def test_f21_the_deadline_holds_where_a_single_read_may_take_longer(server, landing):
    server.script([Fault("/v1/defendants", times=9, delay=4.0)])
    assert_times_out(landing, server, Budget(attempts=1, read=30, request=0.5))


def test_f21_slow_headers_meet_the_deadline(landing):
    with dripping_headers() as target:
        assert_times_out(landing, target)


def test_f21_a_connection_that_is_never_made_meets_the_deadline(landing):
    with full_queue() as target:
        assert_times_out(landing, target)
