"""Names in realistic frequencies: by origin, sex and decade of birth, with a long tail."""

from __future__ import annotations

import functools

import numpy as np

from simulation.chance import pick_from, zipf_mandelbrot
from simulation.name_lists import (
    FIRST_NAMES,
    FIRST_NAMES_ANY,
    ORIGIN_FIRST_NAMES,
    SURNAMES,
    TAIL_BEGINNINGS,
    TAIL_ENDS,
)

#: origin of a person's names → list of surnames → share
_SURNAME_SHARES = {
    "EUROPEAN": {"COMMON": 0.42, "EUROPEAN": 0.28, "TAIL": 0.30},
    "AFRICAN_AMERICAN": {"COMMON": 0.66, "AFRICAN_AMERICAN": 0.20, "TAIL": 0.14},
    "HISPANIC": {"HISPANIC": 0.93, "COMMON": 0.05, "TAIL": 0.02},
    "ASIAN": {"ASIAN": 0.94, "COMMON": 0.04, "TAIL": 0.02},
    "MENA": {"MENA": 0.94, "COMMON": 0.04, "TAIL": 0.02},
}
#: share of given names taken from the origin's own list
_OWN_FIRST = {"EUROPEAN": 0.0, "AFRICAN_AMERICAN": 0.35, "HISPANIC": 0.65, "ASIAN": 0.60, "MENA": 0.75}
#: share of given names taken from the list of all decades
_ANY_DECADE = 0.18
ORIGINS = tuple(_SURNAME_SHARES)


@functools.cache
def _tail() -> list[str]:
    """Composed surnames, in a fixed order in which neither part dominates."""
    beginnings, ends = TAIL_BEGINNINGS.split(), TAIL_ENDS.split()
    made = [b + e for b in beginnings for e in ends if b[-1].lower() != e[0]]
    known = {name for names in SURNAMES.values() for name in names}
    order = np.random.default_rng(1).permutation(len(made))
    return [made[i] for i in order if made[i] not in known]


def _surname_list(name: str) -> tuple[list[str], np.ndarray]:
    names = _tail() if name == "TAIL" else SURNAMES[name]
    # the tail begins where the widespread names end
    weights = zipf_mandelbrot(len(names) + 1000)[1000:] if name == "TAIL" else zipf_mandelbrot(len(names))
    return names, weights


def surnames(rng: np.random.Generator, origins: np.ndarray) -> np.ndarray:
    """One surname for each origin given."""
    out = np.empty(len(origins), dtype=object)
    for origin, shares in _SURNAME_SHARES.items():
        at = np.flatnonzero(origins == origin)
        lists = pick_from(rng, list(shares), list(shares.values()), len(at))
        for name in shares:
            here = at[lists == name]
            out[here] = pick_from(rng, *_surname_list(name), len(here))
    return out


def double_surnames(rng: np.random.Generator, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Two surnames in one, with a hyphen or (a third) a space."""
    joint = np.where(rng.random(len(first)) < 0.35, " ", "-").astype(object)
    return first + joint + second


def first_names(
    rng: np.random.Generator, origins: np.ndarray, sexes: np.ndarray, years: np.ndarray
) -> np.ndarray:
    """Given names for origins, sexes (F, M or other: either) and years of birth."""
    size = len(origins)
    either = np.where(rng.random(size) < 0.5, "F", "M")
    lists = np.where(np.isin(sexes, ["F", "M"]), sexes, either)
    decades = np.clip(years // 10 * 10, 1940, 2000)
    out = np.empty(size, dtype=object)
    for (sex, decade), text in FIRST_NAMES.items():
        here = np.flatnonzero((lists == sex) & (decades == decade))
        names = text.split()
        out[here] = pick_from(rng, names, zipf_mandelbrot(len(names)), len(here))
    for sex, text in FIRST_NAMES_ANY.items():
        here = np.flatnonzero((lists == sex) & (rng.random(size) < _ANY_DECADE))
        names = text.split()
        out[here] = pick_from(rng, names, zipf_mandelbrot(len(names)), len(here))
    for origin, by_sex in ORIGIN_FIRST_NAMES.items():
        own = (origins == origin) & (rng.random(size) < _OWN_FIRST[origin])
        for sex, names in by_sex.items():
            here = np.flatnonzero(own & (lists == sex))
            out[here] = pick_from(rng, names, zipf_mandelbrot(len(names)), len(here))
    return out
