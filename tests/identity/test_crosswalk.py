"""Person ids last: never dealt twice, kept by most of their records, every change told."""

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity.crosswalk import assign
from leadhub.identity.person_ids import person_ids, person_key

KEYS = Keys(bytes(range(32)))


def clusters(*groups: str) -> pa.Table:
    """ "abc", "d": records a, b and c are one cluster, d another."""
    rows = [(r, f"feed_{r}", min(group)) for group in groups for r in group]
    names = ("record_id", "feed", "cluster")
    return pa.table({n: pa.array([r[i] for r in rows], pa.string()) for i, n in enumerate(names)})


def persons(made) -> dict[str, str]:
    return dict(zip(made.crosswalk["record_id"].to_pylist(), made.crosswalk["person_id"].to_pylist()))


def events(made) -> list[tuple]:
    """event, person_id, other_person_id, records."""
    return [tuple(e.values())[1:5] for e in made.events.to_pylist()]


def nights(*each: tuple[str, ...]):
    made, counter = None, 0
    for i, groups in enumerate(each):
        previous = made.crosswalk if made else None
        made = assign(previous, clusters(*groups), night=f"2026-11-{i + 1:02d}", counter=counter, keys=KEYS)
        counter = made.counter
        yield made


def test_first_night_deals_a_person_to_each_cluster():
    (made,) = nights(("ab", "c"))
    known = persons(made)
    assert known["a"] == known["b"] != known["c"]
    assert made.counter == 2
    assert made.crosswalk["feed"].to_pylist() == ["feed_a", "feed_b", "feed_c"]
    assert sorted(events(made)) == sorted([("new", known["a"], None, 2), ("new", known["c"], None, 1)])
    assert all(p.startswith("p1:") and len(p) == 35 for p in known.values())


def test_the_same_clusters_again_change_nothing():
    one, two = nights(("ab", "c"), ("ab", "c"))
    assert two.crosswalk == one.crosswalk
    assert (two.counter, two.events.num_rows) == (one.counter, 0)


def test_merge_keeps_the_person_with_most_records_and_of_equals_the_older():
    one, two = nights(("a", "bc"), ("abc",))
    old, kept = persons(one)["a"], persons(one)["b"]
    assert set(persons(two).values()) == {kept}
    assert events(two) == [("merge", kept, old, 1)]
    one, two = nights(("a", "b"), ("ab",))
    older = one.crosswalk.to_pylist()[0]
    assert older["ordinal"] == 0
    assert set(persons(two).values()) == {older["person_id"]}


def test_f39_split_leaves_the_person_with_most_and_deals_a_new_one():
    one, two = nights(("abc",), ("a", "bc"))
    known = persons(one)["a"]
    assert persons(two)["b"] == known != persons(two)["a"]
    assert events(two) == [("split", persons(two)["a"], known, 1)]


def test_a_record_that_moves_is_told_though_both_persons_live_on():
    one, two = nights(("abc", "de"), ("ab", "cde"))
    assert persons(two)["c"] == persons(one)["d"]
    assert events(two) == [("split", persons(one)["d"], persons(one)["a"], 1)]


def test_a_merge_undone_gives_the_retired_id_back_to_those_who_bore_it():
    one, two, three = nights(("ab", "cde"), ("abcde",), ("ab", "cde"))
    assert persons(three) == persons(one)
    assert events(two) == [("merge", persons(one)["c"], persons(one)["a"], 2)]
    assert events(three) == [("reversal", persons(one)["a"], persons(one)["c"], 2)]
    assert three.counter == one.counter


def test_newcomers_of_a_merged_person_do_not_take_the_id_away():
    """Four records came while two persons were held for one, all of the one who was merged away."""
    one, _, _, four = nights(("ab", "cde"), ("abcde",), ("abcdefghi",), ("abfghi", "cde"))
    assert persons(four)["c"] == persons(one)["c"]
    assert persons(four)["f"] == persons(one)["a"]


def test_a_retired_id_returns_to_one_place_with_most_of_its_records():
    one, _, three = nights(("abc", "defg"), ("abcdefg",), ("ab", "c", "defg"))
    assert persons(three)["a"] == persons(one)["a"]
    assert persons(three)["c"] not in set(persons(one).values())
    one, two, three = nights(("abc", "def", "ghi"), ("abdef", "cghi"), ("abdef", "c", "ghi"))
    assert set(events(two)) == {
        ("merge", persons(one)["d"], persons(one)["a"], 2),
        ("merge", persons(one)["g"], persons(one)["a"], 1),
    }
    assert persons(three)["c"] not in set(persons(one).values()), "a straggler is not who it was"


def test_merges_one_after_the_other_are_undone_one_by_one():
    first, *_, undone, again = nights(
        ("ab", "cde", "fghi"),
        ("abcde", "fghi"),
        ("abcdefghi",),
        ("abcde", "fghi"),
        ("ab", "cde", "fghi"),
    )
    assert {persons(undone)[r] for r in "abcde"} == {persons(first)["c"]}
    assert persons(again) == persons(first)


def test_a_crosswalk_from_before_origins_goes_on():
    (one,) = nights(("ab", "c"))
    old = one.crosswalk.drop_columns(["origin", "origin_ordinal", "since"])
    made = assign(old, clusters("ab", "c"), night="2026-11-02", counter=one.counter, keys=KEYS)
    assert made.crosswalk.drop_columns(["since"]) == one.crosswalk.drop_columns(["since"])


