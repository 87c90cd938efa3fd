"""Two tables about one synthetic population, each with its own errors: households, voters, names and dates.

`tables(name)` is deterministic: a set's seed and mix of errors stand in SEEDS and KINDS. A `_holdout` set
has another seed and another mix (more scanning and hearing errors, more missing), so that what was tuned
on the first can be checked on the second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from benchmarks.linkage import census, errors, population
from benchmarks.linkage.errors import Mix
from benchmarks.linkage.population import People

OVERLAP = 0.8  # of each table's people, those who stand in the other as well
IDENTITY = ("last_name", "first_name", "middle_name")
ADDRESS = ("address_line", "city", "zip")
EPOCH = np.datetime64("1900-01-01")


@dataclass(frozen=True)
class Kind:
    """What a set records and what changes between its tables; shares of people."""

    columns: tuple[str, ...]
    movers: float = 0.12
    renamed_women: float = 0.02
    phones: float = 0.40
    adults_only: bool = False


KINDS = {
    "households": Kind((*IDENTITY, "suffix", "date_of_birth", "sex", "race", *ADDRESS, "phone")),
    "voter": Kind(
        (*IDENTITY, "birth_year", "sex", "race", *ADDRESS, "phone"),
        movers=0.20,
        renamed_women=0.12,
        phones=0.12,
        adults_only=True,
    ),
    "namesdob": Kind(("first_name", "middle_name", "last_name", "date_of_birth", "sex")),
}
SIZES = {"20k": 20_000, "100k": 100_000, "1M": 1_000_000}
OPEN_MIX = Mix()
HOLDOUT_MIX = Mix(
    errors=0.15,
    missing=1.6,
    nicknames=0.07,
    twice=0.18,
    kinds={
        "insert": 0.08,
        "delete": 0.14,
        "substitute": 0.12,
        "transpose": 0.10,
        "keyboard": 0.10,
        "sound": 0.24,
        "shape": 0.22,
    },
)
NAMES = tuple(
    f"{kind}_{size}{suffix}"
    for kind, size in [*(("households", s) for s in SIZES), ("voter", "20k"), ("namesdob", "20k")]
    for suffix in ("", "_holdout")
)
SEEDS = {name: 20_261_123 + 101 * index for index, name in enumerate(NAMES)}
# share of a field's values that is not written down, before the mix's factor
MISSING = {
    "last_name": 0.02,
    "first_name": 0.02,
    "middle_name": 0.25,
    "suffix": 0.45,
    "date_of_birth": 0.05,
    "birth_year": 0.03,
    "sex": 0.04,
    "race": 0.10,
    "address_line": 0.06,
    "city": 0.05,
    "zip": 0.06,
}
WRONG_SEX, WRONG_RACE = 0.005, 0.03


def tables(name: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Left and right table of a set in NAMES; every column is text."""
    kind, size, holdout = re.fullmatch(r"([a-z]+)_(\w+?)(_holdout)?", name).groups()
    mix = HOLDOUT_MIX if holdout else OPEN_MIX
    return generate(KINDS[kind], SIZES[size], SEEDS[name], mix)


def generate(kind: Kind, records: int, seed: int, mix: Mix) -> tuple[pl.DataFrame, pl.DataFrame]:
    """`records` rows a table, OVERLAP of them about the same people."""
    rng = np.random.default_rng(seed)
    shared = int(records * OVERLAP)
    persons = 2 * records - shared
    who = population.people(rng, persons * 2 if kind.adults_only else persons)
    grown = np.flatnonzero(who.born < 106 * population.YEAR) if kind.adults_only else np.arange(persons)
    where = population.place(rng, persons)
    homes = int(who.household[-1]) + 1
    dwelling = population.addresses(rng, where, homes)
    later, dwelling = moved(
        rng, who, population.addresses(rng, where, homes + len(who.born)), dwelling, kind.movers
    )
    order = rng.permutation(grown)[:persons]
    truth = pl.Series(np.char.mod("p%07d", rng.permutation(len(who.born))))
    left = _table(rng, who, order[:records], dwelling[who.household], truth, kind, mix, "a")
    married = renamed(rng, who, kind.renamed_women)
    new_phone = rng.random(len(who.phone)) < 0.15
    phones = np.where(new_phone, rng.integers(2_012_000_000, 9_899_999_999, len(who.phone)), who.phone)
    right_rows = np.concatenate([order[:shared], order[records:]])
    right = _table(rng, replace(married, phone=phones), right_rows, later, truth, kind, mix, "b")
    return left, right


