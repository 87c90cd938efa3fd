"""A small county with known truth, to measure linkage: families, twins, and clerks who make mistakes.

`county(persons, feeds, noise, seed)` gives, for each feed, a person table whose columns are identifier
kinds, and the truth (record_id → person number). Names are made of syllables with Zipf frequencies and
of the given names that have nicknames.
"""

from __future__ import annotations

import random
import string
from datetime import date, timedelta

import polars as pl
import pyarrow as pa

from leadhub.identity.nicknames import CLASS_OF

KINDS = (
    "last_name",
    "first_name",
    "middle_name",
    "suffix",
    "sex",
    "ssn4",
    "nysid",
    "phone",
    "address_line",
    "zip",
)
SYLLABLES = [c + v for c in ("b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r") for v in "aeo"]
ENDS = ["son", "ez", "man", "ley", "ski", "er", "s", "berg", "field", "well"]
FORMS: dict[str, list[str]] = {}
for form, name in sorted(CLASS_OF.items()):
    FORMS.setdefault(name, []).append(form)


def zipf(rng: random.Random, values: list[str], exponent: float) -> str:
    u = rng.random()
    return values[int(len(values) * u**exponent)]


def typo(rng: random.Random, text: str) -> str:
    if len(text) < 3:
        return text
    at = rng.randrange(1, len(text))
    letter = rng.choice(string.ascii_uppercase if text[at].isalpha() else string.digits)
    return rng.choice(
        [text[:at] + letter + text[at + 1 :], text[:at] + text[at + 1 :], text[:at] + letter + text[at:]]
    )


def _surnames(rng: random.Random, count: int) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < count:
        stem = "".join(rng.choice(SYLLABLES) for _ in range(rng.choice([1, 2, 2])))
        names[(stem + rng.choice(ENDS)).upper()] = None
    return list(names)


def people(rng: random.Random, count: int) -> list[dict]:
    """Persons in households of one to five: parents, children of the same surname, now and then twins,
    now and then a son with his father's name."""
    surnames, given = _surnames(rng, 3000), sorted(FORMS) + _surnames(rng, 150)
    streets = [f"{s.title()} {k}" for s in _surnames(rng, 300) for k in ("St", "Ave")]
    found: list[dict] = []
    while len(found) < count:
        home = {
            "last_name": zipf(rng, surnames, 2.0),
            "address_line": f"{rng.randrange(1, 1500)} {rng.choice(streets)}",
            "zip": f"142{rng.randrange(1, 30):02d}",
            "phone": f"716{rng.randrange(2000000, 9999999)}",
        }
        born = date(1950, 1, 2) + timedelta(days=rng.randrange(20000))
        for place in range(rng.choice([1, 1, 2, 2, 3, 4, 5])):
            if place == 1:
                born = born + timedelta(days=rng.randrange(-3000, 3000))
            if place >= 2 and rng.random() > 0.04:  # else a twin of the one before
                born = born + timedelta(days=rng.choice([400, 800, 1500, 9000]))
            person = dict(home, date_of_birth=born, first_name=zipf(rng, given, 1.8))
            if place and rng.random() < 0.05:
                person["first_name"] = found[-1]["first_name"]
                person["suffix"] = "JR"
                born = person["date_of_birth"] = born + timedelta(days=8000)
            if rng.random() < 0.6:
                person["phone"] = f"716{rng.randrange(2000000, 9999999)}"
            person["sex"] = rng.choice("MF")
            person["middle_name"] = zipf(rng, given, 1.8)
            person["ssn4"] = f"{rng.randrange(1, 10000):04d}"
            person["nysid"] = f"{len(found) + 1000000:08d}Q" if rng.random() < 0.5 else None
            found.append(person)
    return found[:count]


def _wrong_date(rng: random.Random, born: date) -> date:
    choice = rng.random()
    if choice < 0.35 and born.day <= 12:
        return date(born.year, born.day, born.month)
    if choice < 0.7:
        return date(born.year, born.month, rng.randrange(1, 29))
    if choice < 0.9:
        return date(born.year + rng.choice([-10, -1, 1, 10]), born.month, min(born.day, 28))
    return date(born.year, 1, 1)


