"""What a pair can weigh at most, before all is known of it; a few words that are looked for among many."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.identity import linkage
from leadhub.identity.linkage import nearby
from leadhub.identity.linkage.comparison import field_codes
from leadhub.identity.linkage.deduction import deduce
from leadhub.identity.linkage.levels import GRADES, may_be
from leadhub.identity.linkage.model import Model, declared
from leadhub.identity.linkage.records import as_they_lie
from leadhub.identity.linkage.schema import LinkageSchema, person
from leadhub.identity.linkage.sieve import Few
from tests.identity.linkage import test_incremental as county
from tests.identity.linkage.test_comparison import encoded, two_versions

WORDS = st.lists(st.integers(0, 2**64 - 1), max_size=40)


def any_model(tier: str, schema: LinkageSchema, random: np.random.Generator, family: bool) -> Model:
    """Weights that nobody learnt: of no order, and the loosest level may weigh most."""
    made = declared(schema, tier, people=100, possible=1e6, rarity={})
    table = {name: tuple(random.normal(0, 5, len(bits))) for name, bits in made.chance.items()}
    joint = {f"{a}+{b}": tuple(random.normal(0, 5, GRADES**2)) for a, b in schema.together}
    if family:
        return replace(made, chance=table)
    return replace(made, chance=table, family={}, together=joint, learnt_prior_bits=-3.0)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1), st.booleans())
def test_no_pair_weighs_more_than_the_keys_that_it_shares_let_it(seed, share, family):
    schema, random = person().seen_in("tokens"), np.random.default_rng(seed)
    shared = random.random((len(schema.match_keys), 20)) < share * 0.1
    both = shared | (random.random(shared.shape) < 0.7)
    masks = [np.packbits(m, axis=0, bitorder="little") for m in (shared, both)]
    seen, known = deduce(schema, masks[0], masks[0]), deduce(schema, *masks)
    for name, one, other in zip(schema.fields, seen, known):
        assert may_be(schema, name, "tokens")[one, other].all()
    model = any_model("tokens", schema, random, family)
    most = model.at_most(schema).weigh(schema, seen, {})
    assert (model.weigh(schema, known, {}) <= most + nearby.ROUNDING).all()


@settings(max_examples=50, deadline=None)
@given(two_versions(), st.integers(0, 10**6), st.booleans())
def test_no_pair_weighs_more_than_the_parts_that_were_looked_at_let_it(pair, seed, family):
    records, random = encoded(list(pair), "fields"), np.random.default_rng(seed)
    schema, ends = records.schema, (np.array([0]), np.array([1]))
    several = {name for name, part in schema.parts.items() if part.many and random.random() < 0.5}
    seen, known = field_codes(records, *ends, several), field_codes(records, *ends)
    model = any_model("fields", schema, random, family)
    most = model.at_most(schema, several).weigh(schema, seen, {})
    assert (model.weigh(schema, known, {}) <= most + nearby.ROUNDING).all()
    everything = {name for name, part in schema.parts.items() if part.many}
    assert (field_codes(records, *ends, everything) == known).all()


@pytest.mark.parametrize("least", [linkage.REVIEW_BITS, 20.0])
@pytest.mark.parametrize("tier", ["tokens", "fields"])
def test_all_pairs_of_a_few_that_reach_the_bits_are_found_and_those_given(tier, least):
    model, held = county.frozen(tier)
    table = county.table(tier, dict.fromkeys(county.versions(tier)[0]["record_id"].to_list(), 0))
    records = as_they_lie(table, county.ONE, person(), tier)
    everything = linkage.weigh(records.only(np.arange(len(records))), model, None, held)
    few = np.arange(0, len(records), 7)
    also = np.array([0]), np.array([1])
    near = nearby.find(records, few, also, model, held, least)
    rows, found = near.among.rows, near.pairs
    pairs = set(zip(rows[found.left].tolist(), rows[found.right].tolist()))
    theirs = np.isin(everything.left, few) | np.isin(everything.right, few)
    told = theirs & (everything.bits >= least)
    wanted = set(zip(everything.left[told].tolist(), everything.right[told].tolist()))
    assert wanted
    assert wanted | {(0, 1)} <= pairs
    if least > linkage.REVIEW_BITS:
        assert len(pairs) < theirs.sum()


def test_of_a_block_that_has_grown_no_pair_is_written_down(monkeypatch):
    model, held = county.frozen("fields")
    table = county.table("fields", dict.fromkeys(county.versions("fields")[0]["record_id"].to_list(), 0))
    records = as_they_lie(table, county.ONE, person(), "fields")
    monkeypatch.setattr(nearby.candidates, "MOST_RECORDS", 1)
    grown = replace(held, caps=dict.fromkeys(held.caps, 1), blocks={})
    few = nearby._Few(records, np.arange(len(records)), grown)
    met = [few.meet(key) for key in range(len(records.key_names))]
    assert any(too_large for _, too_large in met)
    assert all(len(pairs) == 0 for pairs, too_large in met if too_large)
    assert nearby.find(records, np.arange(len(records)), None, model, grown, linkage.REVIEW_BITS) is None


def test_a_field_beside_one_that_may_not_count_may_count():
    schema = person().seen_in("tokens")
    first = next(n for n, f in schema.fields.items() if f.void_where)
    late = schema.fields["birth_place" if "birth_place" in schema.fields else "sex"]
    chain = schema.model_copy(
        update={"fields": {**schema.fields, "late": late.model_copy(update={"unless_known": first})}}
    )
    assert may_be(chain, "late", "tokens")[0].all(), "the other may turn out void"
    assert not may_be(schema, first, "tokens")[0].all()


@given(WORDS, WORDS, st.sampled_from([0, 26]))
def test_which_of_many_words_are_among_a_few(few, many, but):
    many = np.array(many + few[::2], dtype=np.uint64)
    sieve = Few(np.array(few, dtype=np.uint64), but=np.uint64(but))
    at, which = sieve.met(many)
    wanted = [i for i, word in enumerate(many.tolist()) if word >> but in {w >> but for w in few}]
    assert at.tolist() == wanted
    assert ((sieve.words[which] >> np.uint64(but)) == (many[at] >> np.uint64(but))).all()
