"""A step by its name: in this process, or as the operating-system user of its role.

With `LEADHUB_ROLE_COMMAND` (``sudo -n -u leadhub-{role} -- /usr/local/bin/leadhub step``) whoever asks for
a step needs no key, no connection and no folder of the hub: Airflow has none of them. What to do goes in as
one line of JSON, the receipt or the error comes out as one; what else is printed is the task's log.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from leadhub.foundation import roles
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site

#: others may pass a role's folders, and its group read in them; what it may do there, `roles` says
_UMASK = 0o027


def act(site: Site, step: str, arguments: list[Any], named: dict[str, Any]) -> Receipt:
    """`module.function` of `leadhub.steps` on this site."""
    module, _, function = step.partition(".")
    return getattr(importlib.import_module(f"leadhub.steps.{module}"), function)(site, *arguments, **named)


def as_role(command: str, step: str, arguments: list[Any], named: dict[str, Any]) -> Receipt:
    """`act` as the user of the step's role; ends with the process that asks.

    Raises: as the step; TransientError `io_failed` where the user's process ended without an answer.
    """
    order = [*shlex.split(command.format(role=roles.role_of(step))), step]
    asked = json.dumps({"arguments": arguments, "named": named}).encode() + b"\n"
    pipe = subprocess.PIPE
    with subprocess.Popen(order, stdin=pipe, stdout=pipe, bufsize=0) as process:
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(asked)
        answer = process.stdout.read()
    try:
        told = json.loads(answer)
    except ValueError:
        raise TransientError(
            "io_failed",
            f"step [{step}] ended as {process.returncode} without an answer; its log says why",
        ) from None
    if "reason" in told:
        family = TransientError if told["transient"] else TerminalError
        raise family(told["reason"], told["message"])
    return told["receipt"]


def serve(step: str, open_site: Callable[[], Site]) -> None:
    """The other end of `as_role`: what to do from standard input, the answer to standard output.

    A step of another role is refused, with `key_missing`.
    """
    os.umask(_UMASK)
    # whatever a library prints belongs in the log
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    asked = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_the_asker, daemon=True).start()
    try:
        site = open_site()
        if step not in (s for role in roles.ROLES.values() for s in role.steps):
            raise TerminalError("settings_invalid", f"[{step}] is no step of a night")
        if site.keys.role != roles.role_of(step):
            raise TerminalError(
                "key_missing",
                f"step [{step}] is one of role [{roles.role_of(step)}], the keys here are of "
                f"[{site.keys.role or 'the root'}]; set LEADHUB_ROOT_KEY_FILE to that role's ring",
            )
        told: dict[str, Any] = {"receipt": act(site, step, asked["arguments"], asked["named"])}
    except LeadhubError as error:
        transient = isinstance(error, TransientError)
        told = {"transient": transient, "reason": error.reason, "message": error.message}
    json.dump(told, answers)
    answers.flush()


def _end_with_the_asker() -> None:
    """Nobody waits for the answer any more: the step ends as if it were killed, and holds no lease."""
    while os.read(0, 1):
        pass
    os._exit(1)