def noisy(rng: random.Random, person: dict, noise: float, fields: tuple[str, ...]) -> dict:
    """One clerk's version of a person; `noise` is the chance of an error in each important field."""
    row = {k: person.get(k) for k in (*KINDS, "date_of_birth")}
    _spoil_names(rng, row, noise)
    if rng.random() < noise:
        row["date_of_birth"] = _wrong_date(rng, row["date_of_birth"])
    if rng.random() < 3 * noise:
        row["address_line"], row["zip"] = f"{rng.randrange(1, 1500)} Elm St", f"142{rng.randrange(30):02d}"
    if rng.random() < 3 * noise:
        row["phone"] = f"716{rng.randrange(2000000, 9999999)}"
    if rng.random() < noise:
        row["ssn4"] = f"{rng.randrange(1, 10000):04d}"
    for kind, share in (
        ("ssn4", 2),
        ("phone", 2),
        ("address_line", 2),
        ("suffix", 2),
        ("date_of_birth", 0.25),
    ):
        if rng.random() < share * noise:
            row[kind] = None
    return {k: v if k in fields else None for k, v in row.items()}


def _spoil_names(rng: random.Random, row: dict, noise: float) -> None:
    """Typos, nicknames, another surname altogether, names in the wrong columns."""
    if rng.random() < noise:
        row["first_name"] = typo(rng, row["first_name"])
    elif rng.random() < 2 * noise and row["first_name"] in FORMS:
        row["first_name"] = rng.choice(FORMS[row["first_name"]])
    if rng.random() < noise:
        row["last_name"] = typo(rng, row["last_name"])
    elif rng.random() < noise / 2:
        row["last_name"] = row["middle_name"] + "SON"
    if rng.random() < noise / 4:
        row["last_name"], row["first_name"] = row["first_name"], row["last_name"]


def county(
    persons: int, feeds: dict[str, tuple[float, tuple[str, ...]]], noise: float, seed: int
) -> tuple[dict[str, pa.Table], dict[str, int]]:
    """`feeds`: name → (share of persons it knows, kinds it gives). Each feed knows a person once."""
    rng = random.Random(seed)
    everyone = people(rng, persons)
    tables, truth = {}, {}
    for feed, (share, fields) in feeds.items():
        rows = []
        for number, person in enumerate(everyone):
            if rng.random() < share:
                record = f"{feed}{number:07d}{rng.randrange(10**6):06d}"
                truth[record] = number
                rows.append({"record_id": record, **noisy(rng, person, noise, (*fields, "date_of_birth"))})
        schema = pa.schema([(k, pa.string()) for k in ("record_id", *KINDS)])
        schema = schema.append(pa.field("date_of_birth", pa.date32()))
        tables[feed] = pa.Table.from_pylist(rows, schema)
    return tables, truth


FEEDS = {
    "p": (0.6, KINDS),
    "d": (0.4, tuple(k for k in KINDS if k not in ("ssn4", "phone", "suffix"))),
    "h": (0.5, tuple(k for k in KINDS if k not in ("nysid", "suffix"))),
    "r": (0.3, tuple(k for k in KINDS if k not in ("nysid", "suffix"))),
}


def quality(clusters: pa.Table, truth: dict[str, int]) -> tuple[float, float]:
    """Precision and recall over pairs of records, as clusters put them together."""
    frame = pl.DataFrame(pl.from_arrow(clusters)).with_columns(
        person=pl.col("record_id").replace_strict(truth, return_dtype=pl.Int64)
    )

    def pairs(*by: str) -> int:
        size = frame.group_by(by).len().get_column("len").cast(pl.Int64)
        return int((size * (size - 1) // 2).sum())

    right = pairs("cluster", "person")
    return right / max(1, pairs("cluster")), right / max(1, pairs("person"))
