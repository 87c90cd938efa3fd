"""The linkage schema on Spark gives what the single-machine engine gives, on the same data."""

import re
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from leadhub.foundation import keys as key_rings
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys
from leadhub.identity import linkage, tokens
from leadhub.identity.linkage import candidates, training
from leadhub.identity.linkage.model import from_facts
from leadhub.identity.linkage.records import encode
from leadhub.identity.linkage.schema import person
from tests.identity import people
from tests.identity.spark_session import spark_session

pytest.importorskip("pyspark", reason="an optional extra: make spark")

from leadhub.identity import linkage_spark
from leadhub.identity.linkage_spark import tokenising, words
from leadhub.identity.linkage_spark import training as spark_training
from leadhub.identity.linkage_spark.frames import prepare

KEYS = Keys(bytes(range(32)))
SCHEMA = person()
SINGLE = frozenset(people.FEEDS)
TIERS = ("tokens", "fields")


@pytest.fixture(scope="module")
def spark():
    # on small tables compiling plans takes longer than interpreting them
    options = {
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    }
    with spark_session(2, "linkage", options) as session:
        yield session


@pytest.fixture(scope="module")
def county():
    return people.county(1500, people.FEEDS, 0.2, seed=11)[0]


def tokenised(county, tier: str) -> pa.Table:
    made = [tokens.tokenise(t, feed=f, keys=KEYS, tier=tier) for f, t in county.items()]
    return pa.concat_tables(made)


@pytest.fixture(scope="module", params=TIERS)
def table(request, county) -> pa.Table:
    """Token tables of all feeds."""
    return tokenised(county, request.param)


@pytest.fixture
def few_random_pairs(monkeypatch):
    monkeypatch.setattr(training, "_RANDOM_PAIRS", 100_000)


# what does not depend on the tier
tokens_alone = pytest.mark.parametrize("table", ["tokens"], indirect=True)
fields_alone = pytest.mark.parametrize("table", ["fields"], indirect=True)


def on_spark(spark, table: pa.Table):
    return spark.createDataFrame(words.signed(table))


def plain(table: pa.Table) -> list[dict]:
    return table.drop_columns("weight_bits").to_pylist()


def assert_same(one: linkage.Linked, other: linkage.Linked) -> None:
    assert plain(one.pairs) == plain(other.pairs)
    bits = [t.pairs["weight_bits"].to_numpy() for t in (one, other)]
    # each is rounded to three places
    assert np.abs(bits[0] - bits[1]).max(initial=0) < 2e-3
    assert one.clusters.equals(other.clusters)
    assert one.left_out.equals(other.left_out)
    assert one.model == other.model


def test_nothing_else_imports_what_is_optional():
    package = Path(linkage_spark.__file__).parent
    imports = re.compile(r"^\s*(from|import) .*(pyspark|linkage_spark)", re.MULTILINE)
    modules = [p for p in package.parents[1].rglob("*.py") if not p.is_relative_to(package)]
    assert len(modules) > 50
    assert not [path for path in modules if imports.search(path.read_text())]


# --- tokenising ---


@pytest.mark.parametrize("tier", TIERS)
def test_tokens_are_the_single_machines(spark, county, tmp_path, tier):
    path = tmp_path / "root.key"
    path.write_text(KEYS.root.hex())
    path.chmod(0o600)
    frame = spark.createDataFrame(county["p"])
    made = tokenising.tokenise(frame, feed="p", keys=partial(key_rings.load, path), tier=tier)
    expected = tokens.tokenise(county["p"], feed="p", keys=KEYS, tier=tier)
    assert words.unsigned(made.toArrow()).sort_by("record_id").to_pylist() == expected.to_pylist()
    plan = made._jdf.queryExecution().toString()
    assert KEYS.root.hex() not in plan


def test_a_key_that_would_travel_in_the_plan_is_refused(spark, county):
    with pytest.raises(ValueError, match="carries the root key"):
        tokenising.tokenise(spark.createDataFrame(county["p"]), feed="p", keys=lambda: KEYS)


