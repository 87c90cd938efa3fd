"""The attack suite: attacks that should succeed do, on the tier that is known to leak; others are measured.

That the schema refuses a key below the entropy gate stands in tests/identity/test_tokens.py.
"""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from benchmarks.privacy import frequency, matching, patterns, roll, suite, thief
from benchmarks.privacy.__main__ import gated
from leadhub.foundation.keys import Keys
from leadhub.identity.linkage.schema import person
from tests.identity import people as county

KEYS = Keys(bytes(range(32)))
OWN = roll.Knowledge(1.0, as_recorded=True)
WHOLE = roll.Knowledge(1.0, as_recorded=True, strangers=False)
ANEW = roll.Knowledge(1.0)


@pytest.fixture(scope="module")
def feeds():
    """A small county as two agencies wrote it down."""
    tables, truth = county.county(2200, dict(list(county.FEEDS.items())[:2]), 0.05, seed=5)
    made = []
    for table in tables.values():
        frame = pl.DataFrame(pl.from_arrow(table))
        who = frame.get_column("record_id").replace_strict(truth).cast(pl.String).to_numpy()
        facts = frame.select("sex", race=pl.lit(None, pl.String))
        made.append(roll.People(frame.drop("record_id"), facts, who))
    return list(roll.shared(*made))


@pytest.fixture(scope="module")
def lakes(feeds):
    made = {tier: thief.hold(feeds, keys=KEYS, tier=tier, schema=person()) for tier in ("tokens", "fields")}
    return made | {"strict": thief.hold(feeds, keys=KEYS, schema=gated(20.0))}


def target(lakes, feeds, lake, knowledge):
    held = lakes[lake]
    known = roll.known(knowledge, *feeds, np.random.default_rng(1))
    return suite.Target(held, feeds[0].only(held.order), known, knowledge, KEYS)


def leaks(found):
    return {f.attack: f.leak for f in found if f.target == "person"}


def test_the_attacks_succeed_where_tokens_stand_for_single_parts(lakes, feeds):
    at = target(lakes, feeds, "fields", WHOLE)
    found = [*suite.operator(at), *suite.columns(at)]
    by_attack = leaks(found)
    for attack in ("frequency, all columns", "pattern mining", "graph matching"):
        assert by_attack[attack].right > 0.4
        assert by_attack[attack].chance < 0.02
    names = {f.note: f.leak for f in found if f.attack == "frequency, sex and race known"}
    assert names["p_first"].beyond > 0.05
    [years] = [f.leak for f in found if f.target == "birth year"]
    assert years.right > 0.8


def test_no_column_of_the_default_tier_is_aligned_by_frequency_alone(lakes, feeds):
    for knowledge in (ANEW, roll.Knowledge(None)):
        [unsalted, *_] = suite.columns(target(lakes, feeds, "tokens", knowledge))
        assert unsalted.attack == "frequency, salt unknown"
        assert unsalted.leak.beyond < 0.03


def mined(at):
    """Share of records named by pattern mining alone."""
    features = [
        patterns.features(t, at.held.schema, "tokens", as_recorded=True)
        for t in (at.held.tokens, at.mirror)
    ]
    return float((at.roll.person[matching.match(*features, at.slip).row] == at.people.person).mean())


def test_which_keys_the_gate_refused_names_few_where_it_is_low(lakes, feeds):
    assert mined(target(lakes, feeds, "strict", OWN)) > 0.05
    assert mined(target(lakes, feeds, "tokens", OWN)) < 0.03


def test_who_has_the_linkage_key_names_nearly_everybody(lakes, feeds):
    assert suite.with_key(target(lakes, feeds, "tokens", ANEW)).leak.right > 0.9


def test_the_lakes_files_alone_name_nobody(lakes, feeds):
    at = target(lakes, feeds, "tokens", WHOLE)
    found = list(suite.disks(at, [at.roll, feeds[1]]))
    of = {f.attack: f for f in found}
    assert of["scored pairs"].adversary == "operator"
    assert of["scored pairs"].leak.beyond > 0.1, "why pairs lie encrypted"
    alone = [f.leak.beyond for f in found if f.adversary == "disks"]
    assert len(alone) == 2
    assert max(alone) < 0.02


def test_without_the_storage_key_a_token_file_is_its_length(lakes):
    held = lakes["tokens"]
    [sealed, *_] = held.files.values()
    token = held.tokens.column("k_names+dob").drop_null()[0].as_py()
    assert token.to_bytes(8, "little") not in sealed
    assert b"record_id" not in sealed


def test_guesses_are_by_likelihood_and_chance_is_what_the_same_guesses_dealt_out_give():
    lake = pl.DataFrame({"a": [1, 1, 2], "b": [1, 2, 0]}, {"a": pl.UInt64, "b": pl.UInt64})
    book = pl.DataFrame({"a": [2, 1, 1], "b": [1, 1, 2]}, {"a": pl.UInt64, "b": pl.UInt64})
    guesses = matching.match(lake, book, 0.01)
    assert guesses.row.tolist() == [1, 2, 0]
    assert (guesses.margin > 0).all()
    truth = np.array(["x", "y", "z"], dtype=object)
    everyone = np.zeros(3, dtype=np.uint64)
    leak = matching.judge(truth.copy(), truth, everyone, guesses.margin)
    assert (leak.right, leak.chance, leak.surest) == (1.0, 0.0, 1.0)
    constant = matching.judge(np.full(3, "x", dtype=object), truth, everyone, guesses.margin)
    assert constant.right == constant.chance
    assert constant.beyond == 0.0


def test_alignment_is_within_the_salt_that_is_known():
    lake = np.array([10, 10, 11, 20, 0], dtype=np.uint64)
    book = np.array([1, 1, 2, 3, 3], dtype=np.uint64)
    salt, known = np.array([1, 1, 1, 2, 2]), np.array([1, 1, 1, 2, 2])
    assert frequency.align(lake, book, salt, known).tolist() == [0, 0, 2, 3, -1]


def test_a_list_of_tokens_shows_length_and_repetitions_and_not_its_values():
    lists = [[1, 2, 2, 3], [7, 9, 9, 8], [7, 7, 9, 8], None]
    one, same, other, none = patterns.shape(pa.chunked_array([lists], pa.list_(pa.uint64()))).tolist()
    assert one == same != other
    assert none == 0


def test_years_come_out_of_their_chain_in_order():
    token = {year: 1000 + (year * 7919) % 997 for year in range(1950, 1970)}
    born = [1955, 1951, 1952, 1953, 1954, 1953]
    table = pa.table(
        {"p_years": pa.array([[token[y + i] for i in range(3)] for y in born], pa.list_(pa.uint64()))}
    )
    assert (patterns.years(table) - patterns.years(table).min()).tolist() == [4, 0, 1, 2, 3, 2]
    assert patterns.anchored(patterns.years(table), np.array(born)).tolist() == born
