"""The connector for HTTP interfaces against a real server: what it lands."""

from __future__ import annotations

import json

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.rest import RestConnector
from leadhub.foundation.keys import Keys
from leadhub.intake.landing import Landing
from simulation.da_faults import Fault
from tests.connectors.rest.da_interface import (
    CONTRACTS,
    KEYS,
    NIGHT,
    QUICK,
    cases,
    connection,
    defendants,
    feed,
    read,
    refused,
    rows,
)

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