def test_an_executor_with_another_key_stops(spark, county, tmp_path):
    path = tmp_path / "root.key"
    path.write_text(KEYS.root.hex())
    path.chmod(0o600)
    made = tokenising.tokenise(
        spark.createDataFrame(county["p"]), feed="p", keys=partial(key_rings.load, path)
    )
    path.write_text("ff" * 32)
    with pytest.raises(Exception, match="wrong_key"):
        made.count()


def test_columns_that_are_no_identifiers_are_refused(spark):
    frame = spark.createDataFrame(pa.table({"record_id": ["r1"], "ssn": ["900000000"]}))
    with pytest.raises(TerminalError, match="column_not_allowed"):
        tokenising.tokenise(frame, feed="p", keys=lambda: KEYS)


# --- linking ---


def test_pairs_codes_and_clusters_are_the_single_machines(spark, table):
    alone = linkage.link(table, one_per_person=SINGLE)
    frozen = from_facts(alone.model.facts())
    assert_same(linkage_spark.link(on_spark(spark, table), one_per_person=SINGLE, model=frozen), alone)


def test_every_pair_has_the_single_machines_codes_and_weight(spark, table):
    records = encode(table, SINGLE, SCHEMA)
    alone = linkage.weigh(records)
    frames = prepare(on_spark(spark, table), SINGLE, SCHEMA)
    weighed = linkage_spark.weigh(frames, alone.model)
    found = spark_training.collect(weighed.compared, weighed.pairs)
    assert found.left.tolist() == alone.left.tolist()
    assert found.right.tolist() == alone.right.tolist()
    assert (found.codes == alone.compared.codes).all()
    for name, bits in alone.rarity.items():
        assert np.abs(found.rarity[name] - bits).max() <= 1e-4
    assert np.abs(found.rest["bits"].to_numpy() - alone.bits).max() <= 1e-3
    frames.release()


@pytest.mark.parametrize("once", [SINGLE, frozenset({"p"})], ids=["each feed once", "one feed once"])
def test_the_same_model_is_learnt(spark, table, few_random_pairs, once):
    alone = linkage.link(table, one_per_person=once).model
    frames = prepare(on_spark(spark, table), once, SCHEMA)
    learnt = linkage_spark.weigh(frames).model
    frames.release()
    assert learnt.how == alone.how == "self-trained"
    assert_near(learnt.facts(), alone.facts())


def assert_near(one, other) -> None:
    if isinstance(one, dict):
        assert list(one) == list(other)
        for name in one:
            assert_near(one[name], other[name])
    elif isinstance(one, str | None):
        assert one == other
    else:
        assert one == pytest.approx(other, rel=1e-3, abs=2e-3)


def test_the_same_is_learnt_by_expectation_maximisation(spark, table, few_random_pairs):
    """Where there is too little for self-training, the first model stands."""
    few = table.filter(pl.Series(table["record_id"].to_pylist()).hash(7).to_numpy() % 20 == 0)
    alone = linkage.link(few, one_per_person=frozenset()).model
    frames = prepare(on_spark(spark, few), frozenset(), SCHEMA)
    learnt = linkage_spark.weigh(frames).model
    frames.release()
    assert learnt.how == alone.how == "expectation maximisation"
    assert_near(learnt.facts(), alone.facts())


@fields_alone
def test_a_limit_leaves_out_the_same_blocks(spark, table, monkeypatch):
    """What is shared in a block left out is compared all the same, where another key proposes the pair."""
    monkeypatch.setattr(candidates, "PAIRS_AT_LEAST", 700)
    monkeypatch.setattr(candidates, "PAIRS_PER_RECORD", 0)
    alone = linkage.link(table, one_per_person=SINGLE)
    assert alone.left_out.num_rows > 3
    assert_same(linkage_spark.link(on_spark(spark, table), one_per_person=SINGLE, model=alone.model), alone)


