"""The people of the county: who they really are, before any clerk writes it down.

One row a person, columns: `person_no` (the truth, 1…), `last_name`, `other_last_name` (an earlier or
later surname, or null), `first_name`, `middle_name`, `suffix`, `date_of_birth`, `sex`, `race_ethnicity`,
`ssn4`, `nysid`, `phone`, `other_phone`, `address_line`, `city`, `zip`, `other_address_line`,
`other_city`, `other_zip` (before or after a move, or null), `canary`.

Telephone numbers have exchange 555, so that none is a real person's.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from simulation import names
from simulation.chance import pick, pick_from, stream

AGES = (18, 80)
SHELTER = ("88 Mission Landing", "Albany", "12202")
_SHELTER_SHARE = 0.025
#: race or ethnicity → share, and the origin of most names
_GROUPS = {
    "WHITE": (0.52, "EUROPEAN"),
    "BLACK": (0.28, "AFRICAN_AMERICAN"),
    "HISPANIC": (0.115, "HISPANIC"),
    "ASIAN": (0.04, "ASIAN"),
    "MULTIPLE": (0.025, "EUROPEAN"),
    "MENA": (0.012, "MENA"),
    "AIAN": (0.005, "EUROPEAN"),
    "NHPI": (0.003, "ASIAN"),
}
_CITIES = {
    ("Albany", "12202"): 10,
    ("Albany", "12203"): 9,
    ("Albany", "12206"): 12,
    ("Albany", "12207"): 4,
    ("Albany", "12208"): 8,
    ("Albany", "12209"): 6,
    ("Albany", "12210"): 8,
    ("Albany", "12205"): 5,
    ("Cohoes", "12047"): 8,
    ("Watervliet", "12189"): 7,
    ("Troy", "12180"): 7,
    ("Troy", "12182"): 3,
    ("Schenectady", "12303"): 3,
    ("Schenectady", "12307"): 3,
    ("Delmar", "12054"): 3,
    ("Latham", "12110"): 2,
    ("Green Island", "12183"): 1,
    ("Menands", "12204"): 2,
    ("Ravena", "12143"): 1,
}
_STREETS = """
Central Delaware Clinton Lark Madison Washington Western New_Scotland Second First Third Fourth Livingston
Morton Park Quail Ontario Partridge Dove Swan Hamilton Hudson Jefferson Lancaster Jay State Elm Grand
Philip Myrtle Orange Sheridan Sherman Spruce Elk Henry_Johnson Lexington Robin Judson North_Lake South_Lake
Pearl Broadway Pine Steuben Columbia Ten_Broeck Colonie Livonia Manning Whitehall Holland Hackett Academy
Krumkill Kenwood Berkshire Marion Pleasant Summit Oakwood Maple Cedar Birch Willow Chestnut Walnut Cherry
Mohawk Ontario Seneca Oneida Vliet Remsen Saratoga Columbia Garner Younglove Nineteenth Twenty-Third
Congress Ferry River Hoosick Burdett Pawling Tibbits Oakland Spring Mill Canal Erie Crescent Harmony
Dudley Thacher Pinewood Fairlawn Melrose Tudor Winthrop Rosemont Aspen Hillcrest Ridge Valley Meadow
Colvin Brevator Euclid Norwood Marwill Freeman Arcadia Parkwood Homestead Southern Corning Mercer Besch
Woodlawn Providence Danker Buchanan Hansen Ramsey Sycamore Lincoln Grant Garfield McKinley Van_Zandt
"""
_STREET_KINDS = {"St": 46, "Ave": 30, "Rd": 8, "Pl": 5, "Dr": 5, "Ln": 2, "Ct": 2, "Blvd": 1, "Ter": 1}
_AREA_CODES = "518 838 315 607 845 914 585 716 212 646 917 347 929 718 516 631 680 332 363 934"


@dataclass(frozen=True)
class _Households:
    """Households as numbers: of each person its household, its place in it, and its head's row."""

    of: np.ndarray
    place: np.ndarray
    head: np.ndarray
    count: int


