"""Text made comparable: what all rules of `normalise` begin with. Columns to columns, null to null."""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

_LETTERS = {
    **dict(zip("ØŁĐÐĦŊÞÆŒẞ", ("O", "L", "D", "D", "H", "N", "TH", "AE", "OE", "SS"))),
    **dict(zip("АВЕЅІЈКМНОРСТУХ", "ABESIJKMHOPCTYX")),
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX")),
}


def text(values: pl.Series) -> pl.Series:
    """Upper case, no marks, look-alikes folded; blanks around dropped, empty is null."""
    # ASCII has no marks and nothing to fold
    folded = only_where(values.str.len_bytes() != values.str.len_chars(), values, _folded)
    return or_missing(folded.str.to_uppercase().str.strip_chars())


def only_where(rows: pl.Series, values: pl.Series, rule: Callable[[pl.Series], pl.Series]) -> pl.Series:
    """The rule on these rows alone; the others, which it would leave as they are, stay."""
    at = rows.arg_true()
    return values.clone().scatter(at, rule(values.gather(at))) if len(at) else values


def _folded(values: pl.Series) -> pl.Series:
    plain = values.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.to_uppercase()
    return plain.str.replace_many(list(_LETTERS), list(_LETTERS.values()))


def or_missing(values: pl.Series) -> pl.Series:
    return values.set(values == "", None)


def drop_matching(values: pl.Series, pattern: str) -> pl.Series:
    """Null where the pattern is found."""
    return values.set(values.str.contains(pattern), None)
