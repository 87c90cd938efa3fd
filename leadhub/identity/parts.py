"""Identifiers → the comparable parts that the linkage schema names, as text.

The rules by which a part is made from a normalised identifier (`as` in the schema) stand here by name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import addresses, keyed, letters, normalise
from leadhub.identity.coded import Coded
from leadhub.identity.linkage.schema import LinkageSchema, Part

SEPARATOR = keyed.SEPARATOR


def _beginning(names: pl.Series) -> pl.Series:
    return names.str.slice(0, 3)


def _ending(names: pl.Series) -> pl.Series:
    return names.str.slice(-4)


def _last_letters(names: pl.Series) -> pl.Series:
    return names.str.slice(-3)


def _consonants(names: pl.Series) -> pl.Series:
    """All letters but vowels, H, W and Y: none of those that are heard least."""
    return names.str.replace_all("[AEIOUYHW]", "").replace("", None)


def _postal_area(codes: pl.Series) -> pl.Series:
    """The part of a postal code that names a region: of digits all but the last two (a ZIP code's sectional
    centre), else all but the last three characters (a British or Canadian code's district)."""
    return codes.str.replace(r"^(?:(\d+)\d\d|(.+)...)$", "$1$2")


def _initial(names: pl.Series) -> pl.Series:
    return names.str.slice(0, 1)


def _word(names: pl.Series) -> pl.Series:
    """Names of more than one letter: an initial is not a name."""
    return names.set(names.str.len_chars() < 2, None)


def _soundex(names: pl.Series) -> pl.Series:
    """An initial has no sound."""
    return letters.soundex(_word(names))


def _formatted(form: str) -> Callable[[pl.Series], pl.Series]:
    return lambda dates: dates.dt.to_string(form)


def _day_and_month_unordered(dates: pl.Series) -> pl.Series:
    """Year, and day and month smaller first; only a day up to 12 can have been taken for a month."""
    born = pl.col("d")
    day, month = born.dt.day(), born.dt.month()
    unordered = pl.format(
        "{}:{}/{}", born.dt.year(), pl.min_horizontal(day, month), pl.max_horizontal(day, month)
    )
    chosen = pl.when(day <= 12).then(unordered).otherwise(born.dt.to_string("%Y-%m-%d"))
    return dates.alias("d").to_frame().select(chosen).to_series()


def _one_letter_off(names: pl.Series) -> pl.Series:
    """The name, and the name without each of its letters: two names one typing error apart share one
    (deletion neighbourhood, Bocek, Hunt and Stiller 2007)."""
    return _lists(*letters.without_each(names))


def _lists(counts: np.ndarray, texts: pl.Series) -> pl.Series:
    """Lists of so many of the texts, one after the other."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    flat = texts.to_arrow(compat_level=pl.CompatLevel.newest())
    return pl.Series(pl.from_arrow(pa.ListArray.from_arrays(pa.array(offsets), flat)))


def _one_digit_off(dates: pl.Series) -> pl.Series:
    digits = dates.dt.to_string("%Y%m%d") if dates.dtype == pl.Date else dates
    return _one_letter_off(digits)


def _within_two_years(years: pl.Series) -> pl.Series:
    year = years.cast(pl.Int32)
    later = [(year + i).cast(pl.String) for i in range(3)]
    frame = pl.DataFrame([values.alias(str(i)) for i, values in enumerate(later)])
    return frame.select(pl.concat_list(pl.all()).list.drop_nulls()).to_series()


def _words(names: pl.Series) -> pl.Series:
    """A name of several words, and each of them."""
    name = pl.col("n")
    whole_first = pl.concat_str(name.str.replace_all(" ", "", literal=True), name, separator=" ")
    told = pl.when(name.str.contains(" ", literal=True)).then(whole_first).otherwise(name)
    return names.alias("n").to_frame().select(told.str.split(" ")).to_series()


def _itself(values: pl.Series) -> pl.Series:
    return values


_RULES: dict[str, Callable[[pl.Series], pl.Series]] = {
    "itself": _itself,
    "soundex": _soundex,
    "nickname_class": normalise.nickname_class,
    "beginning": _beginning,
    "ending": _ending,
    "last_letters": _last_letters,
    "consonants": _consonants,
    "initial": _initial,
    "word": _word,
    "house_number": addresses.house_number,
    "postal_area": _postal_area,
    "iso": _formatted("%Y-%m-%d"),
    "year_month": _formatted("%Y-%m"),
    "year_day": _formatted("%Y//%d"),
    "month_day": _formatted("%m-%d"),
    "day_and_month_unordered": _day_and_month_unordered,
    "one_letter_off": _one_letter_off,
    "one_digit_off": _one_digit_off,
    "within_two_years": _within_two_years,
    "words": _words,
}


def _either_way(one: Coded, other: Coded) -> Coded:
    """Both values of each row in alphabetical order: the same whichever was written in whose place. Nearly
    all pairs are distinct, so each row has a code of its own."""
    pair = pl.DataFrame({"one": one.values(), "other": other.values()})
    ordered = pl.when(pl.col("one") <= pl.col("other")).then(
        pl.concat_str("one", "other", separator=SEPARATOR)
    )
    texts = pair.select(ordered.otherwise(pl.concat_str("other", "one", separator=SEPARATOR))).to_series()
    return Coded(np.arange(len(texts)), texts)


def source(known: dict[str, Coded], part: Part) -> Coded:
    """The column of normalised identifiers that a part is made from; `once` may hold nulls."""
    if len(part.of) == 1:
        return known[part.of[0]]
    return _either_way(*(known[kind] for kind in part.of))


def derive(part: Part, values: pl.Series) -> pl.Series:
    """A part's text from its source's values, null for null; where the part has several, a list of texts,
    the value itself first, empty or null for null."""
    rule = _itself if len(part.of) > 1 else _RULES[part.rule]
    made = rule(values)
    return made if part.many else made.cast(pl.String)


def text(identifiers: pl.DataFrame, schema: LinkageSchema) -> pl.DataFrame:
    """One text column for each part, from columns named by identifier kind."""
    known = normalise.coded(identifiers)
    sources = {name: source(known, part) for name, part in schema.parts.items()}
    return pl.DataFrame(
        {name: s.spread(derive(schema.parts[name], s.once)).alias(name) for name, s in sources.items()}
    )
