"""The connector for HTTP interfaces against a real server: what it lands, and what it refuses to land."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import jsonschema
import polars as pl
import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors import http_outcomes, strict_json
from connectors.base import Connection
from connectors.http_session import Budget
from connectors.rest import RestConnector, push_changes
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError
from leadhub.foundation.keys import Keys
from leadhub.intake.feeds import Feed, TableMapping
from leadhub.intake.landing import Drop, Landing
from schemas import da
from schemas.contract import facts, tables_of
from simulation.da_api import DOCUMENT, DaServer
from simulation.da_faults import Fault

NIGHT = "2026-11-20"
CANARY = "Quetzalhammer"
CONTRACTS = {name: facts(model) for name, model in tables_of(da).items()}
KEYS = {"defendants": ["defendant_id"], "cases": ["da_case_no"]}
QUICK = Budget(
    attempts=3,
    backoff=0.01,
    backoff_limit=0.05,
    waiting=5,
    connect=1,
    read=1,
    request=3,
    response_bytes=1 << 20,
)


def defendants(
    count: int = 10, *, surname: str = CANARY, changed: str = "2026-11-20T08:00:00Z"
) -> pl.DataFrame:
    ids = [f"D{i:04d}" for i in range(count)]
    return pl.DataFrame({"defendant_id": ids, "last_name": surname, "updated_at": changed})


def cases(count: int = 3, *, changed: str = "2026-11-20T08:00:00Z") -> pl.DataFrame:
    ids = [f"C{i:04d}" for i in range(count)]
    return pl.DataFrame({"da_case_no": ids, "defendant_id": "D0000", "updated_at": changed})


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


@pytest.fixture
def landing(tmp_path: Path) -> Landing:
    return Landing(tmp_path, Keys(b"k" * 32))


def connection(server: DaServer, **extra: str) -> Connection:
    given = server.connection()
    return Connection(
        given["host"], given["port"], given["login"], given["password"], extra={**given["extra"], **extra}
    )


def feed(*tables: str, page_rows: int = 4) -> Feed:
    mappings = {t: TableMapping(source=t, columns={k: k for k in KEYS[t]}) for t in tables}
    return Feed(
        id="da_cases",
        title="Cases",
        agency="district_attorney",
        connector="rest",
        connection="da_api",
        contract="da",
        page_rows=page_rows,
        tables=mappings,
    )


def read(
    where: DaServer | Connection,
    landing: Landing,
    *tables: str,
    since: dict[str, str] | None = None,
    budget: Budget = QUICK,
    page_rows: int = 4,
    night: str = NIGHT,
) -> Drop:
    target = where if isinstance(where, Connection) else connection(where)
    given = feed(*(tables or ("defendants",)), page_rows=page_rows)
    (arrival,) = RestConnector(given, CONTRACTS, target, budget=budget).read(landing, night, since or {})
    assert arrival.drop is not None
    return arrival.drop


def refused(landing: Landing, act: Callable[[], object]) -> LeadhubError:
    """The error of an act that must land nothing and say no value."""
    with pytest.raises(LeadhubError) as caught:
        act()
    assert landing.drops("da_cases") == []
    assert not [p for p in landing.root.rglob("*") if p.is_file()]
    assert CANARY not in f"{caught.value!r}{caught.value.__cause__!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def rows(landing: Landing, drop: Drop, table: str = "defendants", role: str = "rows") -> list[dict]:
    (member,) = drop.of(role, table)  # type: ignore[arg-type]
    pages = [json.loads(line) for line in landing.read(drop, member).splitlines()]
    found = [row for page in pages for row in page["data"]]
    assert member.rows == len(found)
    return found


def asked(server: DaServer, path: str) -> list[str]:
    return [query for _, called, query in server.requests if called == path]


# --- what is landed --------------------------------------------------------------------------


def test_a_full_read_lands_exactly_the_rows_and_keys_of_the_source(server, landing):
    drop = read(server, landing, "defendants", "cases")
    assert rows(landing, drop) == defendants().to_dicts()
    assert rows(landing, drop, "cases") == cases().to_dicts()
    assert rows(landing, drop, role="keys") == defendants().select("defendant_id").to_dicts()
    assert drop.mode == "delta"
    assert [(m.name, m.role, m.format) for m in drop.members] == [
        ("defendants.jsonl", "rows", "jsonl"),
        ("cases.jsonl", "rows", "jsonl"),
        ("defendants.keys.jsonl", "keys", "jsonl"),
        ("cases.keys.jsonl", "keys", "jsonl"),
        ("extract.json", "extract", "json"),
    ]
    extract = json.loads(landing.read(drop, drop.of("extract")[0]))
    until = drop.watermark["defendants"]
    assert extract == {
        "night": NIGHT,
        "since": {"defendants": None, "cases": None},
        "until": until,
        "unchanged": [],
    }


def test_pages_are_landed_as_the_bytes_that_came(server, landing):
    came: list[bytes] = []
    server.script([Fault("/v1/defendants", times=9, edit=lambda body: came.append(body) or body)])
    drop = read(server, landing)
    (member,) = drop.of("rows")
    assert landing.read(drop, member) == b"".join(body + b"\n" for body in came[:3])
    assert len(came) == 4


def test_line_breaks_between_tokens_become_blanks_and_nothing_else_changes(server, landing):
    server.script([Fault("/v1/defendants", times=9, edit=lambda b: b.replace(b",", b",\r\n"))])
    drop = read(server, landing)
    assert rows(landing, drop) == defendants().to_dicts()
    assert landing.read(drop, drop.of("rows")[0]).count(b"\n") == 3


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=12))
def test_any_text_survives(shared, tmp_path_factory, names):
    shared.script([])
    frame = defendants(len(names)).with_columns(last_name=pl.Series(names))
    shared.load({"defendants": frame}, KEYS)
    landing = Landing(tmp_path_factory.mktemp("landing"), Keys(b"k" * 32))
    drop = read(shared, landing)
    (member,) = drop.of("rows")
    lines = landing.read(drop, member).split(b"\n")[:-1]
    assert [row["last_name"] for line in lines for row in json.loads(line)["data"]] == names


def test_the_next_night_reads_what_changed_less_the_overlap_and_sees_deletions(server, landing):
    first = read(server, landing)
    assert first.watermark["defendants"].startswith("2026-11-20T08:00:00")
    changes = ["2026-11-20T06:59:00Z", "2026-11-20T07:00:30Z", "2026-11-20T09:00:00Z", None]
    later = defendants(4).with_columns(updated_at=pl.Series(changes))
    server.load({"defendants": later}, KEYS)
    drop = read(server, landing, since=first.watermark, night="2026-11-21")
    # the third row changed, the second lies in the overlap, the fourth does not say
    assert [row["defendant_id"] for row in rows(landing, drop)] == ["D0001", "D0002", "D0003"]
    assert len(rows(landing, drop, role="keys")) == 4
    assert drop.watermark["defendants"] == "2026-11-20T09:00:00Z"


def test_the_same_state_read_again_is_the_same_drop(server, landing):
    first = read(server, landing)
    connector = RestConnector(feed("defendants"), CONTRACTS, connection(server), budget=QUICK)
    (again,) = connector.read(landing, NIGHT, {})
    assert (again.status, again.drop) == ("duplicate", first)


def test_g4_pages_belong_to_one_snapshot_though_the_data_change_between_them(server, landing):
    def change() -> None:
        server.load({"defendants": defendants(7, surname="Changed"), "cases": cases(1)}, KEYS)

    server.script([Fault("/v1/defendants", nth=2, before=change)])
    drop = read(server, landing, "defendants", "cases")
    assert rows(landing, drop) == defendants().to_dicts()
    assert len(rows(landing, drop, role="keys")) == 10
    assert len(rows(landing, drop, "cases")) == 3
    assert drop.watermark["defendants"] == drop.watermark["cases"]


def test_a_snapshot_that_is_gone_lands_nothing(server, landing):
    def change_often() -> None:
        for count in range(1, 5):
            server.load({"defendants": defendants(count)}, KEYS)

    server.script([Fault("/v1/defendants", nth=2, before=change_often)])
    error = refused(landing, lambda: read(server, landing))
    assert error.reason == "bad_response"
    assert "snapshot" in error.message


# --- not modified ----------------------------------------------------------------------------


def test_not_modified_lands_no_rows_and_no_keys(server, landing):
    first = read(server, landing, "defendants", "cases")
    drop = read(server, landing, "defendants", "cases", since=first.watermark, night="2026-11-21")
    assert [(m.name, m.bytes, m.rows) for m in drop.of("rows")] == [
        ("defendants.jsonl", 0, 0),
        ("cases.jsonl", 0, 0),
    ]
    assert drop.of("keys") == ()
    assert json.loads(landing.read(drop, drop.of("extract")[0]))["unchanged"] == ["defendants", "cases"]
    assert drop.watermark == first.watermark


def test_keys_are_landed_where_a_changed_table_refers_to_them(server, landing):
    first = read(server, landing, "defendants", "cases")
    server.load({"defendants": defendants(), "cases": cases(4)}, KEYS)
    drop = read(server, landing, "defendants", "cases", since=first.watermark, night="2026-11-21")
    assert [m.name for m in drop.of("keys")] == ["defendants.keys.jsonl", "cases.keys.jsonl"]
    server.load({"defendants": defendants(9), "cases": cases(4)}, KEYS)
    drop = read(server, landing, "defendants", "cases", since=drop.watermark, night="2026-11-22")
    assert [m.name for m in drop.of("keys")] == ["defendants.keys.jsonl"]


def test_a_deletion_alone_is_a_modification(server, landing):
    first = read(server, landing)
    server.load({"defendants": defendants(9)}, KEYS)
    drop = read(server, landing, since=first.watermark, night="2026-11-21")
    assert len(rows(landing, drop, role="keys")) == 9


def test_a_tag_without_its_moment_is_not_asked_about(server, landing):
    tag = read(server, landing).watermark["etag:defendants"]
    drop = read(server, landing, since={"etag:defendants": tag}, night="2026-11-21")
    assert len(rows(landing, drop)) == 10


def test_not_modified_that_nobody_asked_for_is_refused(server, landing):
    server.script([Fault("/v1/defendants", status=304)])
    assert refused(landing, lambda: read(server, landing)).reason == "bad_response"


# --- F18: whom we talk to --------------------------------------------------------------------


@pytest.fixture
def tls_server(tmp_path: Path) -> Iterator[tuple[DaServer, Path]]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    today = datetime.now(UTC)
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, today, today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([loopback]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = tmp_path / "server.pem", tmp_path / "server.key"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    with DaServer(tls=(certificate_file, key_file)) as running:
        running.load({"defendants": defendants()}, KEYS)
        yield running, certificate_file


def test_f18_an_untrusted_certificate_is_refused_and_nothing_sent(tls_server, landing):
    server, _ = tls_server
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TerminalError, "host_key_changed")
    assert server.requests == []


def test_f18_the_certificate_that_the_connection_names_is_trusted(tls_server, landing):
    server, certificate_file = tls_server
    drop = read(connection(server, ca_file=str(certificate_file)), landing)
    assert len(rows(landing, drop)) == 10


def test_f18_a_certificate_of_another_name_is_refused(tls_server, landing):
    server, certificate_file = tls_server
    given = connection(server, ca_file=str(certificate_file))
    other = Connection("localhost", given.port, given.login, given.password, extra=given.extra)
    assert refused(landing, lambda: read(other, landing)).reason == "host_key_changed"


def test_f18_plain_http_to_another_machine_is_refused(landing):
    plain = Connection("192.0.2.1", 80, extra={"scheme": "http"})
    assert refused(landing, lambda: read(plain, landing)).reason == "settings_invalid"


def test_redirects_are_not_followed(server, landing):
    with DaServer() as other:
        place = f"http://127.0.0.1:{other.port}/v1/defendants"
        server.script([Fault("/v1/defendants", status=302, headers={"location": place})])
        error = refused(landing, lambda: read(server, landing))
        assert (type(error), error.reason) == (TransientError, "bad_response")
        assert other.requests == []


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


# --- F22: tokens -----------------------------------------------------------------------------


def test_f22_a_token_that_expires_is_renewed_once_and_the_cursor_kept(server, landing):
    server.script([Fault("/v1/defendants", nth=3, before=server.expire_tokens)])
    assert rows(landing, read(server, landing)) == defendants().to_dicts()
    queries = asked(server, "/v1/defendants")
    assert queries[2] == queries[3]
    assert len(asked(server, "/oauth/token")) == 2


def test_f22_a_second_refusal_needs_a_person(server, landing):
    server.script([Fault("/v1/defendants", nth=2, times=9, status=401)])
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TerminalError, "credentials_refused")
    assert len(asked(server, "/v1/defendants")) == 3


def test_f22_wrong_credentials_are_tried_once(server, landing):
    given = connection(server)
    wrong = Connection(given.host, given.port, given.login, "another", extra=given.extra)
    error = refused(landing, lambda: read(wrong, landing))
    assert (type(error), error.reason) == (TerminalError, "credentials_refused")
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [
        b"{}",
        b"[]",
        b'{"access_token":"a b","token_type":"Bearer"}',
        b'{"access_token":"a","token_type":"mac"}',
    ],
)
def test_f22_a_token_answer_without_token_is_a_bad_response(server, landing, answer):
    server.script([Fault("/oauth/token", body=answer)])
    assert refused(landing, lambda: read(server, landing)).reason == "bad_response"


# --- F24, F25 and the corpus: what is no page ------------------------------------------------


def swap(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def edit(body: bytes) -> bytes:
        assert old in body
        return body.replace(old, new, 1)

    return edit


def without(name: str) -> Callable[[bytes], bytes]:
    return lambda body: json.dumps({k: v for k, v in json.loads(body).items() if k != name}).encode()


def with_(name: str, value: object) -> Callable[[bytes], bytes]:
    return lambda body: json.dumps({**json.loads(body), name: value}).encode()


FIRST = b'{"defendant_id":"D0000",'
NOT_STRICT = {
    "empty body": lambda _: b"",
    "50 duplicate key in a row": swap(FIRST, FIRST + b'"defendant_id":"D9999",'),
    "50 duplicate key in the envelope": swap(b'{"data":[', b'{"data":[],"data":['),
    "51 NaN": swap(FIRST, FIRST + b'"n":NaN,'),
    "51 Infinity": swap(FIRST, FIRST + b'"n":-Infinity,'),
    "52 1e999": swap(FIRST, FIRST + b'"n":1e999,'),
    "56 truncated array": lambda body: body[: body.index(b"}")],
    "57 trailing garbage": lambda body: body + b"{}",
    "58 BOM": lambda body: b"\xef\xbb\xbf" + body,
    "UTF-16": lambda body: body.decode().encode("utf-16"),
    "Windows-1252": swap(CANARY.encode(), b"Mu\xf1oz"),
    "raw line feed in a string": swap(CANARY.encode(), b"a\nb"),
    "nested without end": swap(FIRST, FIRST + b'"n":' + b"[" * 100_000),
    "number without end": swap(FIRST, FIRST + b'"n":' + b"9" * 5000 + b","),
}
NO_PAGE = {
    "60 null for the list": with_("data", None),
    "61 object for the list": with_("data", {}),
    "rows that are no objects": with_("data", [[1]]),
    "a list": lambda _: b"[]",
    "62 an error with 200": lambda _: b'{"error":"maintenance"}',
    "an error beside the data": with_("error", "partial"),
    "no total": without("total"),
    "no data": without("data"),
    "no next": without("next"),
    "no as_of": without("as_of"),
    "next is a number": with_("next", 7),
    "next is empty": with_("next", ""),
    "total is true": with_("total", True),
    "total is negative": with_("total", -1),
    "total is text": with_("total", "10"),
    "as_of without offset": with_("as_of", "2026-11-20T00:00:00"),
    "as_of of another snapshot": with_("as_of", "2026-11-20T00:00:00Z"),
    "68 total smaller": with_("total", 3),
}


@pytest.mark.parametrize("defect", [*NOT_STRICT, *NO_PAGE])
def test_f24_what_is_no_page_is_never_no_cases(server, landing, defect):
    server.script([Fault("/v1/defendants", edit={**NOT_STRICT, **NO_PAGE}[defect])])
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TransientError, "bad_response")


@pytest.mark.parametrize("path", ["/v1/defendants/keys", "/v1/snapshot"])
@pytest.mark.parametrize("defect", ["empty body", "58 BOM", "62 an error with 200", "no as_of"])
def test_f24_keys_and_snapshots_are_held_to_the_same(server, landing, path, defect):
    server.script([Fault(path, edit={**NOT_STRICT, **NO_PAGE}[defect])])
    assert refused(landing, lambda: read(server, landing)).reason == "bad_response"


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/html; charset=utf-8"},
        {"content-type": "application/json; charset=iso-8859-1"},
        {"content-type": "application/problem+json"},
        {"content-type": None},
        {"content-encoding": "gzip"},
    ],
)
def test_f24_a_wrong_kind_of_content_is_refused(server, landing, headers):
    server.script([Fault("/v1/defendants", headers=headers)])
    assert refused(landing, lambda: read(server, landing)).reason == "bad_response"


@pytest.mark.parametrize("status", [200, 203])
def test_f24_63_a_login_page_is_refused(server, landing, status):
    page = f"<html><form>{CANARY}</form></html>".encode()
    fault = Fault("/v1/defendants", status=status, body=page, headers={"content-type": "text/html"})
    server.script([fault])
    assert refused(landing, lambda: read(server, landing)).reason == "bad_response"


def test_no_content_is_refused(server, landing):
    server.script([Fault("/v1/defendants", status=204, headers={"content-type": None})])
    assert refused(landing, lambda: read(server, landing)).reason == "bad_response"


def test_f25_an_interface_that_is_gone_needs_a_person(server, landing):
    server.script([Fault("/v1/", times=9, status=404, body=b'{"error":"no such version"}')])
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TerminalError, "schema_drift")


def test_f25_a_field_that_is_gone_is_landed_for_the_contract_to_judge(server, landing):
    server.load({"defendants": defendants().drop("last_name")}, KEYS)
    assert set(rows(landing, read(server, landing))[0]) == {"defendant_id", "updated_at"}


@pytest.mark.parametrize(
    "value", [b"9007199254740993", b"-0", b'"0000-00-00"', b'{"__class__":"x"}', b'"\\ud800"']
)
def test_odd_values_are_landed_as_they_came_for_the_contract_to_judge(server, landing, value):
    server.script([Fault("/v1/defendants", edit=swap(FIRST, FIRST + b'"n":' + value + b","))])
    drop = read(server, landing)
    assert FIRST + b'"n":' + value + b"," in landing.read(drop, drop.of("rows")[0])


def test_a_body_without_end_is_cut_off(server, landing):
    server.script([Fault("/v1/defendants", body=b" " * (QUICK.response_bytes + 1))])
    error = refused(landing, lambda: read(server, landing))
    assert (type(error), error.reason) == (TerminalError, "too_large")


# --- pages against each other ----------------------------------------------------------------


def replay(nth: int) -> Fault:
    """From the n-th request on, the data of the first page come again under fresh cursors."""
    first: dict = {}

    def edit(body: bytes) -> bytes:
        page = json.loads(body)
        first.setdefault("data", page["data"])
        return json.dumps({**page, "data": first["data"]}).encode()

    return Fault("/v1/defendants", nth=nth, times=9, edit=edit)


def changed_page(nth: int, **members: object) -> Fault:
    edit = lambda body: json.dumps({**json.loads(body), **members}).encode()  # noqa: E731
    return Fault("/v1/defendants", nth=nth, times=99, edit=edit)


PAGES_THAT_DISAGREE = {
    "64 page repeats": (replay(1), "repeats"),
    "total changes": (changed_page(2, total=11), "changed between pages"),
    "68 total larger": (changed_page(1, total=11), "10 rows came"),
    "68 total smaller": (changed_page(1, total=4), "more pages"),
    "an empty page goes on": (changed_page(2, data=[]), "promises more"),
    "rows end early": (changed_page(2, next=None), "8 rows came"),
    "no row but a total": (changed_page(1, data=[], next=None), "0 rows came"),
}


@pytest.mark.parametrize("defect", PAGES_THAT_DISAGREE)
def test_pages_that_disagree_are_refused(server, landing, defect):
    fault, message = PAGES_THAT_DISAGREE[defect]
    server.script([fault])
    error = refused(landing, lambda: read(server, landing))
    assert message in error.message
    assert error.reason == "bad_response"


def test_65_a_cursor_loop_ends(server, landing):
    seen: list[dict] = []

    def loop(body: bytes) -> bytes:
        seen.append(json.loads(body))
        fresh = [{"defendant_id": f"D9{len(seen)}"}]
        return json.dumps({**seen[-1], "data": fresh, "next": seen[0]["next"]}).encode()

    server.script([Fault("/v1/defendants", times=99, edit=loop)])
    error = refused(landing, lambda: read(server, landing))
    assert "circle" in error.message
    assert len(seen) == 2


# --- no value in messages and logs -----------------------------------------------------------


def test_g10_no_cursor_token_or_value_in_logs(server, landing, caplog):
    caplog.set_level(logging.DEBUG)
    server.script([Fault("/v1/defendants", nth=2, status=500, body=CANARY.encode())])
    read(server, landing)
    assert CANARY not in caplog.text
    assert "cursor" not in caplog.text
    assert "Bearer" not in caplog.text


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_strict_json_reads_what_json_reads_or_refuses(body):
    with contextlib.suppress(TransientError):
        assert strict_json.loads(body, "a body") == json.loads(body)


# --- changes back to the agency --------------------------------------------------------------

CHANGES = b'{"changes":[{"da_case_no":"C0001","diversion_status":"ENROLLED"}]}'


def test_a_push_is_taken_once_and_replayed_after(server):
    first = push_changes(connection(server), CHANGES, "release-7:1", budget=QUICK)
    again = push_changes(connection(server), CHANGES, "release-7:1", budget=QUICK)
    assert (first["replayed"], again["replayed"]) == (False, True)
    assert first["receipt"] == again["receipt"]
    assert first["received_at"] == again["received_at"]
    assert [(p.idempotency_key, p.body) for p in server.received] == [("release-7:1", CHANGES)]


@pytest.mark.parametrize(
    ("name", "fault", "replayed"),
    [
        ("lost answer", {"cut": 5}, True),
        ("unavailable", {"status": 503}, False),
        ("slow down", {"status": 429}, False),
        ("token refused", {"status": 401}, False),
    ],
)
def test_a_push_that_is_tried_again_takes_effect_once(server, name, fault, replayed):
    server.script([Fault("/v1/diversion-status/changes", **fault)])
    key = name.replace(" ", "-")
    assert push_changes(connection(server), CHANGES, key, budget=QUICK)["replayed"] is replayed
    assert [p.idempotency_key for p in server.received] == [key]


def test_a_key_that_came_with_another_body_needs_a_person(server):
    push_changes(connection(server), CHANGES, "release-9:1", budget=QUICK)
    with pytest.raises(TerminalError, match="conflicting_resubmission"):
        push_changes(connection(server), b'{"changes":[]}', "release-9:1", budget=QUICK)
    assert len(server.received) == 1


def test_a_receipt_of_something_else_is_refused(server):
    edit = lambda body: json.dumps({**json.loads(body), "receipt": "0" * 64}).encode()  # noqa: E731
    server.script([Fault("/v1/diversion-status/changes", edit=edit)])
    with pytest.raises(TransientError, match="bad_response"):
        push_changes(connection(server), CHANGES, "release-10:1", budget=QUICK)


# --- the interface's own document ------------------------------------------------------------


def test_the_document_names_exactly_the_routes_of_the_server(server):
    document = yaml.safe_load(httpx.get(f"http://127.0.0.1:{server.port}/openapi.yaml").content)
    assert document == yaml.safe_load(DOCUMENT.read_bytes())
    described = {
        (path, method.upper())
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    served = {
        (route.path, method) for route in server.routes() for method in route.methods if method != "HEAD"
    }
    assert described == served


def test_answers_are_as_the_document_says(server):
    document = yaml.safe_load(DOCUMENT.read_bytes())
    came: dict[str, bytes] = {}

    def keep(name: str) -> Callable[[bytes], bytes]:
        return lambda body: came.setdefault(name, body)

    paths = {"Token": "/oauth", "Snapshot": "/v1/snap", "Page": "/v1/def", "Receipt": "/v1/div"}
    server.script([Fault(path, edit=keep(name)) for name, path in paths.items()])
    push_changes(connection(server), CHANGES, "release-11:1", budget=QUICK)
    token = json.loads(came["Token"])["access_token"]
    for path in ("/v1/snapshot", "/v1/defendants"):
        url = f"http://127.0.0.1:{server.port}{path}"
        assert httpx.get(url, headers={"authorization": f"Bearer {token}"}).status_code == 200
    assert came.keys() == paths.keys()
    for name, body in came.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(json.loads(body))
