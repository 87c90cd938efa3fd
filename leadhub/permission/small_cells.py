"""Small cells: which counts of a table may be shown beside one another. Pure; default deny.

A table has a count for each combination of codes, and for each sum over them (`ALL`). A *small* count,
below `least`, is never shown; nor is one that would give a small one away by subtraction. A count is shown
only where, with everything shown so far, each small count could still be none, and could still be `least`:
for either there is a county of whole persons that would show the very same table. So whoever has the table
alone learns of a small cell neither that somebody is in it, nor that it is small. These counties are the
proof (`Shown.counties`), and `exposed` checks it without trusting how they were found. (Whoever also
replays this very choice for every county that fits may exclude some of them; that is not covered.)

CMS cell size policy (ResDAC 1506, 2024-01-26): no count of 1 to 10, and nothing from which one follows. No
count of 0 either, which is stricter: that nobody of a group was offered the programme is said of each of
them. The search is integer programming (HiGHS), since linear bounds overlook what whole persons exclude.
"""

from __future__ import annotations

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


def shown(table: Table, *, least: int) -> Shown:
    """The counts that may be shown. The coarsest and largest come first; a group that cannot be shown as a
    whole is halved, down to the single counts that cannot be shown with those before them."""
    large = np.flatnonzero(table.values >= least).tolist()
    order = sorted(large, key=lambda c: (_fineness(table.cells[c]), -table.values[c], table.cells[c]))
    search = _Search(table, least)
    chosen: list[int] = []
    groups = [order]
    while groups:
        group = groups.pop()
        if search.explains([*chosen, *group]):
            chosen += group
        elif len(group) > 1:
            half = len(group) // 2
            groups += [group[half:], group[:half]]
    return Shown({table.cells[c]: int(table.values[c]) for c in chosen}, search.alike(chosen))


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


def _decisive(table: Table, least: int) -> tuple[_Ints, _Ints]:
    """The small cells that speak for all: what is empty empties its parts, and what is `least` makes so any
    sum that it is in. So the widest ones are to be empty, the single combinations to be `least`."""
    small, size = table.values < least, table.sums.sum(axis=1)
    holds = (table.sums @ table.sums.T == size) & (size[:, None] > size)
    widest = small & ~(holds & small[:, None]).any(axis=0)
    single = small & np.array([ALL not in cell for cell in table.cells])
    return np.flatnonzero(widest), np.flatnonzero(single)


def _fineness(cell: Cell) -> int:
    return sum(code != ALL for code in cell)


class _Search:
    """Counties found so far. One that would show much also would show less, so that none is given up."""

    def __init__(self, table: Table, least: int):
        self.table, self.least = table, least
        self.to_be_empty, self.to_be_large = _decisive(table, least)
        people = len(table.inner)
        self.counties = np.vstack([np.zeros(people, np.int64), np.full(people, least, np.int64)])

    def alike(self, cells: list[int]) -> _Ints:
        """The counties that would show these cells as they are."""
        same = self.counties @ self.table.sums[cells].T == self.table.values[cells]
        return self.counties[same.all(axis=1)]

    def explains(self, cells: list[int]) -> bool:
        """Whether these cells, shown, leave each small one open; looks for the counties that it takes."""
        known = self.alike(cells) @ self.table.sums.T
        for empty, wanted in ((True, self.to_be_empty), (False, self.to_be_large)):
            for cell in wanted:
                if not (known[:, cell] == 0 if empty else known[:, cell] >= self.least).any():
                    county = _county(self.table, cells, cell, None if empty else self.least)
                    if county is None:
                        return False
                    self.counties = np.vstack([self.counties, county])
                    known = np.vstack([known, self.table.sums @ county])
        return True


def _county(table: Table, cells: list[int], cell: int, least: int | None) -> _Ints | None:
    """A county that shows `cells` as they are, with nobody in `cell`, or at least so many; None without."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    of_cell, shows = table.sums[cell], table.values[cells]
    low, high = (0, 0) if least is None else (least, np.inf)
    same = [LinearConstraint(table.sums[cells], shows, shows)] if cells else []
    found = milp(
        np.zeros(len(of_cell)),
        integrality=np.ones(len(of_cell)),
        bounds=Bounds(0, np.inf),
        constraints=[*same, LinearConstraint(of_cell, low, high)],
    )
    return np.rint(found.x).astype(np.int64) if found.x is not None else None
