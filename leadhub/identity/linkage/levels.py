"""Codes of how far two records agree on a field: a level of the schema, or a span of levels that stay
possible."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from leadhub.identity.linkage.schema import DIFFER, UNKNOWN, Field, LinkageSchema, Tier


def spans(field: Field, tier: Tier) -> tuple[tuple[int, int], ...]:
    """By code: the loosest and the strictest level that are possible (0 is "differ")."""
    top = len(field.levels)
    exact = [(i, i) for i in range(top + 1)]
    if tier == "tokens":
        exact += [
            (lo, hi) for lo in range(top + 1) for hi in range(lo + 1, top + 1) if (lo, hi) != (0, top)
        ]
    return ((0, top), *exact)


def code_names(field: Field, tier: Tier) -> tuple[str, ...]:
    """Names of a field's codes; a span is named by its ends."""
    names = field.names[DIFFER:]
    said = [names[lo] if lo == hi else f"{names[lo]} to {names[hi]}" for lo, hi in spans(field, tier)]
    return (field.names[UNKNOWN], *said[1:])


def grades(field: Field, tier: Tier) -> np.ndarray:
    """By code: 0 unknown, 1 surely different, 2 something between, 3 surely at the strictest level."""
    top = len(field.levels)
    sure = [1 if hi == 0 else 3 if lo == top else 2 for lo, hi in spans(field, tier)]
    return np.array([0, *sure[1:]], dtype=np.uint8)


GRADES = 4


def may_be(schema: LinkageSchema, name: str, tier: Tier, several: Collection[str] = ()) -> np.ndarray:
    """Of a field's codes, while only some is known of a pair: those that each may turn out to be, bool
    (codes, codes). In tier `tokens` the keys that it shares are known, and not those that differ; in tier
    `fields` the parts with one value, and of the others `several` (`field_codes`)."""
    field = schema.fields[name]
    low = np.array([loosest for loosest, _ in spans(field, tier)])
    if tier == "tokens":
        reached = low[:, None] == low
        # a field that does not count beside another; nor may that one, which is not known yet
        reached[:, UNKNOWN] = True
        beside = [schema.fields[f] for f in (field.unless_known, *field.void_where) if f]
        if any(f.unless_known or f.void_where for f in beside):
            reached[UNKNOWN] = True
        return reached
    reached = np.eye(len(field.names), dtype=bool)
    for level in schema.with_several(name, several):
        reached[DIFFER : field.code(level), field.code(level)] = True
    return reached


def together(schema: LinkageSchema, tier: Tier, codes: np.ndarray) -> dict[str, np.ndarray]:
    """For the two fields of each of the schema's `together`: their grades as one code."""
    names = list(schema.fields)
    found = {}
    for one, other in schema.together:
        first, second = (grades(schema.fields[f], tier)[codes[names.index(f)]] for f in (one, other))
        found[f"{one}+{other}"] = first * np.uint8(GRADES) + second
    return found
