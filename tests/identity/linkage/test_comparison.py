"""Levels of fields, seen in tier `fields` and deduced in tier `tokens`: the deduction never contradicts."""

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.keys import Keys
from leadhub.identity import tokens
from leadhub.identity.linkage.candidates import Candidates
from leadhub.identity.linkage.comparison import compare, field_codes
from leadhub.identity.linkage.levels import code_names, spans
from leadhub.identity.linkage.limits import Limits
from leadhub.identity.linkage.records import encode
from leadhub.identity.linkage.schema import DIFFER, UNKNOWN, person
from tests.identity import people

KEYS = Keys(bytes(range(32)))
SCHEMA = person()
NO_LIMITS = Limits(2, 1, {}, {})


def encoded(rows: list[dict], tier: str):
    kinds = dict.fromkeys([*people.KINDS, "city", "sex", "birth_year", "birth_place", "occupation"])
    kinds.pop("date_of_birth", None)
    fields = [
        ("record_id", pa.string()),
        *((k, pa.string()) for k in kinds),
        ("date_of_birth", pa.date32()),
    ]
    table = pa.Table.from_pylist(
        [{"record_id": f"r{i}", **r} for i, r in enumerate(rows)], pa.schema(fields)
    )
    return encode(tokens.tokenise(table, feed="f", keys=KEYS, tier=tier), frozenset(), SCHEMA)


def said(one: dict, other: dict, tier: str = "fields") -> dict[str, str]:
    records = encoded([one, other], tier)
    left, right = np.array([0]), np.array([1])
    common = np.ones((len(records.key_names), 2), np.uint8)
    codes = compare(records, Candidates(left, right, common, pa.table({}), NO_LIMITS)).codes
    schema = records.schema
    names = [code_names(f, tier) for f in schema.fields.values()]
    return {f: n[c[0]] for f, n, c in zip(schema.fields, names, codes) if c[0] != UNKNOWN}


ANN = {
    "last_name": "Morrison",
    "first_name": "William",
    "middle_name": "Lee",
    "date_of_birth": date(1980, 3, 4),
    "address_line": "12 Elm St",
    "city": "Buffalo",
    "zip": "14201",
    "phone": "7165550134",
    "ssn4": "0420",
    "sex": "M",
    "birth_place": "Stoke-upon-Trent",
    "occupation": "association football player",
}


@pytest.mark.parametrize(
    ("changed", "field", "level"),
    [
        ({}, "last", "exact"),
        ({"last_name": "Morisson"}, "last", "near"),
        ({"last_name": "Morrison-Vale"}, "last", "part"),
        ({"last_name": "Morraine"}, "last", "alike"),
        ({"last_name": "Quigg"}, "last", "differ"),
        ({"last_name": "William", "first_name": "Morrison"}, "last", "swapped"),
        ({"last_name": "William", "first_name": "Morrison"}, "first", None),
        ({"first_name": "Bill"}, "first", "nickname"),
        ({"first_name": "Willard"}, "first", "alike"),
        ({"first_name": "Wayne"}, "first", "initial"),
        ({"middle_name": "L"}, "middle", "initial"),
        ({"date_of_birth": date(1980, 4, 3)}, "dob", "swapped"),
        ({"date_of_birth": date(1980, 3, 14)}, "dob", "near"),
        ({"date_of_birth": date(1980, 3, 27)}, "dob", "two_of_three"),
        ({"date_of_birth": date(1982, 7, 14)}, "dob", "years"),
        ({"date_of_birth": None, "birth_year": "1980"}, "birth_year", "exact"),
        ({"date_of_birth": None, "birth_year": "1979"}, "birth_year", "years"),
        ({"date_of_birth": None, "birth_year": "1990"}, "birth_year", "near"),
        ({"sex": "Male"}, "sex", "exact"),
        ({"sex": "X"}, "sex", None),
        ({"date_of_birth": date(1980, 7, 14)}, "dob", "year"),
        ({"date_of_birth": None}, "dob", None),
        ({"city": "Albany"}, "address", "door"),
        ({"city": None, "zip": "10001"}, "address", "line"),
        ({"address_line": "12 Oak Ave"}, "address", "house"),
        ({"address_line": "99 Oak Ave"}, "address", "area"),
        ({"address_line": "99 Oak Ave", "city": "Albany"}, "address", "near"),
        ({"phone": "7165550199"}, "phone", "differ"),
        ({"ssn4": None}, "ssn4", None),
        ({"middle_name": "Lea"}, "middle", "alike"),
        ({"address_line": None, "city": None, "zip": "14299"}, "address", "region"),
        ({"birth_place": "STOKE UPON TRENT"}, "birth_place", "exact"),
        ({"birth_place": "Stoke-on-Trent"}, "birth_place", "words"),
        ({"birth_place": "Leeds"}, "birth_place", "differ"),
        ({"birth_place": "unknown"}, "birth_place", None),
        ({"occupation": "football coach"}, "occupation", "words"),
    ],
)
def test_levels_of_tier_fields(changed, field, level):
    assert said(ANN, ANN | changed).get(field) == level


def test_a_birth_year_counts_only_where_a_date_is_missing():
    assert "birth_year" not in said(ANN, ANN)


@st.composite
def two_versions(draw):
    """A person, and the same or another as a careless clerk writes them."""
    words = st.sampled_from(["Smith", "Smyth", "Smithson", "Jones", "Bill", "William", "Ann", "Anne", None])
    days = st.integers(0, 800).map(lambda n: date(1980, 1, 2) + timedelta(days=n))

    def version():
        return {
            "last_name": draw(words),
            "first_name": draw(words),
            "middle_name": draw(st.sampled_from(["Lee", "L", None])),
            "date_of_birth": draw(st.one_of(st.none(), days)),
            "address_line": draw(st.sampled_from(["12 Elm St", "12 Oak Ave", "9 Elm St", None])),
            "city": draw(st.sampled_from(["Buffalo", "Albany", None])),
            "zip": draw(st.sampled_from(["14201", "14202", None])),
            "phone": draw(st.sampled_from(["7165550134", "7165550199", None])),
            "ssn4": draw(st.sampled_from(["0420", "0421", None])),
            "suffix": draw(st.sampled_from(["JR", "SR", None])),
        }

    one = version()
    same = draw(st.sets(st.sampled_from(sorted(one))))
    return one, version() | {k: one[k] for k in same}


@settings(max_examples=30, deadline=None)
@given(two_versions())
def test_what_match_keys_tell_never_contradicts_what_the_fields_show(pair):
    """Tier `tokens` says a span of levels; the level that tier `fields` sees lies within it."""
    left, right = np.array([0]), np.array([1])
    records = encoded(list(pair), "tokens")
    exact = replace(encoded(list(pair), "fields"), schema=records.schema)
    fields = field_codes(exact, left, right)[:, 0]
    common = np.ones((len(records.key_names), 2), np.uint8)
    deduced = compare(records, Candidates(left, right, common, pa.table({}), NO_LIMITS)).codes[:, 0]
    for (name, field), seen, code in zip(records.schema.fields.items(), fields, deduced):
        if code == UNKNOWN or seen == UNKNOWN:
            continue
        low, high = spans(field, "tokens")[code]
        assert low <= seen - DIFFER <= high, (name, code_names(field, "tokens")[code], field.names[seen])


def test_codes_and_their_names_are_one_to_one():
    for field in SCHEMA.fields.values():
        for tier in ("tokens", "fields"):
            names = code_names(field, tier)
            assert len(set(names)) == len(names) == len(spans(field, tier))
