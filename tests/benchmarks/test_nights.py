"""Thirty nights of a small county: ids last, what changed has a cause, quality does not decay."""

import random

import polars as pl
import pytest

from benchmarks.linkage import nights, nights_measures
from benchmarks.linkage.nights_county import SLOTS, VERSIONS
from benchmarks.linkage.nights_plot import plot
from tests.identity import people

PERSONS = 160
NOISE = {"written": 0.08, "corrected": 0.0, "later": 0.04, "rekeyed": 0.15}
NO_NUMBER = tuple(k for k in people.KINDS if k != "nysid")


def versions(persons: int) -> pl.DataFrame:
    """As `nights_county.versions`, from names that need no census."""
    rng = random.Random(5)
    everyone = people.people(rng, persons)
    homes = rng.sample(everyone, persons)
    rows = []
    for number, (person, home) in enumerate(zip(everyone, homes)):
        later = person | {k: home[k] for k in ("address_line", "zip", "phone")}
        for slot in SLOTS:
            kinds = people.KINDS if slot.startswith(("police", "da")) else NO_NUMBER
            for version in VERSIONS:
                who = later if version == "later" else person
                row = people.noisy(rng, who, NOISE[version], (*kinds, "date_of_birth"))
                rows.append({"person": number, **row})
    return pl.DataFrame(rows, infer_schema_length=None)


@pytest.fixture(scope="module")
def found():
    of = round(PERSONS * (1 + nights.NEWCOMERS))
    return list(nights.run(versions(of), PERSONS, seed=3, full_every=6))


def test_t7_no_id_is_reused_and_none_changes_without_cause(found):
    assert len(found) == nights.NIGHTS
    total = nights_measures.total(found)
    assert total["reused"] == 0
    assert total["uncaused"] == 0
    assert total["parted"] + total["outgrown"] <= 0.001 * total["person-nights"]


def test_the_nights_hold_what_they_should(found):
    total = nights_measures.total(found)
    for kind in ("merge", "split", "reversal", "new", "gone", "changed"):
        assert total[kind], kind
    assert total["nights linked by changes"] == nights.NIGHTS - 1
    assert sum(night["linked"] == "both, equal" for night in found) == 5


def test_quality_does_not_decay(found):
    f1 = [night["f1"] for night in found]
    assert min(f1) > 0.9
    assert sum(f1[-5:]) >= sum(f1[:5]) - 5 * 0.02


def test_the_picture_has_a_line_for_each_series(found):
    assert plot(found).count('fill="none"') == 7


def test_the_measures_see_what_should_not_be():
    """An id given to strangers, and one that changed though nothing was touched."""
    watch = nights_measures.Watch()
    stands = pl.DataFrame({"record_id": ["a", "b"], "person_id": ["p", "q"], "truth": [1, 2]})
    empty = pl.DataFrame(schema={"left": pl.String, "right": pl.String})
    alone = pl.DataFrame({"left": ["a", "b"], "right": ["a", "b"]})
    for truth, person in (([1, 2], ["p", "q"]), ([1, 2], ["q", "p"])):
        tonight = stands.with_columns(person_id=pl.Series(person), truth=pl.Series(truth))
        told = watch.compare(tonight, empty, alone, set())
    assert told["uncaused"] == told["changed"] == 2
    assert told["reused"] == 2
    again = watch.compare(stands, empty, alone, {"a", "b"})
    assert (again["changed"], again["uncaused"], again["parted"]) == (2, 0, 2)
