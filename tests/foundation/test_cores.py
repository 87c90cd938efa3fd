"""What is done on two cores is what one would have done."""

import threading

import pytest

from leadhub.foundation import cores


@pytest.mark.parametrize("much", [True, False])
def test_results_stand_in_the_order_of_the_values(much):
    assert cores.each(lambda value: value * 2, range(100), much=much) == list(range(0, 200, 2))


def test_where_there_is_little_to_do_one_core_does_it():
    assert cores.each(lambda _: threading.get_ident(), range(5), much=False) == [threading.get_ident()] * 5


@pytest.mark.parametrize("much", [True, False])
def test_what_one_value_raises_is_raised(much):
    with pytest.raises(ZeroDivisionError):
        cores.each(lambda value: 1 // value, [1, 0, 2], much=much)


def test_two_functions_are_at_work_at_the_same_time():
    met = threading.Barrier(2, timeout=30)
    assert sorted(cores.together(met.wait, met.wait)) == [0, 1]