def moved(
    rng: np.random.Generator, who: People, fresh: pl.DataFrame, dwelling: pl.DataFrame, share: float
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Each person's address at the later table (one row a person), and the earlier dwellings unchanged.

    Half of the moves are a household's, half a person's alone.
    """
    homes = dwelling.height
    together = rng.random(homes) < share / 2
    alone = rng.random(len(who.household)) < share / 2
    place = np.where(together[who.household], homes + who.household, who.household)
    place = np.where(alone, 2 * homes + np.arange(len(place)), place)
    return pl.concat([dwelling, fresh])[place], dwelling


def renamed(rng: np.random.Generator, who: People, share: float) -> People:
    """Some women bear another surname at the later table; a quarter of them add it to the first."""
    chosen = np.flatnonzero(
        who.woman & (who.born < 106 * population.YEAR) & (rng.random(len(who.last)) < share)
    )
    last, second = who.last.copy(), who.second_last.copy()
    new = census.surnames().draw(rng, len(chosen))
    doubled = rng.random(len(chosen)) < 0.25
    second[chosen] = np.where(doubled, new, -1)
    last[chosen] = np.where(doubled, last[chosen], new)
    return replace(who, last=last, second_last=second)


def _table(
    rng: np.random.Generator,
    who: People,
    rows: np.ndarray,
    homes: pl.DataFrame,
    truth: pl.Series,
    kind: Kind,
    mix: Mix,
    side: str,
) -> pl.DataFrame:
    """The records of `rows` as one agency wrote them; `homes` has one row a person of `who`."""
    rows = rng.permutation(rows)
    columns = written(rng, who, rows, homes, kind, mix)
    record = pl.Series(np.char.mod(f"{side}%07d", np.arange(len(rows))))
    return pl.DataFrame({"record": record, "truth": truth.gather(rows), **columns})


def written(
    rng: np.random.Generator, who: People, rows: np.ndarray, homes: pl.DataFrame, kind: Kind, mix: Mix
) -> dict[str, pl.Series]:
    """The kind's columns of people `rows`, in their order, with errors and gaps."""
    true = _written(rng, who, rows, homes[rows], kind)
    columns = {name: _spoilt(rng, name, true[name], mix) for name in kind.columns if name != "phone"}
    if "phone" in kind.columns:
        kept = rng.random(len(rows)) < kind.phones
        phone = errors.apply(rng, true["phone"], mix.errors * 0.4, errors.substitute)
        columns["phone"] = pl.select(pl.when(pl.Series(kept)).then(phone)).to_series()
    return columns


def _written(
    rng: np.random.Generator, who: People, rows: np.ndarray, homes: pl.DataFrame, kind: Kind
) -> dict[str, pl.Series]:
    """Correct values as text, in the shapes in which this agency writes them."""
    first_names, _ = census.given()
    given, family = pl.Series(first_names), pl.Series(census.surnames().values, dtype=pl.String)
    born = pl.Series((EPOCH + who.born[rows].astype("timedelta64[D]")).astype("datetime64[D]").astype(str))
    initial = rng.random(len(rows)) < 0.5
    middle = _gather(given, who.middle[rows])
    return {
        "first_name": given.gather(who.first[rows]),
        "middle_name": pl.select(
            pl.when(pl.Series(initial)).then(middle.str.slice(0, 1)).otherwise(middle)
        ).to_series(),
        "last_name": _surname(rng, family, who.last[rows], who.second_last[rows]),
        "suffix": _gather(pl.Series(population.SUFFIXES[1:]), who.suffix[rows].astype(np.int32) - 1),
        "date_of_birth": born,
        "birth_year": born.str.slice(0, 4),
        "sex": pl.Series(np.where(who.woman[rows], "F", "M")),
        "race": pl.Series(population.RACES).gather(who.race[rows].astype(np.int32)),
        "address_line": _address_line(rng, homes),
        "city": homes["city"],
        "zip": homes["zip"],
        "phone": pl.Series(who.phone[rows]).cast(pl.String),
    }


def _gather(values: pl.Series, codes: np.ndarray) -> pl.Series:
    """values[codes], null where a code is negative."""
    chosen = values.gather(np.maximum(codes, 0))
    return pl.select(pl.when(pl.Series(codes >= 0)).then(chosen)).to_series()


def _surname(
    rng: np.random.Generator, family: pl.Series, last: np.ndarray, second: np.ndarray
) -> pl.Series:
    """A double surname is written with a hyphen, a space, or one half of it."""
    one, two = family.gather(last), _gather(family, second)
    way = pl.Series(rng.random(len(last)))
    both = (
        pl.when(way < 0.5)
        .then(one + "-" + two)
        .when(way < 0.75)
        .then(one + " " + two)
        .when(way < 0.9)
        .then(one)
    )
    return pl.select(pl.when(two.is_null()).then(one).otherwise(both.otherwise(two))).to_series()


def _address_line(rng: np.random.Generator, homes: pl.DataFrame) -> pl.Series:
    """Number, street and unit; some clerks write the street's kind out, some leave it or the unit away."""
    way, unit = pl.Series("way", rng.random(homes.height)), pl.Series("how", rng.random(homes.height))
    long = {
        " ST": " STREET",
        " AVE": " AVENUE",
        " RD": " ROAD",
        " DR": " DRIVE",
        " LN": " LANE",
        " CT": " COURT",
    }
    spelt = pl.col("street")
    for short, full in long.items():
        spelt = spelt.str.replace(f"{short}$", full)
    street = (
        pl.when(pl.col("way") < 0.72)
        .then(pl.col("street"))
        .when(pl.col("way") < 0.92)
        .then(spelt)
        .otherwise(pl.col("street").str.replace(r" [A-Z]+$", ""))
    )
    flat = (
        pl.when((pl.col("unit") == "") | (pl.col("how") > 0.8))
        .then(pl.lit(""))
        .when(pl.col("how") < 0.55)
        .then(pl.lit(" APT ") + pl.col("unit"))
        .otherwise(pl.lit(" #") + pl.col("unit"))
    )
    line = pl.concat_str(pl.col("number").cast(pl.String), pl.lit(" "), street, flat)
    return homes.with_columns(way, unit).select(line.alias("address_line"))["address_line"]


def _spoilt(rng: np.random.Generator, name: str, column: pl.Series, mix: Mix) -> pl.Series:
    """Errors of the kind that befall this field, then missing values."""
    spoilt = _with_errors(rng, name, column, mix)
    kept = rng.random(len(column)) >= min(MISSING[name] * mix.missing, 0.8)
    return pl.select(pl.when(pl.Series(kept)).then(spoilt)).to_series()


def _with_errors(rng: np.random.Generator, name: str, column: pl.Series, mix: Mix) -> pl.Series:
    if name == "first_name":
        column = errors.apply(rng, column, mix.nicknames, errors.nickname)
    if name in (*IDENTITY, "address_line"):
        return errors.misspell(rng, column, mix.errors, mix)
    if name == "city":
        return errors.misspell(rng, column, mix.errors * 0.6, mix)
    if name == "zip":
        return errors.apply(rng, column, mix.errors * 0.5, _miskeyed_zip)
    if name == "date_of_birth":
        return errors.apply(rng, column, mix.errors, errors.misdate)
    if name == "birth_year":
        return errors.apply(rng, column, mix.errors * 0.5, errors.misyear)
    if name == "sex":
        return errors.apply(rng, column, WRONG_SEX, lambda text, u, v: "M" if text == "F" else "F")
    if name == "race":
        return errors.apply(rng, column, WRONG_RACE, lambda text, u, v: population.RACES[int(u * 6)])
    return column


def _miskeyed_zip(text: str, u: float, v: float) -> str:
    return errors.transpose(text, u, v) if v < 0.35 else errors.substitute(text, u, v)
