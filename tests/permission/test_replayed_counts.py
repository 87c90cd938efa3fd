"""Whoever replays the choice of what is shown, for every county that fits, still works out no small count.

Tables of four cells and a limit of 3, so that every county can be looked at. What the attacker does here
knows nothing of how the hub searches: it has all counties in a list, and reads off what remains.
"""

import functools
import itertools

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from leadhub.permission.small_cells import Table, shown

LEAST = 3
CODES = (("a", "b"), ("x", "y"))
EMPTY = Table(CODES, {})
#: every county whose cells hold up to 12, and the sums of each
COUNTIES = np.array(list(itertools.product(range(13), repeat=4)))
SUMS = COUNTIES @ EMPTY.sums.T
Told = frozenset[tuple[int, int]]


def fits(told: Told) -> np.ndarray:
    mask = np.ones(len(SUMS), dtype=bool)
    for cell, count in told:
        mask &= SUMS[:, cell] == count
    return mask


@functools.cache
def may_stand(told: Told) -> bool:
    """Every other cell could be empty and could be large, or is large for certain."""
    left = SUMS[fits(told)]
    low, high = left.min(axis=0), left.max(axis=0)
    others = set(range(SUMS.shape[1])) - {cell for cell, _ in told}
    return all(low[n] >= LEAST or (low[n] == 0 and high[n] >= LEAST) for n in others)


@functools.cache
def replayed(told: Told) -> np.ndarray:
    """Counties of which some order would have shown exactly this: nothing could be added."""
    cells = {cell for cell, _ in told}
    found = [
        n
        for n in np.flatnonzero(fits(told))
        if not any(
            SUMS[n, cell] >= LEAST and may_stand(told | {(cell, int(SUMS[n, cell]))})
            for cell in range(SUMS.shape[1])
            if cell not in cells
        )
    ]
    return COUNTIES[found]


@settings(max_examples=150, deadline=None)
@given(counts=st.tuples(*[st.integers(0, 5)] * 4), secret=st.binary(min_size=4, max_size=4))
@example(counts=(0, 2, 2, 3), secret=b"one")
@example(counts=(0, 2, 2, 3), secret=b"two")
@example(counts=(0, 0, 0, 5), secret=b"one")
def test_replaying_the_choice_tells_no_small_count(counts, secret):
    found = shown(Table(CODES, dict(zip(EMPTY.inner, counts))), least=LEAST, secret=secret)
    place = {cell: n for n, cell in enumerate(EMPTY.cells)}
    told = frozenset((place[cell], count) for cell, count in found.cells.items())
    assert may_stand(told)
    left = replayed(told)
    assert counts in set(map(tuple, left.tolist()))
    for n, count in enumerate(counts):
        if count < LEAST:
            assert left[:, n].min() == 0
            assert left[:, n].max() >= 2, "more than one number of persons is possible"


def test_the_attack_finds_what_an_order_that_everybody_knows_gives_away():
    """The largest first, as it was once: of (0, 2, 2, 3) the sum 7 and the 3 are shown, and with that order
    no other county shows the same."""

    def in_open_order(county: np.ndarray) -> Told:
        told: Told = frozenset()
        order = sorted(range(9), key=lambda n: (-EMPTY.sums[n].sum(), -county[n], n))
        for cell in order:
            more = told | {(cell, int(county[cell]))}
            if county[cell] >= LEAST and may_stand(more):
                told = more
        return told

    told = in_open_order(np.array((0, 2, 2, 3)) @ EMPTY.sums.T)
    alike = [
        tuple(c) for c, sums in zip(COUNTIES[fits(told)], SUMS[fits(told)]) if in_open_order(sums) == told
    ]
    assert alike == [(0, 2, 2, 3)]