def make(persons: int, seed: int, night: date) -> pl.DataFrame:
    """`persons` people, of whom the last few are canaries."""
    rng = stream(seed, "population")
    homes = _households(rng, persons)
    race = _races(rng, homes)
    origin = np.array([_GROUPS[r][1] for r in race.tolist()], dtype=object)
    origin = np.where(rng.random(persons) < 0.03, pick_from(rng, names.ORIGINS, [1] * 5, persons), origin)
    sex = pick(rng, {"M": 0.66, "F": 0.33, "X": 0.01}, persons)
    born = _births(rng, persons, night)
    last = names.surnames(rng, origin)
    follows = (homes.place > 0) & (rng.random(persons) < 0.72)
    last = np.where(follows, last[homes.head], last)
    first = names.first_names(rng, origin, sex, 1970 + born.astype("datetime64[Y]").astype(int))
    suffix = np.full(persons, None, dtype=object)
    _make_twins(rng, homes, last, born, sex, first, origin)
    _make_juniors(rng, homes, last, born, sex, first, suffix)
    other_last = _other_surnames(rng, last, sex, origin)
    middle = names.first_names(rng, origin, sex, 1970 + born.astype("datetime64[Y]").astype(int))
    middle = np.where(rng.random(persons) < 0.8, middle, None)
    people = pl.DataFrame(
        {
            "person_no": np.arange(1, persons + 1),
            "last_name": pl.Series(last.tolist(), dtype=pl.String),
            "other_last_name": pl.Series(other_last.tolist(), dtype=pl.String),
            "first_name": pl.Series(first.tolist(), dtype=pl.String),
            "middle_name": pl.Series(middle.tolist(), dtype=pl.String),
            "suffix": pl.Series(suffix.tolist(), dtype=pl.String),
            "date_of_birth": pl.Series(born.astype("datetime64[D]")).cast(pl.Date),
            "sex": pl.Series(sex.tolist(), dtype=pl.String),
            "race_ethnicity": pl.Series(race.tolist(), dtype=pl.String),
            "ssn4": _numbers(rng.integers(1, 10_000, persons), 4, rng.random(persons) < 0.93),
            "nysid": _nysids(rng, persons),
            **_phones(rng, homes),
            **_addresses(rng, homes),
            "canary": np.zeros(persons, dtype=bool),
        }
    )
    return _with_canaries(people, night)


def _households(rng: np.random.Generator, persons: int) -> _Households:
    sizes = pick(rng, {1: 0.48, 2: 0.25, 3: 0.13, 4: 0.09, 5: 0.05}, persons).astype(int)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    count = int(np.searchsorted(starts, persons))
    of = np.repeat(np.arange(persons), sizes)[:persons]
    head = starts[of]
    return _Households(of, np.arange(persons) - head, head, count)


def _races(rng: np.random.Generator, homes: _Households) -> np.ndarray:
    race = pick(rng, {r: share for r, (share, _) in _GROUPS.items()}, len(homes.of))
    return np.where(rng.random(len(race)) < 0.9, race[homes.head], race)


def _births(rng: np.random.Generator, persons: int, night: date) -> np.ndarray:
    """Ages 18 to 80 on `night`, most between 20 and 50."""
    low, high = AGES
    age = low + (high - low - 1) * rng.beta(1.5, 2.9, persons)
    return np.datetime64(night) - (age * 365.25 + 1).astype("timedelta64[D]")


def _make_twins(rng, homes: _Households, last, born, sex, first, origin) -> None:
    """Second and third of some households: same birth date, surname and address, other given name."""
    second = np.flatnonzero(homes.place[:-1] == 1)
    second = second[(homes.place[second + 1] == 2) & (rng.random(len(second)) < 0.05)]
    third = second + 1
    born[third], last[third], sex[third] = born[second], last[second], sex[second]
    years = 1970 + born[third].astype("datetime64[Y]").astype(int)
    first[third] = names.first_names(rng, origin[second], sex[third], years)
    alike = third[(first[third] == first[second])]
    first[alike] = np.where(sex[alike] == "F", "Marguerite", "Thaddeus")


def _make_juniors(rng, homes: _Households, last, born, sex, first, suffix) -> None:
    """The second of some households is a son who has his father's whole name."""
    son = np.flatnonzero(homes.place == 1)
    son = son[(sex[son] == "M") & (sex[son - 1] == "M") & (rng.random(len(son)) < 0.06)]
    years_between = (born[son] - born[son - 1]).astype(int) / 365.25
    son = son[(years_between > 16) & (years_between < 45)]
    last[son], first[son] = last[son - 1], first[son - 1]
    suffix[son], suffix[son - 1] = "Jr", "Sr"


def _other_surnames(rng, last, sex, origin) -> np.ndarray:
    """Married or maiden names, mostly of women; some of them double."""
    persons = len(last)
    share = np.where(sex == "F", 0.24, 0.02)
    other = names.surnames(rng, origin)
    double = rng.random(persons) < np.where(origin == "HISPANIC", 0.5, 0.3)
    other = np.where(double, names.double_surnames(rng, last, other), other)
    # some go by the double name always, and an agency then knows half of it
    swapped = double & (rng.random(persons) < 0.5) & (rng.random(persons) < share)
    taken = (rng.random(persons) < share) | swapped
    kept = last.copy()
    last[swapped] = other[swapped]
    other[swapped] = kept[swapped]
    return np.where(taken, other, None)


def _numbers(values: np.ndarray, width: int, given: np.ndarray) -> pl.Series:
    text = pl.Series(values).cast(pl.String).str.zfill(width)
    return pl.select(pl.when(pl.Series(given)).then(text)).to_series()


def _nysids(rng: np.random.Generator, persons: int) -> pl.Series:
    """Eight digits and a letter, distinct; those never fingerprinted have none."""
    numbers = 10_000_000 + rng.permutation(max(4 * persons, 1000))[:persons] * 7
    letters = pl.Series(pick_from(rng, list("HJKLMNPQRYZ"), [1] * 11, persons).tolist(), dtype=pl.String)
    text = pl.Series(numbers).cast(pl.String) + letters
    return pl.select(pl.when(pl.Series(rng.random(persons) < 0.75)).then(text)).to_series()


