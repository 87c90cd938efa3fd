"""What can be done at the same time, on two cores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Value = TypeVar("_Value")
_Result = TypeVar("_Result")
_CORES = 2
#: records, or words, that one core is through with sooner than two share them out
FEW = 1 << 16


def each(
    function: Callable[[_Value], _Result], values: Iterable[_Value], *, much: bool = True
) -> list[_Result]:
    """The function of each value, in order. Where there is not `much` to do for one, on one core: threads
    that mostly run Python wait for one another longer than they work."""
    if not much:
        return list(map(function, values))
    with ThreadPoolExecutor(_CORES) as pool:
        return list(pool.map(function, values))


def together(*functions: Callable[[], Any]) -> list[Any]:
    """The result of each of a few functions."""
    return each(lambda function: function(), functions)
