"""One writer: a lease is the kernel's lock on a file, so a dead holder has let go and a stopped one
has not. A second run of the same work gets TransientError `lease_held`; a stale writer cannot wake
up into somebody else's commit, because nobody else could have begun.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from leadhub.foundation import files
from leadhub.foundation.errors import TransientError


@contextlib.contextmanager
def lease(folder: Path, name: str) -> Iterator[None]:
    """Hold the lease called `name` while the block runs.

    Raises: TransientError `lease_held`.
    """
    descriptor = files.open_shared(folder / f"{name}.lock", os.O_RDWR)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TransientError(
                "lease_held", f"another run of [{name}] is at work; this one will try again"
            ) from None
        yield
    finally:
        os.close(descriptor)
