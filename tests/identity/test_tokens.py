"""Tokens are keyed hashes, equal exactly where their normalised parts are, and absent where one is."""

import hashlib
import hmac
from datetime import date

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import keyed, tokens
from leadhub.identity.linkage import schema
from leadhub.identity.linkage.schema import MATCH_KEYS, PARTS, MatchKey

PERSON = {
    "record_id": "r1",
    "last_name": "O'Neil",
    "first_name": "Bill",
    "middle_name": "Ray",
    "date_of_birth": date(1980, 3, 4),
    "sex": "M",
    "ssn4": "0420",
    "nysid": "01234567A",
    "phone": "716-555-0134",
    "address_line": "12 N Main St",
    "zip": "14201",
}


def table(*people):
    kinds = [k for k in PERSON if k != "date_of_birth"]
    fields = [(k, pa.string()) for k in kinds] + [("date_of_birth", pa.date32())]
    return pa.Table.from_pylist([dict(p) for p in people], pa.schema(fields))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(max_size=12)), min_size=1, max_size=12))
def test_hmac_equals_the_standard_library_row_by_row(values):
    key = Keys(bytes(32)).hmac_text_key("token:x")
    made = keyed.hmac_column(pl.Series(values, dtype=pl.String), key, "t1:").to_list()
    for value, token in zip(values, made):
        if value is None:
            assert token is None
        else:
            digest = hmac.new(key.encode(), value.encode(), hashlib.sha256).hexdigest()
            assert token == "t1:" + digest[:32]


def test_every_match_key_of_a_person_equals_the_standard_library(keys):
    made = tokens.tokenise(table(PERSON), feed="f", keys=keys)
    frame = pl.DataFrame(pl.from_arrow(table(PERSON))).drop("record_id")
    parts = tokens.parts(frame).row(0, named=True)
    assert set(parts) == set(PARTS)
    assert made.column_names == list(tokens.COLUMNS)
    for key in MATCH_KEYS:
        values = [parts[p] for p in key.parts]
        token = made.column(key.column)[0].as_py()
        if None in values:
            assert token is None
            continue
        secret = keys.derive(f"token:link:{key.name}").hex().encode()
        digest = hmac.new(secret, "\x1f".join(values).encode(), hashlib.sha256).hexdigest()
        assert token == f"t1.{schema.fingerprint()}:{digest[:32]}"


def test_equal_after_normalising_means_equal_tokens(keys):
    other = PERSON | {"record_id": "r2", "last_name": "ONEIL", "address_line": "12 Main Street"}
    rows = tokens.tokenise(table(other, PERSON), feed="f", keys=keys).to_pylist()
    assert [r.pop("record_id") for r in rows] == ["r1", "r2"]
    assert rows[0] == rows[1]


def test_a_missing_part_leaves_the_token_out(keys):
    row = tokens.tokenise(table(PERSON | {"date_of_birth": None}), feed="f", keys=keys).to_pylist()[0]
    for key in MATCH_KEYS:
        if any(PARTS[p].field == "dob" for p in key.parts):
            assert row[key.column] is None
    assert row["k_name_address"] is not None


def test_kinds_that_an_agency_does_not_give_are_missing_and_others_are_refused(keys):
    few = table(PERSON).select(["record_id", "last_name", "first_name", "date_of_birth"])
    row = tokens.tokenise(few, feed="f", keys=keys).to_pylist()[0]
    assert row["nysid_token"] is None
    assert row["k_name_dob"] is not None
    with pytest.raises(TerminalError) as error:
        tokens.tokenise(few.append_column("diagnosis", pa.array(["x"])), feed="f", keys=keys)
    assert error.value.reason == "column_not_allowed"


def test_g9_another_key_gives_other_tokens(keys):
    one = tokens.tokenise(table(PERSON), feed="f", keys=keys).to_pylist()[0]
    two = tokens.tokenise(table(PERSON), feed="f", keys=Keys(bytes(32))).to_pylist()[0]
    assert not {v for k, v in one.items() if k.startswith("k_")} & set(two.values()) - {None}


@pytest.mark.parametrize(
    "parts", [("dob", "year_day"), ("last", "first"), ("zip", "dob"), ("surname", "dob")]
)
def test_a_match_key_below_the_least_entropy_cannot_be_declared(parts):
    with pytest.raises(ValueError, match="match key"):
        MatchKey("bad", parts)


def test_a_birth_date_alone_is_refused_whatever_their_bits(monkeypatch):
    monkeypatch.setattr(schema, "LEAST_BITS", 1.0)
    with pytest.raises(ValueError, match="birth date alone"):
        MatchKey("bad", ("dob", "year"))


def test_changed_match_keys_change_the_marker(monkeypatch):
    before = schema.fingerprint()
    monkeypatch.setattr(schema, "MATCH_KEYS", MATCH_KEYS[:-1])
    assert schema.fingerprint() != before


def test_shared_ids_are_equal_however_they_are_written_and_differ_by_kind(keys):
    values = pa.array(["a-12/3", "A123", None, "--"])
    made = tokens.shared_id_token(values, "arrest_no", keys).to_pylist()
    assert made[0] == made[1]
    assert made[2:] == [None, None]
    secret = keys.derive("token:arrest_no").hex().encode()
    assert made[0] == "t1:" + hmac.new(secret, b"A123", hashlib.sha256).hexdigest()[:32]
    assert tokens.shared_id_token(values, "docket_no", keys).to_pylist()[0] != made[0]
