"""A number of one event joins two records, unless it stands for several, or all else denies it."""

import numpy as np
import polars as pl
import pytest

from leadhub.identity.linkage import decisions, link, shared_numbers
from leadhub.identity.linkage.decisions import NUMBER, Decided
from leadhub.identity.linkage.model import NYSID_BITS
from leadhub.identity.linkage.schema import UNKNOWN
from tests.identity.linkage.test_linkage import MATCH_KEYS, NAME, clusters, records, status

PAIR = {"left": "r1", "right": "r2", "verdict": NUMBER}


def quoted(*rows: tuple[str, str, str, str | None]) -> list[tuple[str, str]]:
    frame = pl.DataFrame(rows, schema=["feed", "record_id", "kind", "token"], orient="row")
    return [(p["left"], p["right"]) for p in shared_numbers.pairs(frame)]


@pytest.mark.parametrize(
    ("rows", "found"),
    [
        ([("p", "r1", "cjtn", "1"), ("d", "r2", "cjtn", "1")], [("r1", "r2")]),
        ([("p", "r1", "cjtn", "1"), ("d", "r2", "arrest_no", "1")], []),
        ([("p", "r1", "cjtn", "1"), ("p", "r2", "cjtn", "1")], []),
        ([("p", "r1", "cjtn", None), ("d", "r2", "cjtn", None)], []),
        ([("p", "r1", "cjtn", "1"), ("d", "r2", "cjtn", "1"), ("d", "r3", "cjtn", "1")], []),
        (
            [
                ("p", "r1", "cjtn", "1"),
                ("p", "r1", "cjtn", "2"),
                ("d", "r2", "cjtn", "1"),
                ("d", "r3", "cjtn", "2"),
            ],
            [("r1", "r2"), ("r1", "r3")],
        ),
    ],
    ids=["one each", "another kind", "one feed", "none", "co-defendants", "several of one person"],
)
def test_a_number_counts_where_it_stands_for_one_record_in_each_feed(rows, found):
    assert quoted(*rows) == found


def linked(one: dict, other: dict, decided: list[dict]):
    rows = [{"record_id": "r1", "feed": "p", **one}, {"record_id": "r2", "feed": "d", **other}]
    return link(records(*rows), one_per_person=frozenset("pd"), decided=decided)


def test_a_shared_number_replaces_the_odds_before_any_field():
    one, other = np.array([0]), np.array([1])
    shares = Decided(one, other, one == 1, one == 0)

    def weighs(bits: float, level: int) -> float:
        codes = np.full((3, 1), level)
        found = shares.apply(one, other, np.array([bits], np.float32), codes=codes, prior_bits=-20.0)
        return float(found[0])

    assert weighs(-25.0, level=1) == 5.0
    assert weighs(-31.0, level=1) == -1.0
    assert weighs(-20.0, level=UNKNOWN) == decisions.ALONE_BITS
    assert weighs(NYSID_BITS, level=UNKNOWN) > NYSID_BITS


def test_a_shared_number_links_what_fields_bear_out():
    assert clusters(linked(NAME, NAME, [PAIR])) == [{"r1", "r2"}]


def test_two_nysids_are_two_persons_whatever_number_they_share():
    found = linked(NAME | {"nysid_token": "1"}, NAME | {"nysid_token": "2"}, [PAIR])
    assert len(clusters(found)) == 2
    assert status(found) == {("r1", "r2"): "conflict"}


def test_a_number_written_wrong_does_not_join_two_who_agree_on_nothing():
    one, other = (dict.fromkeys(MATCH_KEYS, value) for value in "xy")
    found = linked(one, other, [PAIR])
    assert len(clusters(found)) == 2
    assert status(found) == {("r1", "r2"): "weak"}


def test_a_stewards_word_comes_after_the_number():
    steward = {"left": "r1", "right": "r2", "verdict": "two"}
    assert len(clusters(linked(NAME, NAME, [PAIR, steward]))) == 2