def _phones(rng: np.random.Generator, homes: _Households) -> dict[str, pl.Series]:
    """Numbers are shared in a fifth of cases within a household; most have had another before."""
    persons = len(homes.of)
    # the highest numbers stay free for canaries
    codes = min(len(_AREA_CODES.split()), 2 + 2 * persons // 9_990)
    pool = rng.permutation(codes * 9_990)
    index = pool[np.arange(2 * persons) % len(pool)]
    own, earlier = index[:persons], index[persons:]
    shares = (homes.place > 0) & (rng.random(persons) < 0.2)
    own = np.where(shares, own[homes.head], own)
    return {
        "phone": _phone_text(own, rng.random(persons) < 0.86),
        "other_phone": _phone_text(earlier, rng.random(persons) < 0.6),
    }


def _phone_text(index: np.ndarray, given: np.ndarray) -> pl.Series:
    codes = _AREA_CODES.split()
    area = pl.Series([codes[i] for i in (index // 9_990).tolist()], dtype=pl.String)
    line = pl.Series(index % 9_990).cast(pl.String).str.zfill(4)
    text = pl.select(pl.lit("(") + area + pl.lit(") 555-") + line).to_series()
    return pl.select(pl.when(pl.Series(given)).then(text)).to_series()


def _addresses(rng: np.random.Generator, homes: _Households) -> dict[str, pl.Series]:
    persons = len(homes.of)
    line, city, zip_code = _places(rng, persons)
    home = homes.head
    line, city, zip_code = line[home], city[home], zip_code[home]
    sheltered = rng.random(persons) < _SHELTER_SHARE
    homeless = rng.random(persons) < 0.03
    line, city, zip_code = (
        np.where(homeless, None, np.where(sheltered, fixed, own))
        for fixed, own in zip(SHELTER, (line, city, zip_code))
    )
    moved = rng.random(persons) < 0.35
    others = [np.where(moved, values, None) for values in _places(rng, persons)]
    columns = ("address_line", "city", "zip", "other_address_line", "other_city", "other_zip")
    values = (line, city, zip_code, *others)
    return {c: pl.Series(c, v.tolist(), dtype=pl.String) for c, v in zip(columns, values)}


def _places(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    number = (1 + 998 * rng.beta(1, 2.2, size)).astype(int).astype(str).astype(object)
    streets = [s.replace("_", " ") for s in _STREETS.split()]
    street = pick_from(rng, streets, 1 / (np.arange(len(streets)) + 12), size)
    kind = pick(rng, _STREET_KINDS, size)
    unit = np.full(size, "", dtype=object)
    flats = np.flatnonzero(rng.random(size) < 0.42)
    floors = rng.integers(1, 12, len(flats)).astype(str).astype(object)
    letters = pick_from(rng, ["", "A", "B", "C", "D", "R", "F"], [6, 3, 3, 2, 1, 1, 1], len(flats))
    unit[flats] = " Apt " + floors + letters
    place = pick_from(rng, range(len(_CITIES)), list(_CITIES.values()), size).astype(int)
    cities = np.array([c for c, _ in _CITIES], dtype=object)
    zips = np.array([z for _, z in _CITIES], dtype=object)
    return number + " " + street + " " + kind + unit, cities[place], zips[place]


#: no list, no composition gives these names; each person has a part of the story (see agencies/story.py)
CANARIES = (
    ("Zyxwvutcanary", "Quizzabeth"),
    ("Vaxlomquist", "Zebulonx"),
    ("Qwyjiboncanary", "Wyxamina"),
    ("Blorptharxen", "Throxdane"),
    ("Fnordlequiste", "Ulvexia"),
    ("Yttrixcanary", "Mxyzander"),
)


def _with_canaries(people: pl.DataFrame, night: date) -> pl.DataFrame:
    """The last rows become people whose every identifier is improbable."""
    count = len(CANARIES)
    rows = []
    for i, (last, first) in enumerate(CANARIES):
        rows.append(
            {
                "person_no": people.height - count + i + 1,
                "last_name": last,
                "first_name": first,
                "middle_name": f"Krzqv{'aeiouy'[i]}l",
                "date_of_birth": date(night.year - 31 - i, 2 + i, 17 + i),
                "sex": "FMXFMF"[i],
                "race_ethnicity": "WHITE",
                "ssn4": f"{9871 + i}",
                "nysid": f"9777666{i}Z",
                "phone": f"(518) 555-{9991 + i}",
                "address_line": f"{9031 + i} Xylocanary Hollow",
                "city": "Albany",
                "zip": f"1229{i}",
                "canary": True,
            }
        )
    made = pl.DataFrame(rows, schema_overrides=people.schema)
    return pl.concat([people.head(-count), made], how="diagonal").select(people.columns)
