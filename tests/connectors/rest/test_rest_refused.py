"""The connector for HTTP interfaces: what is no page, or none of this reading, lands nothing."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import strict_json
from leadhub.foundation.errors import TerminalError, TransientError
from simulation.da_faults import Fault
from tests.connectors.rest.da_interface import CANARY, KEYS, QUICK, defendants, read, refused, rows

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
