"""What shared and unshared match keys say, in bits."""

import pytest

from leadhub.identity.linkage import weights
from leadhub.identity.linkage.schema import DIFFERENT, LEAST_BITS, MATCH_KEYS, PARTS
from leadhub.identity.linkage.weights import evidence, key_names

ALL = (1 << len(MATCH_KEYS)) - 1


def mask(*names: str) -> int:
    known = [k.name for k in MATCH_KEYS]
    return sum(1 << known.index(n) for n in names)


def holding(*parts: str) -> int:
    """Mask of the keys made of these parts (and looser ones) alone."""
    equal = {x for p in parts for x in (p, *PARTS[p].implies)}
    if {"last", "first"} <= equal:
        equal.add("names_either_way")
    return sum(1 << i for i, k in enumerate(MATCH_KEYS) if set(k.parts) <= equal)


def test_overlapping_keys_are_counted_once():
    same = holding("last", "first", "dob")
    expected = sum(PARTS[p].chance for p in ("last", "first", "dob"))
    assert evidence(same, same).chance == expected
    assert evidence(mask("name_dob"), mask("name_dob")).chance == expected


def test_a_key_that_is_not_shared_tells_which_field_differs():
    name_and_date = holding("last", "first", "dob")
    moved = evidence(name_and_date, name_and_date | mask("name_address"))
    assert evidence(name_and_date, name_and_date).chance - moved.chance == DIFFERENT["address"]
    # two open parts: nobody can tell which of them differs, so neither counts
    unclear = evidence(mask("phone_given"), mask("phone_given", "name_dob"))
    assert unclear == evidence(mask("phone_given"), mask("phone_given"))


def test_a_looser_level_counts_less_than_the_strict_one():
    both = holding("last", "first", "dob")
    strict = evidence(both, both)
    nickname = evidence(holding("last", "nickname", "dob"), both)
    day_wrong = evidence(holding("last", "nickname", "year_month"), both)
    assert strict.chance > nickname.chance > day_wrong.chance
    assert strict.family > nickname.family >= day_wrong.family


def test_twins_and_father_and_son_are_explained_by_family():
    twins = holding("last", "dob", "address", "zip", "phone")
    assert evidence(twins, ALL).chance > 30
    assert evidence(twins, ALL).family < 2
    namesakes = holding("last", "first", "address", "zip", "phone")
    assert evidence(namesakes, ALL).chance > 30
    assert evidence(namesakes, ALL).family < 2


@pytest.mark.parametrize("i", range(len(MATCH_KEYS)))
def test_every_match_key_alone_is_evidence(i):
    alone = evidence(1 << i, 1 << i)
    assert alone.chance >= LEAST_BITS
    assert key_names(1 << i, nysid=False) == MATCH_KEYS[i].name


def test_rules_are_named():
    assert key_names(mask("name_dob", "phone_dob"), nysid=True) == "nysid+name_dob+phone_dob"
    assert weights.REVIEW_BITS < weights.LINK_BITS
