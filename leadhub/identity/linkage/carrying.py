"""What outlives the tokens: limits and links of records whose tokens are made anew under another key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np
import polars as pl

from leadhub.identity.linkage.decisions import ONE
from leadhub.identity.linkage.limits import Limits, Sizes
from leadhub.identity.linkage.records import Records
from leadhub.identity.linkage.sieve import ROW_BITS

_NONE = np.uint64(0)


def limits(known: Limits, before: Records, now: Records) -> Limits:
    """`known` in terms of the new tokens. The same records stand in both, so an old token's new one is
    found where both have one; a token that no record has any more is forgotten, and counts as rare.

    Raises: ValueError where the records are others.
    """
    if not before.ids.equals(now.ids):
        raise ValueError("limits are carried between tokens of the same records")
    blocks = {
        key: _carried(sizes, before.key(key), now.key(key), int(ROW_BITS))
        for key, sizes in known.blocks.items()
    }
    values = {
        part: _carried(sizes, before.column(f"p_{part}"), now.column(f"p_{part}"), 0)
        for part, sizes in known.values.items()
    }
    return replace(known, blocks=blocks, values=values)


def _carried(sizes: Sizes, old: np.ndarray, new: np.ndarray, shift: int) -> Sizes:
    tokens, counts = sizes
    both = (old != _NONE) & (new != _NONE)
    was, is_now = old[both] >> np.uint64(shift), new[both] >> np.uint64(shift)
    at = np.minimum(np.searchsorted(tokens, was), max(0, len(tokens) - 1))
    hit = tokens[at] == was if len(tokens) else np.zeros(len(was), dtype=bool)
    found, first = np.unique(is_now[hit], return_index=True)
    return found, counts[at[hit]][first]


def links(persons: pl.DataFrame, lost: pl.Series) -> list[dict[str, str]]:
    """Records of `lost` have no tokens any more: each is held to another record of its person (`persons`:
    record_id, person_id), as `decisions.known` reads it."""
    theirs = persons.filter(pl.col("record_id").is_in(lost.implode()).any().over("person_id"))
    chain = theirs.sort("person_id", "record_id").with_columns(
        other=pl.col("record_id").shift(-1).over("person_id")
    )
    pairs = chain.drop_nulls("other").select("record_id", "other").iter_rows()
    return [{"left": left, "right": right, "verdict": ONE} for left, right in pairs]


def still(
    carried: Iterable[Mapping[str, str]], tokenless: set[str], barred: set[str]
) -> list[dict[str, str]]:
    """Of the links that were carried, those of which a record still has no tokens: what was sent again is
    linked by what it says. Who is `barred` from linkage has none either, and is held to nobody: records
    that only such a one held together part."""
    ends = ((dict(p), {p["left"], p["right"]}) for p in carried)
    return [pair for pair, both in ends if both & tokenless and not both & barred]