@tokens_alone
def test_what_stewards_decided_holds(spark, table):
    """Linked pairs set apart, two records of a feed that holds each person once, two strangers; and
    numbers of one event that two share."""
    model = linkage.link(table, one_per_person=SINGLE).model
    linked = linkage.link(table, one_per_person=SINGLE, model=model).pairs.to_pylist()
    ids = sorted(table["record_id"].to_pylist())
    said = [{"left": p["left"], "right": p["right"], "verdict": "two"} for p in linked[:40:4]]
    said += [{"left": p["left"], "right": p["right"], "verdict": "one"} for p in linked[1:40:4]]
    said += [{"left": ids[i], "right": ids[i + 1], "verdict": "one"} for i in (3, 700)]
    said += [
        {"left": ids[5], "right": ids[-5], "verdict": "two"},
        {"left": "x", "right": "y", "verdict": "one"},
    ]
    said += [{"left": p["left"], "right": p["right"], "verdict": "number"} for p in linked[2:40:4]]
    said += [{"left": ids[i], "right": ids[-i], "verdict": "number"} for i in (20, 21)]
    alone = linkage.link(table, one_per_person=SINGLE, model=model, decided=said)
    many = linkage_spark.link(on_spark(spark, table), one_per_person=SINGLE, model=model, decided=said)
    assert_same(many, alone)


@tokens_alone
def test_feeds_that_hold_a_person_twice(spark, table):
    alone = linkage.link(table, one_per_person=frozenset({"p"}))
    found = linkage_spark.link(on_spark(spark, table), one_per_person=frozenset({"p"}), model=alone.model)
    assert_same(found, alone)


@pytest.mark.parametrize("tier", ["tokens"])
def test_tokens_under_different_markers_never_meet(spark, county, tier):
    later = Keys(KEYS.root, version=2)
    made = [
        tokens.tokenise(t.slice(0, 300), feed=f, keys=later if f == "p" else KEYS, tier=tier)
        for f, t in county.items()
    ]
    both = pa.concat_tables(made)
    alone = linkage.link(both, one_per_person=SINGLE)
    assert_same(linkage_spark.link(on_spark(spark, both), one_per_person=SINGLE, model=alone.model), alone)


@pytest.mark.parametrize("tier", ["tokens"])
def test_few_records_and_none(spark, county, tier):
    for count in (0, 6):
        made = tokens.tokenise(county["p"].slice(0, count), feed="p", keys=KEYS, tier=tier)
        alone = linkage.link(made, one_per_person=frozenset(), tier=tier)
        assert_same(linkage_spark.link(on_spark(spark, made), one_per_person=frozenset(), tier=tier), alone)


@tokens_alone
def test_a_table_from_before_a_key_existed_is_read(spark, table):
    older = table.drop_columns([table.column_names[5]])
    alone = linkage.link(older, one_per_person=SINGLE)
    assert_same(linkage_spark.link(on_spark(spark, older), one_per_person=SINGLE, model=alone.model), alone)


def test_a_record_id_that_stands_twice_is_refused(spark, table):
    twice = pa.concat_tables([table.slice(0, 2), table.slice(0, 1)])
    with pytest.raises(TerminalError, match="state_invalid"):
        linkage_spark.link(on_spark(spark, twice), one_per_person=SINGLE)


def test_words_survive_the_way_there_and_back():
    extreme = pa.table(
        {
            "one": pa.array([0, 1, 2**63, 2**64 - 1, None], pa.uint64()),
            "many": pa.array([[], [2**64 - 1], None, [1, 2**63], [3]], pa.list_(pa.uint64())),
            "text": pa.array(["a", None, "b", "c", "d"]),
        }
    )
    assert words.unsigned(words.signed(extreme)).equals(extreme)
    assert words.signed(extreme)["one"].to_pylist()[2:4] == [-(2**63), -1]
