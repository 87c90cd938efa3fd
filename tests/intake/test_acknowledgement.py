"""What an agency reads: every drop answered, every refused row explained, never a value."""

from __future__ import annotations

import csv
import io
import json

import pyarrow as pa
import pytest

from leadhub.foundation.errors import REASONS
from leadhub.intake import acknowledgement
from leadhub.intake.feeds import Feed, TableMapping
from leadhub.intake.landing import Drop, Member
from leadhub.intake.validation import Judged

FEED = Feed(
    id="one_provider",
    title="One provider",
    agency="one_provider",
    connector="sql",
    connection="none",
    contract="provider",
    tables={
        "clients": TableMapping(source="client_list", columns={"client_id": "ID", "sex": "=Geschlecht"})
    },
)
MEMBER = Member("clients_20261120_01.csv", "clients", "rows", "csv", "0" * 64, 10, 3)
DROP = Drop("one_provider", "2026-11-20", "abc123", "full", 1, (MEMBER,), "2026-11-20T04:00:00Z")
SCHEMA = pa.schema([("row", pa.int32()), ("column", pa.string()), ("reason", pa.string())])
REFUSED = [(2, "sex", "unknown_code"), (3, None, "wrong_field_count"), (3, "sex", "rule:only_where_known")]
JUDGED = {
    "clients": Judged(
        pa.table({"client_id": ["Zyxquorbel"], "_row": pa.array([4], pa.int32())}),
        pa.Table.from_pylist([dict(zip(SCHEMA.names, r)) for r in REFUSED], SCHEMA),
        3,
    )
}


def told(**more) -> dict:
    given = {"feed": FEED.id, "night": "2026-11-20", "status": "landed", "names": [MEMBER.name]} | more
    return json.loads(acknowledgement.acknowledgement(**given))


def test_g3_received_is_accepted_plus_refused():
    answer = told(drop=DROP, judged=JUDGED)
    assert answer["rows"] == {"received": 3, "accepted": 1, "refused": 2}
    assert answer["tables"]["clients"]["reasons"] == {
        "rule:only_where_known": 1,
        "unknown_code": 1,
        "wrong_field_count": 1,
    }
    assert answer["what_to_do"].endswith("see 2026-11-20_abc123.rejections.csv.")
    assert answer["received_at"] == DROP.landed_at


def test_what_a_refused_restriction_withholds_is_told_and_first_where_it_names_nobody():
    consents = TableMapping(source="consents", columns={"revoked_at": "RevokedAt"})
    feed = FEED.model_copy(update={"tables": {**FEED.tables, "consents": consents}})
    faults = [(r, "revoked_at", "unparsable_timestamp") for r in (5, 6)]
    refused = pa.Table.from_pylist([dict(zip(SCHEMA.names, f)) for f in faults], SCHEMA)
    judged = {**JUDGED, "consents": Judged(pa.table({}), refused, 2)}
    answer = told(drop=DROP, judged=judged, nameless=[("consents", 6)])
    assert answer["what_to_do"].startswith("AT ONCE: see `urgent`. Correct the refused rows")
    [urgent] = answer["urgent"]
    assert (urgent["table"], urgent["row"]) == ("consents", 6)
    assert told(drop=DROP, judged=judged)["urgent"] == []
    report = acknowledgement.rejection_report(feed, DROP, judged, [("consents", 6)]).decode()
    rows = {(r["table"], r["row"]): r["what to do"] for r in csv.DictReader(io.StringIO(report))}
    assert rows["consents", "5"].endswith("no consent of this client counts: the row may be a revocation.")
    assert rows["consents", "6"].endswith(urgent["why"])
    assert rows["client_list", "2"].endswith("agree on it first.")


def test_g2_the_same_arrival_gives_the_same_bytes():
    first = acknowledgement.acknowledgement(
        feed="f", night="2026-11-20", status="landed", names=["b", "a"], drop=DROP, judged=JUDGED
    )
    second = acknowledgement.acknowledgement(
        feed="f", night="2026-11-20", status="landed", names=["a", "b"], drop=DROP, judged=JUDGED
    )
    assert first == second


@pytest.mark.parametrize("status", ["landed", "duplicate", "held", "refused", "pending"])
def test_every_status_is_answered_in_plain_words(status):
    answer = told(status=status)
    assert answer["status"] == status
    assert answer["rows"] is None
    assert answer["what_happened"]
    assert answer["what_to_do"]


@pytest.mark.parametrize(
    "reason",
    [
        *("wrong_field_count", "blank_line", "missing_value", "unparsable_date", "unparsable_timestamp"),
        *("unparsable_number", "unparsable_boolean", "unknown_code", "bad_format", "out_of_range"),
        *("duplicate_key", "reference_missing", "control_character", "too_long"),
    ],
)
def test_every_reason_of_a_row_has_its_own_words(reason):
    assert "the hub's side" not in acknowledgement.words(reason).what


def test_every_reason_of_a_drop_has_words_and_unknown_ones_blame_nobody():
    for reason in REASONS:
        assert acknowledgement.words(reason).to_do
    assert "the hub's side" in acknowledgement.words("disk_full").what


def test_the_report_speaks_of_the_agencys_own_columns_and_rows():
    report = acknowledgement.rejection_report(FEED, DROP, JUDGED).decode()
    lines = list(csv.reader(io.StringIO(report, newline="")))
    assert lines[0] == ["file", "table", "row", "column", "rule", "what to do"]
    assert [line[:5] for line in lines[1:]] == [
        [MEMBER.name, "client_list", "2", "'=Geschlecht", "unknown_code"],
        [MEMBER.name, "client_list", "3", "", "wrong_field_count"],
        [MEMBER.name, "client_list", "3", "'=Geschlecht", "rule:only_where_known"],
    ]
    assert 'breaks the rule "only where known"' in lines[3][5]


def test_f53_no_value_is_told():
    answer = acknowledgement.acknowledgement(
        feed="f", night="2026-11-20", status="landed", names=[], drop=DROP, judged=JUDGED
    )
    report = acknowledgement.rejection_report(FEED, DROP, JUDGED)
    assert b"Zyxquorbel" not in answer + report


def test_a_file_name_cannot_act_on_the_reader():
    answer = told(names=["a\x1b[31m\u202e.csv", "x\n.csv"])
    assert answer["names"] == ["a?[31m?.csv", "x?.csv"]


def test_names_of_the_two_files():
    assert acknowledgement.acknowledgement_name("2026-11-20", "abc") == "2026-11-20_abc.ack.json"
    assert acknowledgement.rejection_name("2026-11-20", "abc") == "2026-11-20_abc.rejections.csv"
    assert acknowledgement.arrival_id(["b", "a"]) == acknowledgement.arrival_id(["a", "b"])
    assert acknowledgement.arrival_id(["a"]) != acknowledgement.arrival_id(["b"])
