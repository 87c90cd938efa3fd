"""Identifiers → the comparable parts that the linkage schema names, as text.

The rules by which a part is made from a normalised identifier (`as` in the schema) stand here by name.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from leadhub.identity import keyed, normalise
from leadhub.identity.linkage.schema import LinkageSchema, Part

SEPARATOR = keyed.SEPARATOR


def _beginning(names: pl.Series) -> pl.Series:
    return names.str.slice(0, 3)


def _ending(names: pl.Series) -> pl.Series:
    return names.str.slice(-4)


def _initial(names: pl.Series) -> pl.Series:
    return names.str.slice(0, 1)


def _word(names: pl.Series) -> pl.Series:
    """Names of more than one letter: an initial is not a name."""
    return names.set(names.str.len_chars() < 2, None)


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


def _itself(values: pl.Series) -> pl.Series:
    return values


_RULES: dict[str, Callable[[pl.Series], pl.Series]] = {
    "itself": _itself,
    "soundex": normalise.soundex,
    "nickname_class": normalise.nickname_class,
    "beginning": _beginning,
    "ending": _ending,
    "initial": _initial,
    "word": _word,
    "house_number": normalise.house_number,
    "iso": _formatted("%Y-%m-%d"),
    "year_month": _formatted("%Y-%m"),
    "year_day": _formatted("%Y//%d"),
    "month_day": _formatted("%m-%d"),
    "day_and_month_unordered": _day_and_month_unordered,
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
    """A part's text from its source's values, null for null."""
    rule = _itself if len(part.of) > 1 else _RULES[part.rule]
    return rule(values).cast(pl.String)


def text(identifiers: pl.DataFrame, schema: LinkageSchema) -> pl.DataFrame:
    """One text column for each part, from columns named by identifier kind."""
    known = normalise.normalise(identifiers)
    return pl.DataFrame({name: derive(p, source(known, p)).alias(name) for name, p in schema.parts.items()})