def test_of_two_equal_parts_the_one_that_bore_the_id_longer_keeps_it():
    one, _, three = nights(("b",), ("ab",), ("a", "b"))
    assert persons(three)["b"] == persons(one)["b"] != persons(three)["a"]


def test_events_name_the_decision_that_caused_them():
    def decided(*said):
        return [dict(zip(("left", "right", "verdict", "number"), (*d, i + 1))) for i, d in enumerate(said)]

    def told(previous, groups, decisions):
        made = assign(
            previous.crosswalk,
            clusters(*groups),
            night="n",
            counter=previous.counter,
            keys=KEYS,
            decided=decisions,
        )
        return made, [(e["event"], e["decision"]) for e in made.events.to_pylist()]

    (one,) = nights(("ab", "cde", "f", "g"))
    said = decided(("b", "c", "two"), ("a", "d", "one"), ("f", "x", "one"))
    two, events_ = told(one, ("abcde", "fg"), said)
    assert sorted(events_, key=str) == [("merge", 2), ("merge", None)]
    said = decided(("b", "c", "two"), ("a", "d", "one"), ("d", "a", "two"))
    _, events_ = told(two, ("ab", "cde", "fg"), said)
    assert events_ == [("reversal", 3)]


def test_gone_when_no_record_is_left_and_a_return_is_a_new_person():
    one, two, three = nights(("ab", "c"), ("ab",), ("ab", "c"))
    assert events(two) == [("gone", persons(one)["c"], None, 1)]
    assert persons(three)["c"] not in set(persons(one).values())


def test_a_counter_older_than_the_crosswalk_is_refused():
    (one,) = nights(("ab", "c"))
    with pytest.raises(TerminalError) as error:
        assign(one.crosswalk, clusters("ab"), night="2026-11-02", counter=1, keys=KEYS)
    assert error.value.reason == "state_invalid"


PARTITION = st.dictionaries(st.sampled_from("abcdefghij"), st.integers(0, 4), min_size=1, max_size=10)


def grouped(partition: dict[str, int]) -> tuple[str, ...]:
    groups: dict[int, str] = {}
    for record, group in sorted(partition.items()):
        groups[group] = groups.get(group, "") + record
    return tuple(groups.values())


@settings(max_examples=60, deadline=None)
@given(st.lists(PARTITION, min_size=2, max_size=6))
def test_t7_laws_over_any_nights(history):
    """One person a cluster; no id dealt twice; a run again is equal, in any order; an id stands on records
    that bore it before; what did not change keeps its id; events account for every id."""
    ever: set[str] = set()
    before: set[str] = set()
    bore: dict[str, set[str]] = {}
    groups_before, persons_before = (), {}
    each = [grouped(p) for p in history]
    previous, counter = None, 0
    for groups in each:
        made = assign(previous, clusters(*groups), night="2026-11-01", counter=counter, keys=KEYS)
        shuffled = assign(
            previous, clusters(*reversed(groups)), night="2026-11-01", counter=counter, keys=KEYS
        )
        assert shuffled == made
        known = persons(made)
        assert len({known[g[0]] for g in groups}) == len(groups)
        assert all(len({known[r] for r in g}) == 1 for g in groups)
        now = set(known.values())
        back = {e[1] for e in events(made) if e[0] == "reversal"}
        assert (now - before) & ever == back, "a retired id comes back by reversal alone"
        for person in now & ever:
            stands_on = {r for r in known if known[r] == person}
            assert bore[person] & stands_on, "an id stands on a record that bore it when it last stood"
        for group in groups:
            if group in groups_before:
                assert known[group[0]] == persons_before[group[0]], "what did not change keeps its id"
        assert made.counter == counter + len(now - ever)
        told = Counter(e[0] for e in events(made))
        born = {e[1] for e in events(made) if e[0] in ("new", "split", "reversal")} - before
        ended = {e[2] for e in events(made) if e[0] == "merge"}
        ended |= {e[1] for e in events(made) if e[0] == "gone"}
        assert now == (before - ended) | born
        assert set(told) <= {"new", "merge", "split", "reversal", "gone"}
        again = assign(
            made.crosswalk, clusters(*groups), night="2026-11-02", counter=made.counter, keys=KEYS
        )
        assert again.crosswalk == made.crosswalk
        assert again.events.num_rows == 0
        bore |= {known[g[0]]: set(g) for g in groups}
        ever, before, previous, counter = ever | now, now, made.crosswalk, made.counter
        groups_before, persons_before = groups, known


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**40), st.integers(0, 50), st.integers(0, 50))
def test_person_ids_depend_on_their_ordinal_alone_and_never_repeat(first, one, two):
    whole = person_ids(first, one + two, KEYS)
    assert whole == person_ids(first, one, KEYS) + person_ids(first + one, two, KEYS)
    assert len(set(whole)) == one + two
    assert not set(whole) & set(person_ids(first, one + two, Keys(bytes(32))))


def test_g9_partners_keys_of_one_person_have_nothing_in_common():
    ids = pa.array([*person_ids(0, 3, KEYS), None])
    one, two = (person_key(ids, partner, KEYS).to_pylist() for partner in ("police", "district_attorney"))
    assert one[3] is two[3] is None
    assert len({*one[:3], *two[:3], *ids.to_pylist()[:3]}) == 9
    assert all(k.startswith("k1:") for k in one[:3])
