"""What clerks make of people: one person's true identifiers become what one agency wrote down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from simulation.name_lists import NICKNAMES

IDENTIFIERS = (
    "last_name",
    "first_name",
    "middle_name",
    "suffix",
    "date_of_birth",
    "sex",
    "ssn4",
    "nysid",
    "phone",
    "address_line",
    "city",
    "zip",
)
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
#: letters that stand beside or sound like one another
_CONFUSED = dict(
    zip("aeiouckszmntdbpvwgj", ("eo", "ai", "ey", "au", "oy", "ks", "c", "zc", "s", *"nmdtpbwvjg")),
)
_ABBREVIATED = {" St": " Street", " Ave": " Avenue", " Rd": " Road", " Apt ": " #", " Dr": " Drive"}


@dataclass(frozen=True)
class Clerk:
    """An agency's habits (how it writes) and its error rates (shares of records, each on its own)."""

    capitals: bool = False
    plain_letters: bool = False
    phone_form: str = "(518) 555-0000"
    typo_last: float = 0.015
    typo_first: float = 0.015
    nickname: float = 0.06
    other_surname: float = 0.25  # of those who have another surname
    half_surname: float = 0.3  # of those with a double surname
    names_swapped: float = 0.002
    suffix_missing: float = 0.35
    middle_missing: float = 0.35
    middle_initial: float = 0.35
    day_month_swapped: float = 0.008
    birth_slip: float = 0.012
    birth_new_year: float = 0.004
    birth_missing: float = 0.0
    sex_unknown: float = 0.01
    sex_wrong: float = 0.003
    ssn4_missing: float = 0.35
    ssn4_slip: float = 0.01
    nysid_missing: float = 0.15
    nysid_slip: float = 0.004
    phone_missing: float = 0.2
    phone_other: float = 0.3  # of those who had another number
    address_missing: float = 0.08
    address_other: float = 0.4  # of those who moved
    address_typo: float = 0.02
    address_long: float = 0.3
    zip_missing: float = 0.04
    zip_plus_4: float = 0.03


def clean(people: pl.DataFrame, clerk: Clerk) -> pl.DataFrame:
    """The truth in the agency's writing, for corrections: columns `IDENTIFIERS`."""
    return _written(people.select(IDENTIFIERS), clerk)


def recorded(people: pl.DataFrame, clerk: Clerk, rng: np.random.Generator) -> pl.DataFrame:
    """One record for each row of `people` (a person may stand there twice): columns `IDENTIFIERS`.

    Canaries are written without errors, so that a scan finds them.
    """
    rolls = _Rolls(rng, ~people["canary"].to_numpy())
    last, first = _names(people, clerk, rolls)
    out = people.select(IDENTIFIERS).with_columns(
        last_name=last,
        first_name=first,
        middle_name=_initials(people["middle_name"], clerk, rolls),
        suffix=rolls.without("suffix", people["suffix"], clerk.suffix_missing),
        date_of_birth=_births(people["date_of_birth"], clerk, rolls),
        sex=_sexes(people["sex"], clerk, rolls),
        ssn4=_slips(rolls.without("ssn4", people["ssn4"], clerk.ssn4_missing), clerk.ssn4_slip, rolls),
        nysid=_slips(rolls.without("nysid", people["nysid"], clerk.nysid_missing), clerk.nysid_slip, rolls),
        phone=rolls.without(
            "phone", rolls.other("phone", people["phone"], people["other_phone"], clerk.phone_other),
            clerk.phone_missing,
        ),
        **_addresses(people, clerk, rolls),
    )  # fmt: skip
    return _written(out, clerk)


