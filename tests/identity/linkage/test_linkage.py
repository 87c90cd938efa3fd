"""Who is who: laws that hold for any tokens, and quality on a county with known truth."""

import hashlib
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import tokens
from leadhub.identity.linkage import candidates, link
from leadhub.identity.linkage import clusters as clustering
from leadhub.identity.linkage.clusters import Links
from leadhub.identity.linkage.records import encode
from leadhub.identity.linkage.schema import person
from tests.identity import people

KEYS = Keys(bytes(range(32)))
COLUMNS = tokens.columns(person(), "tokens")
MATCH_KEYS = person().columns("tokens")
NOBODY = dict.fromkeys(COLUMNS)
#: the keys of one surname, given name and birth date
SAME = person().closure({"names", "last", "first", "dob"})
NAME = {f"k_{n}": "n" for k, n in zip(person().match_keys, person().key_names) if set(k) <= SAME}


def word(value: str | None) -> int | None:
    return None if value is None else int.from_bytes(hashlib.sha256(value.encode()).digest()[:8], "big")


def records(*rows: dict) -> pa.Table:
    """Token tables; tokens are given as any text."""
    schema = pa.schema([(c, pa.string() if i < 3 else pa.uint64()) for i, c in enumerate(COLUMNS)])
    full = [NOBODY | {"feed": "a", "marker": "t1.person.tokens"} | r for r in rows]
    return pa.Table.from_pylist(
        [{c: v if i < 3 else word(v) for i, (c, v) in enumerate(r.items())} for r in full], schema
    )


def clusters(linked) -> list[set[str]]:
    groups: dict[str, set[str]] = {}
    for row in linked.clusters.to_pylist():
        groups.setdefault(row["cluster"], set()).add(row["record_id"])
    assert all(name == min(members) for name, members in groups.items())
    return sorted(groups.values(), key=min)


def status(linked) -> dict[tuple[str, str], str]:
    return {(p["left"], p["right"]): p["status"] for p in linked.pairs.to_pylist()}


def random_records(seed: int, count: int) -> pa.Table:
    """Token tables in which everything may collide with everything."""
    rng = random.Random(seed)
    rows = []
    for i in range(count):
        person = rng.randrange(6)
        row = {"record_id": f"r{i:03d}", "feed": rng.choice("abc")}
        for key in MATCH_KEYS:
            row[key] = f"{person}" if rng.random() < 0.7 else rng.choice([None, "x", "y"])
        row["nysid_token"] = rng.choice([None, None, f"{person}", "z"])
        rows.append(row)
    return records(*rows)


SINGLES = st.sets(st.sampled_from("abc")).map(frozenset)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), SINGLES, st.randoms(use_true_random=False))
def test_g2_the_order_of_records_does_not_matter(seed, single, rng):
    table = random_records(seed, 30)
    order = list(range(table.num_rows))
    rng.shuffle(order)
    one, two = link(table, one_per_person=single), link(table.take(order), one_per_person=single)
    assert one == two


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), SINGLES)
def test_no_cluster_holds_two_nysids_or_two_records_of_a_feed_that_holds_each_person_once(seed, single):
    table = random_records(seed, 30)
    rows = {r["record_id"]: r for r in table.to_pylist()}
    linked = link(table, one_per_person=single)
    assert sorted(linked.clusters["record_id"].to_pylist()) == sorted(rows)
    for members in clusters(linked):
        numbers = {rows[m]["nysid_token"] for m in members} - {None}
        assert len(numbers) <= 1
        feeds = [rows[m]["feed"] for m in members if rows[m]["feed"] in single]
        assert len(feeds) == len(set(feeds))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_link_is_a_reason_and_every_cluster_has_reasons(seed):
    table = random_records(seed, 30)
    linked = link(table, one_per_person=frozenset())
    links = {pair for pair, s in status(linked).items() if s == "linked"}
    for members in clusters(linked):
        reached, frontier = {min(members)}, [min(members)]
        while frontier:
            here = frontier.pop()
            for pair in links:
                if here in pair:
                    other = pair[0] if pair[1] == here else pair[1]
                    if other not in reached:
                        reached.add(other)
                        frontier.append(other)
        assert reached == members


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 10**6),
    SINGLES,
    st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29), st.booleans())),
)
def test_what_stewards_decided_holds(seed, single, said):
    """Two are two always; one is one unless NYSIDs or another decision forbid it: neither evidence nor a
    source that holds each person once."""
    table = random_records(seed, 30)
    pairs = {tuple(sorted((f"r{a:03d}", f"r{b:03d}"))): one for a, b, one in said if a != b}
    decided = [{"left": a, "right": b, "verdict": "one" if one else "two"} for (a, b), one in pairs.items()]
    linked = link(table, one_per_person=single, decided=decided)
    of = {m: c for c, members in enumerate(clusters(linked)) for m in members}
    assert all(of[a] != of[b] for (a, b), one in pairs.items() if not one)
    number = {r["record_id"]: r["nysid_token"] for r in table.to_pylist()}
    joined = {r: {r} for r in of}
    for a, b in (p for p, one in pairs.items() if one):
        joined[a] |= joined[b]
        for member in joined[a]:
            joined[member] = joined[a]
    for group in joined.values():
        parted = any(not one and a in group and b in group for (a, b), one in pairs.items())
        if not parted and len({number[r] for r in group} - {None}) < 2:
            assert len({of[r] for r in group}) == 1
    assert link(table, one_per_person=single, decided=decided) == linked


