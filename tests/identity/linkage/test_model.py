"""Weights: what the schema declares, what is learnt without labels, and what a place in a source adds."""

from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.keys import Keys
from leadhub.identity import linkage, tokens
from leadhub.identity.linkage import clusters, graph
from leadhub.identity.linkage.levels import code_names
from leadhub.identity.linkage.model import declared, from_facts
from leadhub.identity.linkage.records import encode
from leadhub.identity.linkage.schema import person
from tests.identity import people

KEYS = Keys(bytes(range(32)))
SCHEMA = person()


def pattern(tier="fields", **levels):
    fields = SCHEMA.seen_in(tier).fields
    codes = [code_names(f, tier).index(levels.get(name, "unknown")) for name, f in fields.items()]
    return np.array(codes, dtype=np.uint8)[:, None]


def bits(**levels) -> float:
    model = declared(SCHEMA, "fields", people=1000, possible=1e6, rarity={})
    return float(model.weigh(person(), pattern(**levels), {})[0])


NAMES = {"last": "exact", "first": "exact", "dob": "exact"}


def test_more_agreement_is_more_evidence():
    assert bits(**NAMES) > bits(**NAMES | {"first": "nickname"}) > bits(**NAMES | {"first": "differ"})
    assert bits(**NAMES, phone="exact") > bits(**NAMES) > bits(**NAMES, phone="differ")


def test_twins_and_father_and_son_are_family_not_one_person():
    home = {"last": "exact", "address": "door", "phone": "exact"}
    assert bits(**home, first="differ", dob="exact") < 0
    assert bits(**home, first="exact", dob="differ") < 0
    assert bits(**home, first="exact", dob="exact") > 0


def test_a_model_survives_being_written_down():
    model = declared(SCHEMA, "tokens", people=10, possible=100, rarity={"rarest": 1.0})
    again = from_facts(model.facts())
    assert again == model
    assert again.fingerprint == model.fingerprint


def county(noise: float, tier: str):
    tables, truth = people.county(2500, people.FEEDS, noise, seed=5)
    made = pa.concat_tables([tokens.tokenise(t, feed=f, keys=KEYS, tier=tier) for f, t in tables.items()])
    records = encode(made, frozenset(people.FEEDS), SCHEMA)
    return records, np.array([truth[i] for i in records.ids.to_list()])


@pytest.mark.parametrize("tier", ["tokens", "fields"])
def test_the_number_of_pairs_of_one_person_is_learnt_without_labels(tier):
    records, truth = county(0.05, tier)
    weighed = linkage.weigh(records)
    match = truth[weighed.left] == truth[weighed.right]
    assert weighed.model.how in ("self-trained", "expectation maximisation")
    assert weighed.model.people == pytest.approx(match.sum(), rel=0.05)
    linked = weighed.bits >= clusters.LINK_BITS
    assert match[linked].mean() > 0.98
    assert match[linked].sum() > 0.98 * match.sum()


def _persons(tables: dict[str, pa.Table], truth: dict[str, int], tier: str) -> tuple[float, float]:
    """Precision and recall where all is one feed, which may hold a person any number of times."""
    made = pa.concat_tables([tokens.tokenise(t, feed="a", keys=KEYS, tier=tier) for t in tables.values()])
    return people.quality(linkage.link(made, one_per_person=frozenset()).clusters, truth)


KINDS = ("last_name", "first_name", "middle_name", "sex", "phone", "address_line", "zip")


@pytest.mark.parametrize(("tier", "least"), [("tokens", 0.98), ("fields", 0.99)])
def test_relatives_in_a_feed_that_tells_the_year_of_birth_alone_are_not_one_person(tier, least):
    tables, truth = people.county(2500, dict.fromkeys("ab", (0.9, KINDS)), 0.05, seed=5)
    year = {name: pc.cast(pc.year(t["date_of_birth"]), pa.string()) for name, t in tables.items()}
    without = ["date_of_birth", "ssn4", "nysid", "suffix"]
    tables = {
        name: t.append_column("birth_year", year[name]).drop_columns(without) for name, t in tables.items()
    }
    precision, recall = _persons(tables, truth, tier)
    assert precision > least
    assert recall > least


