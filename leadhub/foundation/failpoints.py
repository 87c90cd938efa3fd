"""Named places where a test may kill, stop or fail the process.

`LEADHUB_FAILPOINT=name:action` with action `kill` (SIGKILL to self), `raise` (TransientError),
or `sleep=SECONDS`. Off, it costs one dictionary look-up.
"""

from __future__ import annotations

import os
import signal
import time

from leadhub.foundation.errors import TransientError

VARIABLE = "LEADHUB_FAILPOINT"

#: every name that `reach` may be called with; the crash tests walk this list
NAMES = (
    "land.before_commit",
    "land.after_commit",
    "validate.before_commit",
    "pseudonymise.between_tables",
    "pseudonymise.before_commit",
    "close.before_commit",
    "link.before_commit",
    "reconcile.between_tables",
    "night.before_commit",
    "night.after_commit",
    "release.staged",
    "release.before_intent",
    "release.after_intent",
    "delivery.mid_upload",
    "delivery.before_rename",
    "delivery.after_rename",
    "release.before_committed",
    "release.after_committed",
)


def reach(name: str) -> None:
    """Act if the environment asks for this failpoint; otherwise nothing."""
    if name not in NAMES:
        raise ValueError(f"failpoint [{name}] is not in NAMES")
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    target, _, action = wanted.partition(":")
    if target != name:
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if action == "raise":
        raise TransientError("io_failed", f"failpoint [{name}] was asked to fail")
    if action.startswith("sleep="):
        time.sleep(float(action.removeprefix("sleep=")))