def test_nobody_and_one_record():
    assert link(records(), one_per_person=frozenset()).clusters.num_rows == 0
    alone = link(records({"record_id": "r1"}), one_per_person=frozenset())
    assert clusters(alone) == [{"r1"}]
    assert alone.pairs.num_rows == alone.left_out.num_rows == 0


def test_records_without_tokens_never_meet():
    linked = link(records({"record_id": "r1"}, {"record_id": "r2"}), one_per_person=frozenset())
    assert clusters(linked) == [{"r1"}, {"r2"}]


def test_one_nysid_is_one_person_whatever_else_differs():
    linked = link(
        records(
            {"record_id": "r1", "nysid_token": "1"},
            {"record_id": "r2", "nysid_token": "1", **NAME},
            {"record_id": "r3", "nysid_token": "2", **NAME},
        ),
        one_per_person=frozenset(),
    )
    assert clusters(linked) == [{"r1", "r2"}, {"r3"}]
    assert status(linked) == {("r1", "r2"): "linked", ("r2", "r3"): "conflict"}
    assert linked.pairs["evidence"].to_pylist()[0] == "nysid"


def test_a_record_between_two_nysids_goes_to_one_of_them_at_most():
    linked = link(
        records(
            {"record_id": "r1", "nysid_token": "1", **NAME},
            {"record_id": "r2", **NAME},
            {"record_id": "r3", "nysid_token": "2", **NAME},
        ),
        one_per_person=frozenset(),
    )
    assert clusters(linked) == [{"r1", "r2"}, {"r3"}]
    assert status(linked)[("r2", "r3")] == "conflict"


def test_two_equal_rivals_in_a_feed_that_holds_each_person_once_are_both_left():
    rows = [{"record_id": r, "feed": r[0], **NAME} for r in ("a1", "b1", "b2")]
    free = link(records(*rows), one_per_person=frozenset())
    assert clusters(free) == [{"a1", "b1", "b2"}]
    once = link(records(*rows), one_per_person=frozenset("b"))
    assert clusters(once) == [{"a1"}, {"b1"}, {"b2"}]
    assert set(status(once).values()) == {"rival"}


def test_the_better_of_two_rivals_wins():
    better = dict.fromkeys(MATCH_KEYS, "n")
    rows = [
        {"record_id": "a1", "feed": "a", **better},
        {"record_id": "b1", "feed": "b", **NAME},
        {"record_id": "b2", "feed": "b", **better},
    ]
    linked = link(records(*rows), one_per_person=frozenset("b"))
    assert clusters(linked) == [{"a1", "b2"}, {"b1"}]


def test_a_record_id_that_stands_twice_is_refused():
    with pytest.raises(TerminalError) as error:
        link(records({"record_id": "r1"}, {"record_id": "r1"}), one_per_person=frozenset())
    assert error.value.reason == "state_invalid"