@pytest.mark.parametrize(("tier", "least"), [("tokens", 0.96), ("fields", 0.98)])
def test_many_records_a_person_tell_of_each_other(tier, least):
    tables, truth = people.county(250, dict.fromkeys("abcdefgh", (0.8, KINDS)), 0.2, seed=5)
    precision, recall = _persons(tables, truth, tier)
    assert precision > 0.99
    assert recall > least


def test_persons_label_the_pairs_of_the_next_round():
    records, _ = _tiny(once=frozenset())
    person = np.array([0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 10, 11])
    pairs = {
        (0, 3): 1,  # one person's, however little it weighs
        (0, 4): 0,  # of two who have their records already
        (0, 8): -1,  # a few records that may be theirs
        (8, 10): -1,
        (10, 11): 0,  # as good as strangers
    }
    left, right = (np.array(side) for side in zip(*pairs))
    bits = np.array([-4, 5, 5, -1, -8], dtype=np.float32)
    assert graph.labels(records, left, right, bits, person).tolist() == list(pairs.values())


def test_a_frozen_model_weighs_a_pair_the_same_whatever_else_is_there():
    records, _ = county(0.05, "tokens")
    model = linkage.weigh(records).model
    table = pa.concat_tables(
        [
            tokens.tokenise(t, feed=f, keys=KEYS)
            for f, t in people.county(2500, people.FEEDS, 0.05, seed=5)[0].items()
        ]
    )
    half = table.filter(pa.array([i % 2 == 0 for i in range(table.num_rows)]))
    whole = encode(table, frozenset(people.FEEDS), SCHEMA)
    part = encode(half, frozenset(people.FEEDS), SCHEMA)

    def levels(records):
        w = linkage.weigh(records, model)
        ids = records.ids.to_list()
        # rarity is counted on the night's records: left out here
        plain = model.weigh(person(), w.compared.codes, {})
        return {(ids[a], ids[b]): float(x) for a, b, x in zip(w.left, w.right, plain)}

    everyone, some = levels(whole), levels(part)
    assert some
    assert all(everyone[pair] == value for pair, value in some.items())


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_an_assignment_is_one_to_one_and_greedy(seed):
    rng = np.random.default_rng(seed)
    records, _ = _tiny()
    left, right = np.meshgrid(np.arange(6), np.arange(6, 12))
    chosen = rng.random(36) < 0.5
    left, right = left.ravel()[chosen], right.ravel()[chosen]
    order = np.lexsort((right, left))
    left, right = left[order], right[order]
    weight = rng.integers(0, 5, len(left)).astype(np.float32)
    kept = graph.assign(records, left, right, weight)
    expected, used = np.zeros(len(left), bool), set()
    for i in np.argsort(-weight, kind="stable"):
        if left[i] not in used and right[i] not in used:
            expected[i] = True
            used |= {left[i], right[i]}
    assert kept.tolist() == expected.tolist()


@cache
def _tiny(once=frozenset("ab")):
    rows = [{"record_id": f"{f}{i}", "last_name": f"N{f}{i}"} for f in "ab" for i in range(6)]
    tables = [
        tokens.tokenise(
            pa.Table.from_pylist([r for r in rows if r["record_id"][0] == f]), feed=f, keys=KEYS
        )
        for f in "ab"
    ]
    records = encode(pa.concat_tables(tables), once, SCHEMA)
    return records, None


def test_winning_a_place_raises_until_the_posteriors_sum_to_the_people_expected():
    weight = np.linspace(-6, 10, 200).astype(np.float32)
    raised = graph.raise_bits(weight, 150)
    expected = (1 / (1 + np.exp2(-(weight + raised)))).sum()
    assert expected == pytest.approx(150, abs=0.5)
    assert graph.raise_bits(weight, 1e9) == pytest.approx(graph.MOST_RAISE, abs=1e-3)
    assert graph.raise_bits(weight, 1) == 0
