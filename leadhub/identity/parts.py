"""Identifiers → the comparable parts that the linkage schema names, as text.

The rules by which a part is made from a normalised identifier (`as` in the schema) stand here by name.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pyarrow as pa

from leadhub.identity import keyed, normalise
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
    return normalise.soundex(_word(names))


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


#: names shorter than this have too many neighbours
_LEAST_LETTERS = 4


def _one_letter_off(names: pl.Series) -> pl.Series:
    """The name, and the name without each of its letters: two names one typing error apart share one
    (deletion neighbourhood, Bocek, Hunt and Stiller 2007)."""
    length = names.str.len_chars().cast(pl.Int64)
    several = length.fill_null(0) >= _LEAST_LETTERS
    # without the letter after its last: the name itself, which stands first
    first = pl.Series(np.where(several, 0, length.fill_null(0)))
    frame = pl.DataFrame({"n": names, "at": length, "to": first, "row": np.arange(len(names))})
    frame = frame.filter(pl.col("n").is_not_null())
    spread = frame.select("n", "row", at=pl.int_ranges(pl.col("at"), pl.col("to") - 1, -1)).explode("at")
    without = pl.concat_str(pl.col("n").str.slice(0, pl.col("at")), pl.col("n").str.slice(pl.col("at") + 1))
    texts = spread.select(without).to_series()
    counts = np.where(several, length.fill_null(0).to_numpy() + 1, names.is_not_null().to_numpy())
    return _lists(counts, texts)


def _lists(counts: np.ndarray, texts: pl.Series) -> pl.Series:
    """Lists of so many of the texts, one after the other."""
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    return pl.Series(pl.from_arrow(pa.ListArray.from_arrays(pa.array(offsets), keyed.to_array(texts))))


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
    whole = pl.col("n").str.replace_all(" ", "")
    words = pl.when(pl.col("n").str.contains(" ")).then(pl.col("n").str.split(" "))
    frame = names.alias("n").to_frame()
    return frame.select(pl.concat_list(whole, words.fill_null([])).list.drop_nulls()).to_series()


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
    "house_number": normalise.house_number,
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


def _either_way(known: pl.DataFrame, kinds: tuple[str, ...]) -> pl.Series:
    """Both names in alphabetical order: the same whichever was written in whose place."""
    one, other = (pl.col(k) for k in kinds)
    ordered = pl.when(one <= other).then(pl.concat_str(one, other, separator=SEPARATOR))
    return known.select(ordered.otherwise(pl.concat_str(other, one, separator=SEPARATOR))).to_series()


def source(known: pl.DataFrame, part: Part) -> pl.Series:
    """The column of normalised identifiers that a part is made from."""
    return known.get_column(part.of[0]) if len(part.of) == 1 else _either_way(known, part.of)


def derive(part: Part, values: pl.Series) -> pl.Series:
    """A part's text from its source's values, null for null; where the part has several, a list of texts,
    the value itself first, empty or null for null."""
    rule = _itself if len(part.of) > 1 else _RULES[part.rule]
    made = rule(values)
    return made if part.many else made.cast(pl.String)


def text(identifiers: pl.DataFrame, schema: LinkageSchema) -> pl.DataFrame:
    """One text column for each part, from columns named by identifier kind."""
    known = normalise.normalise(identifiers)
    return pl.DataFrame({name: derive(p, source(known, p)).alias(name) for name, p in schema.parts.items()})