class _Rolls:
    """Which rows an error strikes."""

    def __init__(self, rng: np.random.Generator, may_err: np.ndarray):
        self.rng, self._may_err = rng, may_err

    def hit(self, share: float) -> np.ndarray:
        return (self.rng.random(len(self._may_err)) < share) & self._may_err

    def without(self, name: str, values: pl.Series, share: float) -> pl.Series:
        return values.alias(name).set(pl.Series(self.hit(share)), None)

    def other(self, name: str, values: pl.Series, others: pl.Series, share: float) -> pl.Series:
        """`others` where they exist and the roll hits."""
        taken = pl.Series(self.hit(share)) & others.is_not_null()
        return others.zip_with(taken, values).alias(name)

    def rewrite(self, values: pl.Series, rows: np.ndarray, change) -> pl.Series:
        """`change(text)` on rows that are not null."""
        rows = rows[values.is_not_null().to_numpy()[rows]]
        if not len(rows):
            return values
        changed = [change(text) for text in values.gather(rows).to_list()]
        return values.scatter(rows, pl.Series(changed, dtype=pl.String))


def _names(people: pl.DataFrame, clerk: Clerk, rolls: _Rolls) -> tuple[pl.Series, pl.Series]:
    rng = rolls.rng
    last = rolls.other("last_name", people["last_name"], people["other_last_name"], clerk.other_surname)
    double = rolls.hit(clerk.half_surname) & last.str.contains(r"\w{3,}[- ]\w{3,}").to_numpy()
    last = rolls.rewrite(last, np.flatnonzero(double), lambda t: _half(rng, t))
    last = rolls.rewrite(last, np.flatnonzero(rolls.hit(clerk.typo_last)), lambda t: typo(rng, t))
    known = people["first_name"].is_in(list(NICKNAMES)).to_numpy()
    short = np.flatnonzero(rolls.hit(clerk.nickname) & known)
    first = rolls.rewrite(people["first_name"], short, lambda t: _nickname(rng, t))
    first = rolls.rewrite(first, np.flatnonzero(rolls.hit(clerk.typo_first)), lambda t: typo(rng, t))
    swapped = pl.Series(rolls.hit(clerk.names_swapped))
    return first.zip_with(swapped, last), last.zip_with(swapped, first)


def typo(rng: np.random.Generator, text: str) -> str:
    """One slip of the finger or the ear: a letter confused, dropped, doubled, added, or two swapped."""
    if len(text) < 3:
        return text
    at = int(rng.integers(1, len(text) - 1))
    before, letter, after = text[:at], text[at], text[at + 1 :]
    kind = rng.random()
    if kind < 0.3:
        return before + str(rng.choice(list(_CONFUSED.get(letter, _LETTERS)))) + after
    if kind < 0.55:
        return before + after
    if kind < 0.7:
        return before + letter + letter + after
    if kind < 0.8:
        return before + letter + str(rng.choice(list(_LETTERS))) + after
    return before + after[0] + letter + after[1:]


def _half(rng: np.random.Generator, text: str) -> str:
    parts = text.replace("-", " ").split(" ")
    return parts[-1] if rng.random() < 0.5 else " ".join(parts[:-1])


def _nickname(rng: np.random.Generator, name: str) -> str:
    return str(rng.choice(NICKNAMES[name]))


def _initials(middle: pl.Series, clerk: Clerk, rolls: _Rolls) -> pl.Series:
    initial = middle.str.slice(0, 1)
    short = initial.zip_with(pl.Series(rolls.hit(clerk.middle_initial)), middle)
    return rolls.without("middle_name", short, clerk.middle_missing)


