"""A synthetic population in households: couples, children, twins, fathers and sons of one name, flatmates.

Everything is drawn in arrays; names are positions in the vocabularies of census.py. Shares are plausible
round figures, not estimates: the sets are for comparing linkage systems on hard, repeatable records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from benchmarks.linkage import census

SINGLE, COUPLE, FAMILY, LONE_PARENT, FLATMATES = range(5)
KIND_SHARE = [0.30, 0.24, 0.26, 0.10, 0.10]
PEOPLE_PER_HOUSEHOLD = 2.25
RACES = ["WHITE", "BLACK", "HISPANIC", "ASIAN", "NATIVE", "OTHER"]
RACE_SHARE = [0.66, 0.19, 0.05, 0.07, 0.012, 0.018]
SUFFIXES = ["", "JR", "SR", "II", "III"]
TWIN_CHANCE = 0.058  # that a child is the twin of the child before: about 1.5 % of people have a twin
NAMESAKE_CHANCE = 0.07  # that a first son bears his father's name
YEAR = 365.25
STREETS_PER_ZIP = 120
PEOPLE_PER_ZIP = 3_000
STREETS_TEXT = (
    "MAIN OAK PARK PINE MAPLE CEDAR ELM WASHINGTON LAKE HILL WALNUT SPRING NORTH RIDGE CHURCH WILLOW"
    " MILL RIVER SUNSET RAILROAD CHERRY JACKSON HIGHLAND FOREST JEFFERSON CENTER LINCOLN 1ST 2ND 3RD"
    " 4TH 5TH 6TH 7TH 8TH 9TH 10TH FRANKLIN MEADOW DOGWOOD HICKORY LOCUST POPLAR CHESTNUT BROADWAY"
    " VALLEY COUNTRY CLUB ROSE"
)
COMMON_STREETS = STREETS_TEXT.split()
STREET_TYPES = ["ST", "AVE", "RD", "DR", "LN", "CT", "BLVD", "PL", "WAY", "CIR"]
TYPE_SHARE = [0.30, 0.20, 0.14, 0.14, 0.07, 0.05, 0.03, 0.03, 0.02, 0.02]


@dataclass(frozen=True)
class Place:
    """Zip codes (z,), their cities (z,), and street names (z, STREETS_PER_ZIP), all text."""

    zips: np.ndarray
    cities: np.ndarray
    streets: np.ndarray
    share: np.ndarray  # (z,) cumulative share of households


def place(rng: np.random.Generator, people: int) -> Place:
    count = max(24, people // PEOPLE_PER_ZIP)
    codes = 10_000 + np.sort(rng.choice(89_999, count, replace=False))
    stems = census.surnames().values[rng.choice(3_000, count, replace=False)]
    endings = np.array(["VILLE", "TON", " CITY", "", " SPRINGS", "FIELD", " HEIGHTS", ""], dtype=object)
    towns = stems + endings[rng.integers(0, len(endings), count)]
    size = 1 / np.arange(1, count + 1) ** 0.6
    # a city spans neighbouring zip codes: the larger, the more
    cities = towns[np.minimum(np.arange(count), (np.arange(count) ** 0.93).astype(int))]
    shape = (count, STREETS_PER_ZIP)
    stem = np.where(
        rng.random(shape) < 0.4,
        np.array(COMMON_STREETS, dtype=object)[rng.integers(0, len(COMMON_STREETS), shape)],
        census.surnames().values[rng.integers(0, 4_000, shape)],
    )
    direction = np.array(["", "N ", "S ", "E ", "W "], dtype=object)[
        rng.choice(5, shape, p=[0.8] + [0.05] * 4)
    ]
    kind = np.array(STREET_TYPES, dtype=object)[rng.choice(len(STREET_TYPES), shape, p=TYPE_SHARE)]
    return Place(
        codes.astype(str).astype(object),
        cities,
        direction + stem + " " + kind,
        np.cumsum(size) / size.sum(),
    )


def addresses(rng: np.random.Generator, where: Place, count: int) -> pl.DataFrame:
    """`count` dwellings: number, street, unit ("": a house), city, zip. One in seven is a flat."""
    zone = np.minimum(np.searchsorted(where.share, rng.random(count)), len(where.zips) - 1)
    street = rng.integers(0, STREETS_PER_ZIP, count)
    flat = rng.random(count) < 0.14
    number = np.where(
        flat,
        100 * (1 + (zone * 7 + street) % 19) + 4 * rng.integers(0, 4, count),  # few buildings a street
        1 + (np.exp(rng.normal(6.3, 1.1, count))).astype(np.int64),
    )
    units = rng.integers(1, 220, count)
    return pl.DataFrame(
        {
            "number": number,
            "street": pl.Series(where.streets[zone, street], dtype=pl.String),
            "unit": pl.Series(np.where(flat, units.astype(str).astype(object), ""), dtype=pl.String),
            "city": pl.Series(where.cities[zone], dtype=pl.String),
            "zip": pl.Series(where.zips[zone], dtype=pl.String),
        }
    )


@dataclass
class People:
    """One entry a person; households stand together, adults first. Dates are days since 1900-01-01."""

    household: np.ndarray
    place_in_household: np.ndarray
    adults: np.ndarray  # of the household
    kind: np.ndarray
    first: np.ndarray
    middle: np.ndarray  # -1: none
    last: np.ndarray
    second_last: np.ndarray  # -1, or the second half of a double surname
    suffix: np.ndarray
    born: np.ndarray
    woman: np.ndarray
    race: np.ndarray
    phone: np.ndarray


def people(rng: np.random.Generator, count: int) -> People:
    """At least `count` people, then cut to `count`."""
    homes = int(count / PEOPLE_PER_HOUSEHOLD * 1.08) + 20
    kind = rng.choice(5, homes, p=KIND_SHARE)
    adults = np.array([1, 2, 2, 1, 2])[kind] + ((kind == FLATMATES) & (rng.random(homes) < 0.4))
    children = np.where(
        (kind == FAMILY) | (kind == LONE_PARENT), 1 + rng.choice(4, homes, p=[0.40, 0.36, 0.16, 0.08]), 0
    )
    home = np.repeat(np.arange(homes), adults + children)[:count]
    start = np.concatenate([[0], np.cumsum(adults + children)[:-1]])
    seat = np.arange(count) - start[home]
    child = seat >= adults[home]
    who = People(home, seat, adults[home], kind[home], *[np.zeros(count, np.int32)] * 9)
    who.woman = _sexes(rng, who, child)
    who.born = _births(rng, who, child)
    who.race = np.zeros(count, np.int8)
    who.first, who.middle = _given_names(rng, who.woman, who.born)
    who.last, who.second_last = _surnames(rng, who, start, child)
    who.suffix = np.zeros(count, np.int8)
    _twins(rng, who, child)
    _namesakes(rng, who, start, child)
    who.race = _races(rng, who)
    who.phone = _phones(rng, who, child)
    return who


def _sexes(rng: np.random.Generator, who: People, child: np.ndarray) -> np.ndarray:
    woman = rng.random(len(child)) < 0.505
    lone_head = (who.kind == LONE_PARENT) & ~child
    woman[lone_head] = rng.random(lone_head.sum()) < 0.8
    paired = np.isin(who.kind, (COUPLE, FAMILY)) & ~child
    woman[paired & (who.place_in_household == 0)] = False
    partner = paired & (who.place_in_household == 1)
    woman[partner] = rng.random(partner.sum()) < 0.97
    return woman


def _births(rng: np.random.Generator, who: People, child: np.ndarray) -> np.ndarray:
    homes = who.household[-1] + 1
    raising = np.isin(who.kind, (FAMILY, LONE_PARENT))
    head = rng.uniform(28, 106, homes)  # years since 1900
    parent = rng.uniform(48, 96, homes)
    base = np.where(raising, parent[who.household], head[who.household])
    spread = np.where(who.kind == FLATMATES, 6.0, 3.5)
    adult = base + np.where(who.place_in_household > 0, rng.normal(0, spread), 0)
    first_child = np.minimum(parent + rng.uniform(19, 37, homes), 110 + rng.uniform(0, 8, homes))
    order = who.place_in_household - who.adults
    junior = first_child[who.household] + order * rng.uniform(1.2, 4.2, len(child)).clip(0, None)
    years = np.where(child, np.minimum(junior, 124.0), np.clip(adult, 22, 106))
    return (years * YEAR).astype(np.int32)


def _given_names(
    rng: np.random.Generator, woman: np.ndarray, born: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First and middle names by sex and decade of birth; one person in seven has no middle name (-1)."""
    _, pools = census.given()
    first, middle = np.zeros(len(born), np.int32), np.zeros(len(born), np.int32)
    decade = np.clip(((1900 + born / YEAR) // 10 * 10).astype(int), census.FIRST_DECADE, census.LAST_DECADE)
    for (sex, ten), names in pools.items():
        rows = np.flatnonzero((decade == ten) & (woman == (sex == 0)))
        first[rows], middle[rows] = names.draw(rng, len(rows)), names.draw(rng, len(rows))
    middle[rng.random(len(born)) < 0.14] = -1
    return first, middle


def _surnames(
    rng: np.random.Generator, who: People, start: np.ndarray, child: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Three partners in four share the head's name; children bear his, the partner's, both, or another."""
    pool = census.surnames()
    own = pool.draw(rng, len(child))
    second = np.full(len(child), -1, np.int32)
    head = own[start[who.household]]
    partner = np.isin(who.kind, (COUPLE, FAMILY)) & (who.place_in_household == 1)
    shared = partner & (rng.random(len(child)) < 0.74)
    last = np.where(shared, head, own)
    homes = who.household[-1] + 1
    chance = rng.random(homes)[who.household]  # the children of a household bear one name
    other_parent = last[np.minimum(start[who.household] + 1, len(last) - 1)]
    elsewhere = pool.draw(rng, homes)[who.household]
    family, lone = child & (who.kind == FAMILY), child & (who.kind == LONE_PARENT)
    last = np.where(child, head, last)
    last = np.where(family & (chance < 0.06), other_parent, last)
    last = np.where(lone & (chance < 0.40), elsewhere, last)
    double = family & (chance > 0.94) & (head != other_parent)
    second[double] = other_parent[double]
    return last, second


def _twins(rng: np.random.Generator, who: People, child: np.ndarray) -> None:
    """A later child takes the birth date of the one before; a fifth of twins get names that sound alike."""
    later = child & (who.place_in_household > who.adults)
    twins = np.flatnonzero(later & (rng.random(len(child)) < TWIN_CHANCE))
    who.born[twins] = who.born[twins - 1]
    same_sex = rng.random(len(twins)) < 0.65
    who.woman[twins] = np.where(same_sex, who.woman[twins - 1], ~who.woman[twins - 1])
    who.first[twins], _ = _given_names(rng, who.woman[twins], who.born[twins])
    alike = twins[same_sex & (rng.random(len(twins)) < 0.30)]
    _, pools = census.given()
    for row in alike.tolist():
        decade = int(
            np.clip((1900 + who.born[row] / YEAR) // 10 * 10, census.FIRST_DECADE, census.LAST_DECADE)
        )
        who.first[row] = _neighbour(rng, pools[int(~who.woman[row]) & 1, decade], int(who.first[row - 1]))


def _neighbour(rng: np.random.Generator, names: census.Pool, code: int) -> int:
    """Another name near in the alphabet, by weight: Jaden for Jayden."""
    low, high = max(code - 25, 0), min(code + 26, len(names.values))
    weight = np.diff(names.cumulative[low:high], prepend=names.cumulative[low - 1] if low else 0.0)
    weight[code - low] = 0.0
    return int(low + rng.choice(high - low, p=weight / weight.sum())) if weight.sum() > 0 else code


def _namesakes(rng: np.random.Generator, who: People, start: np.ndarray, child: np.ndarray) -> None:
    first_child = child & (who.place_in_household == who.adults) & ~who.woman & (who.kind == FAMILY)
    sons = np.flatnonzero(first_child & (rng.random(len(child)) < NAMESAKE_CHANCE))
    fathers = start[who.household[sons]]
    who.first[sons] = who.first[fathers]
    who.last[sons], who.second_last[sons] = who.last[fathers], -1
    same_middle = rng.random(len(sons)) < 0.7
    who.middle[sons] = np.where(same_middle, who.middle[fathers], who.middle[sons])
    who.suffix[sons] = rng.choice([1, 3, 4], len(sons), p=[0.80, 0.08, 0.12])
    who.suffix[fathers] = np.where(who.suffix[sons] == 1, 2, 0)


def _races(rng: np.random.Generator, who: People) -> np.ndarray:
    """By household, and for adults of other surnames by their own; surnames tell who is likely Hispanic."""
    hispanic = np.array([census.is_hispanic(name) for name in census.surnames().values])[who.last]
    drawn = rng.choice(len(RACES), who.household[-1] + 1, p=np.array(RACE_SHARE) / sum(RACE_SHARE))
    race = drawn[who.household]
    return np.where(hispanic & (rng.random(len(race)) < 0.9), 2, race).astype(np.int8)


def _phones(rng: np.random.Generator, who: People, child: np.ndarray) -> np.ndarray:
    """Ten digits; children and a third of adults give the household's number."""
    homes = who.household[-1] + 1
    shared = rng.integers(2_012_000_000, 9_899_999_999, homes)
    own = rng.integers(2_012_000_000, 9_899_999_999, len(child))
    minor = child & (who.born > 106 * YEAR)
    return np.where(minor | (rng.random(len(child)) < 0.35), shared[who.household], own)