def test_blocks_too_large_are_left_out_and_said_so():
    """A shelter's telephone: 100 people share it; 100 others are pairs."""
    shelter = [{"record_id": f"s{i:04d}", "k_phone+nickname": "shelter"} for i in range(2000)]
    pairs = [{"record_id": f"p{i:03d}", **{c: f"{i // 2}" for c in NAME}} for i in range(100)]
    linked = link(records(*shelter, *pairs), one_per_person=frozenset())
    left_out = {"key": "phone+nickname", "blocks": 1, "records": 2000, "pairs": 1_999_000}
    assert linked.left_out.to_pylist() == [left_out]
    assert sum(len(m) == 2 for m in clusters(linked)) == 50
    assert sum(len(m) == 1 for m in clusters(linked)) == 2000


def test_the_cap_fits_the_budget():
    sizes = np.array([2, 2, 3, 10])
    lost = [candidates._cap(sizes, budget)[1].tolist() for budget in (4, 5, 49, 50)]
    assert lost == [[3, 10], [10], [10], []]


def test_older_token_tables_without_a_newer_key_still_link():
    table = records({"record_id": "r1", **NAME}, {"record_id": "r2", **NAME})
    assert clusters(link(table.drop_columns(["k_phone+dob"]), one_per_person=frozenset())) == [{"r1", "r2"}]


@pytest.mark.parametrize(
    ("noise", "single", "least"),
    [
        (0.0, True, (0.99, 0.99)),
        (0.05, True, (0.985, 0.98)),
        (0.05, False, (0.99, 0.98)),
        (0.1, True, (0.98, 0.97)),
    ],
)
def test_quality_on_a_county_of_families_twins_and_careless_clerks(noise, single, least):
    tables, truth = people.county(2500, people.FEEDS, noise, seed=11)
    made = pa.concat_tables([tokens.tokenise(t, feed=f, keys=KEYS) for f, t in tables.items()])
    linked = link(made, one_per_person=frozenset(people.FEEDS if single else ()))
    precision, found = people.quality(linked.clusters, truth)
    assert precision >= least[0]
    assert found >= least[1]


@pytest.mark.parametrize(("bits", "together"), [(3.0, 2), (5.0, 1)])
def test_a_link_between_groups_must_be_stronger_the_more_pairs_could_have_been_it(bits, together):
    """Two persons of four records each: sixteen pairs had the chance to look alike, log2 16 = 4."""
    table = records(*({"record_id": f"r{i}", **NAME} for i in range(8)))
    among = encode(table, frozenset(), person())
    left, right = np.array([0, 0, 0, 4, 4, 4, 3]), np.array([1, 2, 3, 5, 6, 7, 4])
    links = Links(left, right, np.array([9.0] * 6 + [bits]))
    label, dropped = clustering.build(among, links, Links(left[:0], left[:0], links.bits[:0]))
    assert len(set(label.tolist())) == together
    assert dropped.tolist() == [False] * 6 + [together == 2]


def test_how_many_records_one_person_may_have_is_seen_in_blocks_that_no_two_people_share():
    one = {c: "n" for c in NAME}
    table = records(*({"record_id": f"r{i}", "feed": "f", **one} for i in range(9)))
    several = encode(table, frozenset(), person())
    assert candidates.find(several).limits.per_person == 9
    once = encode(table, frozenset("f"), person())
    assert candidates.find(once).limits.per_person == 1


def test_two_whom_the_evidence_keeps_apart_are_not_joined_by_a_third():
    """r1 and r3 share surname, initial and birth date, and differ in all else; r2 fits both."""
    one, two = (dict.fromkeys(MATCH_KEYS, value) for value in "12")
    two |= {"k_last_sound+dob": "1", "k_last_head+dob": "1", "k_last_tail+dob": "1"}
    linked = link(
        records(
            {"record_id": "r1", **one},
            {"record_id": "r2", **one, "nysid_token": "n"},
            {"record_id": "r3", **two, "nysid_token": "n"},
        ),
        one_per_person=frozenset(),
    )
    assert clusters(linked) == [{"r1"}, {"r2", "r3"}]
    assert status(linked)[("r1", "r2")] == "conflict"
