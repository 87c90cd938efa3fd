"""Changes sent back to the agency take effect once; the interface is as its own document says."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import jsonschema
import pytest
import yaml

from connectors.rest import push_changes
from leadhub.foundation.errors import TerminalError, TransientError
from simulation.da_api import DOCUMENT
from simulation.da_faults import Fault
from tests.connectors.rest.da_interface import QUICK, connection

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
