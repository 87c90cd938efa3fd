"""Freed memory goes back to the machine.

The C library keeps what large arrays have left, for the next ones: between two steps of linkage that is as
much again as they hold.
"""

from __future__ import annotations

import ctypes

import pyarrow as pa


def give_back() -> None:
    """Of glibc and Arrow; another C library has its own ways."""
    pa.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim:
        trim(0)
