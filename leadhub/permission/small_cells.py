"""Small cells: which counts of a table may be shown beside one another. Pure; default deny.

A table has a count for each combination of codes, and for each sum over them (`ALL`). A *small* count,
below `least`, is never shown; nor is one that would give a small one away by subtraction. What is shown
leaves every other cell *open*, so that there could be nobody in it, and `least` or more: for either there
is a county of whole persons that would show the very same. (Or it leaves it known to be large.) These
counties are the proof (`Shown.counties`); `exposed` checks it without trusting how they were found.

Whoever reads this code can also replay the choice for every county that fits, and drop those that would
show something else. So the choice tells nothing of what is hidden: whether cells may be shown together is
judged by what is shown alone, never by the true counts of the others (simulatable auditing, Kenthapadi,
Mishra and Nissim 2005), and they are tried in a secret order, until none can be added. An order that
everybody knows gave one small cell in twenty away in tables of four cells; this one none
(test_replayed_counts).

CMS cell size policy (ResDAC 1506, 2024-01-26): no count of 1 to 10, and nothing from which one follows. No
count of 0 either, which is stricter: that nobody of a group was offered the programme is said of each of
them. The search is integer programming (HiGHS), since linear bounds overlook what whole persons exclude.
"""

from __future__ import annotations

import hmac
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

ALL = "ALL"
Cell = tuple[str, ...]
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """`dimensions`: the codes of each, without `ALL`. `counts`: persons by combination; what is not in it
    is none."""

    dimensions: tuple[tuple[str, ...], ...]
    counts: Mapping[Cell, int]

    @cached_property
    def inner(self) -> list[Cell]:
        """Every combination of codes."""
        return list(itertools.product(*self.dimensions))

    @cached_property
    def cells(self) -> list[Cell]:
        """Every combination and every sum."""
        return list(itertools.product(*((ALL, *codes) for codes in self.dimensions)))

    @cached_property
    def sums(self) -> _Ints:
        """cells × inner: 1 where a combination is counted in a cell."""
        return np.array(
            [[all(c in (ALL, i) for c, i in zip(cell, one)) for one in self.inner] for cell in self.cells],
            dtype=np.int64,
        )

    @cached_property
    def values(self) -> _Ints:
        """The true count of each cell."""
        return self.sums @ np.array([self.counts.get(one, 0) for one in self.inner], dtype=np.int64)


@dataclass(frozen=True)
class Shown:
    """`cells`: what may be shown, with its count. `counties`: counts by `Table.inner`, a row a county; each
    would show the same."""

    cells: dict[Cell, int]
    counties: _Ints


def shown(table: Table, *, least: int, secret: bytes) -> Shown:
    """The counts that may be shown: the sum over all first, the others in an order that `secret` gives."""
    value = dict(zip(table.cells, table.values.tolist()))
    large = [n for n, cell in enumerate(table.cells) if value[cell] >= least]
    large.sort(key=lambda n: (any(c != ALL for c in table.cells[n]), _drawn(table.cells[n], secret)))
    search, before = _Search(table, least), None
    while before != len(search.chosen):
        before = len(search.chosen)
        for cell in large:
            if cell not in search.chosen:
                search.add(cell)
    return Shown(
        {table.cells[n]: value[table.cells[n]] for n in search.chosen}, search.alike(search.chosen)
    )


def _drawn(cell: Cell, secret: bytes) -> bytes:
    return hmac.digest(secret, "|".join(cell).encode(), "sha256")


def exposed(table: Table, found: Shown, *, least: int) -> list[Cell]:
    """Small cells that are shown, or of which the counties do not prove that they may be empty and may be
    `least`. A county that would show something else proves nothing."""
    place = {cell: n for n, cell in enumerate(table.cells)}
    shows = [place[cell] for cell in found.cells]
    given = np.array(list(found.cells.values()), dtype=np.int64)
    good = found.counties[(found.counties >= 0).all(axis=1)] @ table.sums.T
    good = good[(good[:, shows] == given).all(axis=1)]
    may_be = (good == 0).any(axis=0) & (good >= least).any(axis=0)
    return [
        cell
        for cell, n in place.items()
        if table.values[n] < least and (cell in found.cells or not may_be[n])
    ]


class _Search:
    """What is shown so far, and the counties that were found. One that would show much would also show
    less, so that none is given up."""

    def __init__(self, table: Table, least: int):
        self.table, self.least = table, least
        self.chosen: list[int] = []
        self.known_large: set[int] = set()
        people = len(table.inner)
        self.counties = np.vstack([np.zeros(people, np.int64), np.full(people, least, np.int64)])

    def alike(self, cells: list[int]) -> _Ints:
        """The counties that would show these cells as they are."""
        same = self.counties @ self.table.sums[cells].T == self.table.values[cells]
        return self.counties[same.all(axis=1)]

    def add(self, cell: int) -> None:
        """Show one more, where every other stays open or is known to be large."""
        cells, large = [*self.chosen, cell], set(self.known_large)
        reached = self.alike(cells) @ self.table.sums.T
        for other in range(len(self.table.cells)):
            if other in cells or other in large:
                continue
            for low, high in ((0, 0), (self.least, None)):
                told = reached[:, other]
                if ((told >= low) & (told <= (np.inf if high is None else high))).any():
                    continue
                county = _county(self.table, cells, other, low, high)
                if county is not None:
                    self.counties = np.vstack([self.counties, county])
                    reached = np.vstack([reached, self.table.sums @ county])
                elif high == 0 and _county(self.table, cells, other, 0, self.least - 1) is None:
                    large.add(other)
                    break
                else:
                    return
        self.chosen, self.known_large = cells, large


def _county(table: Table, cells: list[int], cell: int, low: int, high: int | None) -> _Ints | None:
    """A county that shows `cells` as they are, with so many persons in `cell`; None without one."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    of_cell, shows = table.sums[cell], table.values[cells]
    found = milp(
        np.zeros(len(of_cell)),
        integrality=np.ones(len(of_cell)),
        bounds=Bounds(0, np.inf),
        constraints=[
            LinearConstraint(table.sums[cells], shows, shows),
            LinearConstraint(of_cell, low, np.inf if high is None else high),
        ],
    )
    return np.rint(found.x).astype(np.int64) if found.x is not None else None
