"""What is shown of a table of counts gives no small one away: not to one who has linear programming,
nor to one who tries every county there could be."""

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from leadhub.permission.small_cells import ALL, Shown, Table, exposed, shown

LEAST, SECRET = 11, b"a secret order"


def table(rows: list[list[int]]) -> Table:
    codes = (tuple(f"r{n}" for n in range(len(rows))), tuple(f"c{n}" for n in range(len(rows[0]))))
    counts = {(f"r{i}", f"c{j}"): n for i, row in enumerate(rows) for j, n in enumerate(row)}
    return Table(codes, counts)


def bounds(of: Table, cells: dict, cell: int) -> tuple[float, float]:
    """What an attacker can say of a cell: linear programming over all that is shown."""
    place = {c: n for n, c in enumerate(of.cells)}
    fixed = of.sums[[place[c] for c in cells]] if cells else None
    values = list(cells.values()) if cells else None
    found = []
    for sign in (1, -1):
        done = linprog(sign * of.sums[cell], A_eq=fixed, b_eq=values, bounds=(0, None), method="highs")
        found.append(sign * done.fun if done.status == 0 else np.inf)
    return found[0], found[1]


@st.composite
def tables(draw):
    wide, high = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    size = st.one_of(st.integers(0, 14), st.integers(0, 200))
    return table([[draw(size) for _ in range(wide)] for _ in range(high)])


@settings(max_examples=60, deadline=None)
@given(of=tables())
@example(of=table([[40, 30, 3]]))
@example(of=table([[20, 5], [5, 20]]))
@example(of=table([[0, 0], [0, 0]]))
def test_an_attacker_with_linear_programming_bounds_no_small_cell(of):
    found = shown(of, least=LEAST, secret=SECRET)
    for n, cell in enumerate(of.cells):
        if cell in found.cells:
            assert found.cells[cell] == of.values[n] >= LEAST
        elif of.values[n] < LEAST:
            low, high = bounds(of, found.cells, n)
            assert low <= 1e-6, cell
            assert high >= LEAST - 1e-6, cell
    assert exposed(of, found, least=LEAST) == []


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 6), min_size=2, max_size=2), min_size=2, max_size=2))
def test_an_attacker_who_tries_every_county_finds_no_small_cell(rows):
    """With 3 for 11, so that all counties of that size can be tried."""
    of = table(rows)
    found = shown(of, least=3, secret=SECRET)
    place = {cell: n for n, cell in enumerate(of.cells)}
    every = np.array(list(itertools.product(range(13), repeat=4))) @ of.sums.T
    alike = every[(every[:, [place[c] for c in found.cells]] == list(found.cells.values())).all(axis=1)]
    for cell, n in place.items():
        if of.values[n] < 3:
            assert {0} <= set(alike[:, n].tolist())
            assert alike[:, n].max() >= 3, cell


def test_what_a_reader_wants_first_is_shown_where_it_can_be():
    found = shown(table([[120, 60, 30], [80, 40, 20]]), least=LEAST, secret=SECRET)
    assert len(found.cells) == 12, "nothing is small"
    found = shown(table([[120, 60, 3], [80, 40, 20], [50, 30, 15]]), least=LEAST, secret=SECRET)
    assert found.cells[ALL, ALL] == 418
    assert ("r0", "c2") not in found.cells
    assert len(found.cells) >= 10, "one small cell hides a few others, and not the table"


def test_one_small_count_hides_another_so_that_it_cannot_be_subtracted():
    found = shown(table([[40, 30, 3]]), least=LEAST, secret=SECRET)
    assert ("r0", "c2") not in found.cells
    assert sum(("r0", f"c{n}") in found.cells for n in (0, 1)) == 1


def test_nothing_is_shown_of_nobody():
    assert shown(table([[0, 0], [0, 3]]), least=LEAST, secret=SECRET).cells == {}


def test_the_check_finds_what_gives_a_small_count_away():
    of = table([[40, 30, 3]])
    place = {cell: n for n, cell in enumerate(of.cells)}
    honest = shown(of, least=LEAST, secret=SECRET)
    told = {cell: int(of.values[place[cell]]) for cell in of.cells if of.values[place[cell]] >= LEAST}
    assert ("r0", "c2") in exposed(of, Shown(told, honest.counties), least=LEAST)
    small = {**honest.cells, ("r0", "c2"): 3}
    assert ("r0", "c2") in exposed(of, Shown(small, honest.counties), least=LEAST)
    assert exposed(of, Shown(honest.cells, honest.counties[:0]), least=LEAST)
    impossible = honest.counties - 1000
    assert exposed(of, Shown(honest.cells, impossible), least=LEAST)


@pytest.mark.parametrize("seed", range(3))
def test_three_dimensions(seed):
    rng = np.random.default_rng(seed)
    axes = (("a", "b", "c"), ("x", "y"), ("p", "q"))
    counts = {cell: int(rng.integers(0, 40)) for cell in itertools.product(*axes)}
    of = Table(axes, counts)
    found = shown(of, least=LEAST, secret=SECRET)
    assert found.cells
    assert exposed(of, found, least=LEAST) == []
    for n, cell in enumerate(of.cells):
        if of.values[n] < LEAST:
            low, high = bounds(of, found.cells, n)
            assert low <= 1e-6, cell
            assert high >= LEAST - 1e-6, cell
