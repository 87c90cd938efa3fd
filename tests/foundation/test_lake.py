"""The lake: only what a night manifest names counts; tokens are sealed; purges are carried out."""

import pyarrow as pa
import pytest

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.foundation.lake import Lake


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path, Keys(bytes(32)))


def test_a_version_stays_readable_after_a_newer_one(lake):
    first = lake.write("core_a__x", pa.table({"record_id": ["1"]}))
    second = lake.write("core_a__x", pa.table({"record_id": ["1", "2"], "more": [1, 2]}))
    assert lake.read("core_a__x", first).to_pydict() == {"record_id": ["1"]}
    assert lake.read("core_a__x", second, columns=["more"]).to_pydict() == {"more": [1, 2]}


def test_an_empty_table_keeps_its_columns(lake):
    empty = pa.schema([("record_id", pa.string()), ("day", pa.date32())]).empty_table()
    assert lake.read("t", lake.write("t", empty)).schema.names == ["record_id", "day"]


def test_a_lost_version_is_named(lake):
    with pytest.raises(TerminalError, match=r"state_invalid.*\[t\]"):
        lake.read("t", 3)


def test_a_night_builds_on_the_last_committed_one_before_it(lake):
    assert lake.base("2026-11-20")["night"] is None
    lake.commit_night("2026-11-20", {"night": "2026-11-20"})
    assert lake.base("2026-11-22")["night"] == "2026-11-20"
    assert lake.base("2026-11-20")["feeds"] == {}


def test_f10_a_night_before_a_committed_one_is_refused(lake):
    lake.commit_night("2026-11-21", {"night": "2026-11-21"})
    with pytest.raises(TerminalError, match="out_of_order"):
        lake.base("2026-11-20")


def test_tokens_are_sealed_at_rest_and_read_back(lake, tmp_path):
    tokens = pa.table({"record_id": ["r1"], "k_name": ["t1:abcdefabcdef"]})
    name = lake.write_tokens("feed_a", tokens)
    assert lake.read_tokens(name).equals(tokens)
    assert b"abcdefabcdef" not in (tmp_path / "lake" / "tokens" / name).read_bytes()
    assert lake.drop_tokens(["feed_a"], keep=set()) == 1
    assert not (tmp_path / "lake" / "tokens" / name).exists()


def test_vacuum_removes_what_no_kept_night_names(lake, tmp_path):
    old = lake.write("t", pa.table({"secret": ["gone at the source"]}))
    kept = lake.write("t", pa.table({"secret": ["here"]}))
    assert lake.vacuum("casework", {"t": {kept}}) == 1
    assert lake.read("t", kept).num_rows == 1
    with pytest.raises((TerminalError, OSError)):
        lake.read("t", old)


def test_receipts_say_what_a_finished_step_said(lake):
    assert lake.receipt("2026-11-20", "feed_a", "land") is None
    lake.put_receipt("2026-11-20", "feed_a", "land", {"status": "landed"})
    assert lake.receipt("2026-11-20", "feed_a", "land") == {"status": "landed"}
    lake.forget_receipts("2026-11-20", "feed_a")
    assert lake.receipt("2026-11-20", "feed_a", "land") is None
