"""How rare a value is, by public figures: bits, −log₂ of the share of people who have it.

Names are the one kind of identifier whose values are far from equally common, so theirs are known one by
one (`common_names.csv`: US Census Bureau, name files of 1990, public domain; women's and men's given names
halved and added). What is derived from names (a Soundex code, a beginning) has the sum of their shares.
Every other part has the bits that the linkage schema states.

Whoever holds tokens sees which of a record's keys were refused, and so how common its names are. He shall
see it roughly: bits of names are whole steps, rounded down.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from leadhub.identity import parts
from leadhub.identity.coded import Coded
from leadhub.identity.linkage.schema import UNLISTED_BITS, LinkageSchema, Part

_FILE = Path(__file__).with_name("common_names.csv")
#: bits; with `least_bits` chosen by what attacks find (`docs/privacy.md`)
STEP = 2
#: kinds whose values are counted as another's
_AS = {"middle_name": "first_name"}


@cache
def common() -> pl.DataFrame:
    """kind, name, percent of people."""
    return pl.read_csv(_FILE)


def bits(part: Part, derived: pl.Series) -> np.ndarray:
    """float32 a value of `derived` (the texts of a part of one kind), of names in whole steps; no value has
    fewer than none."""
    if not part.by_value:
        return np.full(len(derived), part.bits, dtype=np.float32)
    kind = _AS.get(part.of[0], part.of[0])
    listed = common().filter(pl.col("kind") == kind)
    texts = parts.derive(part, listed.get_column("name"))
    shares = listed.select("percent").with_columns(text=texts).group_by("text").agg(pl.col("percent").sum())
    table = shares.filter(pl.col("text").is_not_null())
    found = pl.DataFrame({"text": derived}).join(table, on="text", how="left", maintain_order="left")
    known = -(found.get_column("percent") / 100).log(2)
    exactly = known.fill_null(UNLISTED_BITS[kind]).to_numpy()
    return (np.floor(exactly / STEP) * STEP).astype(np.float32)


def either_way(one: Coded, other: Coded) -> np.ndarray:
    """float32 a row that has two names: the commoner reading of the two. `one` and `other`: the names that
    were written as surname and given name, perhaps in each other's place."""
    surname, given = (Part.model_validate({"of": kind, "bits": 0}) for kind in ("last_name", "first_name"))

    def told(part: Part, names: Coded) -> np.ndarray:
        return np.append(bits(part, names.once), np.float32(0))[names.codes]

    return np.minimum(told(surname, one) + told(given, other), told(given, one) + told(surname, other))


def enough(schema: LinkageSchema, key: tuple[str, ...], by_part: dict[str, Any]) -> np.ndarray:
    """Of each row, whether its value of a match key has `least_bits`; `by_part`: a part's bits, a row or
    for all rows."""
    best: dict[str, np.ndarray | float] = {}
    for source, name in schema.sources(key):
        now = by_part[name]
        best[source] = np.maximum(best[source], now) if source in best else now
    return np.asarray(sum(best.values()) >= np.float32(schema.least_bits))