def _births(born: pl.Series, clerk: Clerk, rolls: _Rolls) -> pl.Series:
    size = len(born)
    rng = rolls.rng
    year, month, day = (part.to_numpy().copy() for part in (born.dt.year(), born.dt.month(), born.dt.day()))
    swapped = rolls.hit(clerk.day_month_swapped) & (day <= 12)
    month[swapped], day[swapped] = day[swapped], month[swapped]
    slip = rolls.hit(clerk.birth_slip)
    kind = rng.random(size)
    step = np.where(rng.random(size) < 0.5, -1, 1)
    year += np.where(slip & (kind < 0.3), step, 0) + np.where(slip & (kind >= 0.9), 10 * step, 0)
    year = np.minimum(year, born.dt.year().to_numpy().max())
    month = np.where(slip & (kind >= 0.3) & (kind < 0.5), (month - 1 + step) % 12 + 1, month)
    day = np.where(slip & (kind >= 0.5) & (kind < 0.9), np.clip(day + step, 1, 28), day)
    new_year = rolls.hit(clerk.birth_new_year)
    month, day = np.where(new_year, 1, month), np.where(new_year, 1, day)
    # the 29th, 30th and 31st do not exist in every month that a slip leads to
    changed = slip | swapped
    frame = pl.DataFrame({"y": year, "m": month, "d": np.where(changed, np.minimum(day, 28), day)})
    written = frame.select(pl.date("y", "m", "d").alias("date_of_birth")).to_series()
    return rolls.without("date_of_birth", written, clerk.birth_missing)


def _sexes(sex: pl.Series, clerk: Clerk, rolls: _Rolls) -> pl.Series:
    wrong = pl.Series(rolls.hit(clerk.sex_wrong))
    flipped = sex.replace({"F": "M", "M": "F", "X": "U"}).zip_with(wrong, sex)
    return flipped.set(pl.Series(rolls.hit(clerk.sex_unknown)), "U").alias("sex")


def _slips(values: pl.Series, share: float, rolls: _Rolls) -> pl.Series:
    """One digit wrong, the shape kept."""

    def slip(text: str) -> str:
        at = int(rolls.rng.integers(0, 4))
        return f"{text[:at]}{(int(text[at]) + int(rolls.rng.integers(1, 10))) % 10}{text[at + 1 :]}"

    return rolls.rewrite(values, np.flatnonzero(rolls.hit(share)), slip)


def _addresses(people: pl.DataFrame, clerk: Clerk, rolls: _Rolls) -> dict[str, pl.Series]:
    other = pl.Series(rolls.hit(clerk.address_other)) & people["other_address_line"].is_not_null()
    line, city, zip_code = (
        people[f"other_{c}"].zip_with(other, people[c]).alias(c) for c in ("address_line", "city", "zip")
    )
    line = rolls.rewrite(line, np.flatnonzero(rolls.hit(clerk.address_typo)), lambda t: typo(rolls.rng, t))
    spelled = line.str.replace_many(list(_ABBREVIATED), list(_ABBREVIATED.values()))
    line = spelled.zip_with(pl.Series(rolls.hit(clerk.address_long)), line)
    missing = pl.Series(rolls.hit(clerk.address_missing))
    plus = pl.Series(rolls.rng.integers(1001, 9999, people.height)).cast(pl.String)
    longer = pl.select(zip_code + pl.lit("-") + plus).to_series()
    zip_code = longer.zip_with(pl.Series(rolls.hit(clerk.zip_plus_4)), zip_code)
    zip_code = zip_code.set(pl.Series(rolls.hit(clerk.zip_missing)), None)
    return {c: v.set(missing, None) for c, v in (("address_line", line), ("city", city), ("zip", zip_code))}


def _written(records: pl.DataFrame, clerk: Clerk) -> pl.DataFrame:
    """In capitals, without marks, telephone numbers in the agency's form."""
    words = ("last_name", "first_name", "middle_name", "suffix", "address_line", "city")
    if clerk.plain_letters:
        records = records.with_columns(pl.col(words).str.normalize("NFKD").str.replace_all(r"\p{M}", ""))
    if clerk.capitals:
        records = records.with_columns(pl.col(words).str.to_uppercase())
    if clerk.phone_form == "518-555-0000":
        records = records.with_columns(pl.col("phone").str.replace(r"^\((\d{3})\) ", "$1-"))
    elif clerk.phone_form == "5185550000":
        records = records.with_columns(pl.col("phone").str.replace_all(r"\D", ""))
    return records
