"""Under a frozen model, linking what changed gives what linking everything gives."""

from dataclasses import replace
from functools import cache
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import linkage, tokens
from leadhub.identity.linkage import candidates, limits
from leadhub.identity.linkage.incremental import link_changes
from tests.identity import people

KEYS = Keys(bytes(range(32)))
ONE = frozenset(["p", "d", "h"])  # "r" may hold a person twice


@cache
def versions(tier: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A county's token table, and the same records as written anew with other errors."""
    tables, _ = people.county(150, people.FEEDS, 0.15, seed=7)
    rewritten, _ = people.county(150, people.FEEDS, 0.5, seed=7)
    made = []
    for several in (tables, rewritten):
        # errors take from the same chance, so that the two disagree about who is in a feed: by place
        named = {
            f: t.set_column(0, "record_id", pa.array([f"{f}{i}" for i in range(t.num_rows)]))
            for f, t in several.items()
        }
        rows = [tokens.stored(tokens.tokenise(t, feed=f, keys=KEYS, tier=tier)) for f, t in named.items()]
        made.append(pl.DataFrame(pl.from_arrow(pa.concat_tables(rows))))
    return made[0], made[1]


def table(tier: str, state: dict[str, int]) -> pa.Table:
    """Each record in the version that `state` says; records that it does not name are not there."""
    chosen = [
        v.filter(pl.col("record_id").is_in([r for r, n in state.items() if n == i]))
        for i, v in enumerate(versions(tier))
    ]
    return pl.concat(chosen).to_arrow(compat_level=pl.CompatLevel.oldest())


def link(tier, state, model, held, decided):
    return linkage.link(
        table(tier, state), one_per_person=ONE, model=model, limits=held, decided=decided, tier=tier
    )


@cache
def frozen(tier: str) -> tuple[linkage.Model, limits.Limits]:
    """Learnt with so small a budget that it leaves blocks out."""
    everything = dict.fromkeys(versions(tier)[0].get_column("record_id").to_list(), 0)
    before = candidates.PAIRS_AT_LEAST, candidates.PAIRS_PER_RECORD
    candidates.PAIRS_AT_LEAST, candidates.PAIRS_PER_RECORD = 60, 0.1
    try:
        learnt = linkage.link(table(tier, everything), one_per_person=ONE)
    finally:
        candidates.PAIRS_AT_LEAST, candidates.PAIRS_PER_RECORD = before
    assert learnt.left_out.num_rows
    return learnt.model, learnt.limits


def in_pieces(table: pa.Table, random: np.random.Generator) -> pa.Table:
    """The same rows in another order, in chunks that begin within what they are cut from."""
    table = table.take(pa.array(random.permutation(table.num_rows)))
    cuts = [0, *sorted(random.integers(0, table.num_rows + 1, 2).tolist()), table.num_rows]
    return pa.concat_tables(table.slice(a, b - a) for a, b in pairwise(cuts))


def rows(found: linkage.Linked) -> tuple[list, list]:
    return found.pairs.to_pylist(), found.clusters.to_pylist()


@pytest.mark.parametrize("tier", ["tokens", "fields"])
@settings(max_examples=12, deadline=None)
@example(seed=85846, share=0.3, gone=0.1)  # a record comes back, about which a steward decided before
@given(seed=st.integers(0, 10**6), share=st.sampled_from([0.01, 0.05, 0.3]), gone=st.sampled_from([0, 0.1]))
def test_the_changes_alone_give_what_everything_gives(tier, seed, share, gone):
    model, held = frozen(tier)
    random = np.random.default_rng(seed)
    ids = sorted(set(versions(tier)[0]["record_id"]) & set(versions(tier)[1]["record_id"]))
    state = {r: 0 for r in ids if random.random() < 0.8}
    decided: list[dict] = []
    before = link(tier, state, model, held, decided)
    for _ in range(3):
        changed = {r for r in ids if random.random() < share}
        for record in changed:
            state[record] = 1 - state.get(record, 1)
        for record in [r for r in ids if random.random() < gone * share]:
            if state.pop(record, None) is not None:
                changed.discard(record)
        waiting = before.pairs.to_pylist()
        if waiting and random.random() < 0.5:
            pair = waiting[random.integers(len(waiting))]
            if pair["left"] in state and pair["right"] in state:
                verdict = "two" if pair["status"] == "linked" else "one"
                decided = [*decided, {k: pair[k] for k in ("left", "right")} | {"verdict": verdict}]
                changed |= {pair["left"], pair["right"]}
        if random.random() < 0.5:
            order = random.permutation(before.clusters.num_rows)
            before = replace(before, clusters=before.clusters.take(pa.array(order)))
        found = link_changes(
            in_pieces(table(tier, state), random),
            changed=changed,
            before=before,
            one_per_person=ONE,
            model=model,
            limits=held,
            decided=decided,
        )
        assert found is not None
        everything = link(tier, state, model, held, decided)
        assert rows(found) == rows(everything)
        before = found


@pytest.mark.parametrize("tier", ["tokens", "fields"])
def test_under_two_markers_too(tier):
    """Records of an older key version or schema never meet those of tonight's."""
    model, held = frozen(tier)
    state = dict.fromkeys(versions(tier)[0]["record_id"].to_list(), 0)
    older = {r for r in state if r.startswith("d")}

    def marked(state: dict[str, int]) -> pa.Table:
        frame = pl.DataFrame(pl.from_arrow(table(tier, state)))
        marker = pl.when(pl.col("record_id").is_in(older)).then(pl.lit("t0.") + pl.col("marker"))
        return frame.with_columns(marker=marker.otherwise("marker")).to_arrow(
            compat_level=pl.CompatLevel.oldest()
        )

    facts = {"one_per_person": ONE, "model": model, "limits": held}
    before = linkage.link(marked(state), **facts)
    changed = set(sorted(state)[::9])
    state |= {r: 1 for r in changed if r in set(versions(tier)[1]["record_id"])}
    found = link_changes(marked(state), changed=changed, before=before, **facts)
    assert found is not None
    assert rows(found) == rows(linkage.link(marked(state), **facts))


def test_a_record_twice_and_one_that_was_not_named_are_told():
    model, held = frozen("tokens")
    everyone = dict.fromkeys(versions("tokens")[0]["record_id"].to_list(), 0)
    some = dict(list(everyone.items())[1:])
    new = next(iter(everyone))
    before = link("tokens", some, model, held, [])
    facts = {"before": before, "one_per_person": ONE, "model": model, "limits": held}
    with pytest.raises(ValueError, match="not named"):
        link_changes(table("tokens", everyone), changed=set(), **facts)
    for who, changed in ((new, {new}), (next(iter(some)), {new}), (next(iter(some)), set())):
        twice = table("tokens", everyone if changed else some)
        twice = pa.concat_tables([twice, twice.filter(pa.compute.equal(twice["record_id"], who))])
        with pytest.raises(TerminalError, match="twice"):
            link_changes(twice, changed=changed, **facts)


def test_limits_survive_being_written_down():
    _, held = frozen("fields")
    again = limits.from_facts(held.facts(), held.table())
    assert again.facts() == held.facts()
    for kind in ("blocks", "values"):
        one, two = getattr(held, kind), getattr(again, kind)
        assert {k for k, v in one.items() if len(v[0])} == set(two)
        for name, (words, counts) in two.items():
            assert np.array_equal(words, one[name][0])
            assert np.array_equal(counts, one[name][1])


def test_a_block_that_has_grown_too_large_asks_for_everything(monkeypatch):
    model, held = frozen("tokens")
    monkeypatch.setattr(candidates, "MOST_RECORDS", 1)
    state = dict.fromkeys(versions("tokens")[0].get_column("record_id").to_list(), 0)
    narrow = limits.Limits(held.records, held.per_person, dict.fromkeys(held.caps, 1), {})
    before = link("tokens", {}, model, narrow, [])
    changes = {"changed": set(state), "before": before, "one_per_person": ONE, "model": model}
    assert link_changes(table("tokens", state), **changes, limits=narrow) is None


@pytest.mark.parametrize("key", ["k_names+dob", "k_house+dob", "k_year+address+zip"])
def test_two_tokens_of_one_block_are_not_one(key):
    model, held = frozen("tokens")
    facts = {"one_per_person": ONE, "model": model, "limits": held}
    whole, oldest = versions("tokens")[0], pl.CompatLevel.oldest()
    before = linkage.link(whole.to_arrow(compat_level=oldest), tier="tokens", **facts)
    told = pl.concat([pl.Series(before.pairs[side].to_pylist()) for side in ("left", "right")])
    # of who stands in no pair all is known from the changed record's
    alone = whole.filter(~pl.col("record_id").is_in(told.implode()), pl.col(key).is_not_null())
    theirs = alone.filter(pl.col("feed") == "p")[key][0]
    ours = whole.filter(pl.col("feed") == "d")["record_id"][0]
    # the same token but for its last bit, which no block looks at; and no other
    tokens_of_ours = dict.fromkeys(c for c in whole.columns if c.startswith("k_")) | {key: theirs ^ 1}
    written = [
        pl.when(pl.col("record_id") == ours).then(pl.lit(word, pl.UInt64)).otherwise(pl.col(c)).alias(c)
        for c, word in tokens_of_ours.items()
    ]
    changed = whole.with_columns(written).to_arrow(compat_level=oldest)
    everything = linkage.link(changed, tier="tokens", **facts)
    assert rows(link_changes(changed, changed={ours}, before=before, **facts)) == rows(everything)
