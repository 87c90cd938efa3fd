"""Who used which command on this hub, in a chain of its own in the ledger; `leadhub operators` tells.

Every command that works on the hub's state is written down before it runs, also where it then fails; one
that cannot be written down does not run (45 CFR 164.312(b), 42 CFR 2.16). What it was about is told by ids
of the hub, never by a participant's number, or by the name of a file, which may hold one: the number
stands there as a keyed hash, so that whoever has it can ask who looked it up, and nobody else learns it.
"""

from __future__ import annotations

import hmac
import json
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from leadhub.cli_linkage import console_width, table_of
from leadhub.foundation import keys as key_ring
from leadhub.foundation import ledger, settings
from leadhub.foundation.ledger import Entry

console = Console(width=console_width())
#: commands that touch nothing of the hub's state: tried on an agency's files, at its edge or in a demo; and
#: the one that the DAGs run, whose receipts say what was done
ELSEWHERE = frozenset(
    [
        *("demo", "check", "docs", "linkage evaluate", "tokenise", "step"),
        *("exchange key", "exchange show", "exchange rows"),
        *("opprl key", "opprl tokenise", "opprl send", "opprl receive"),
    ]
)
#: parameters that name a participant
_PERSONAL = frozenset(("local_id",))
#: parameters that do not say what a command was about
_MANNER = frozenset(("as_json", "limit", "why", "by"))


def chain(chosen: settings.Settings) -> Path:
    """Below the partners' chains, so that it is none of them."""
    return chosen.var / "ledger" / "hub" / "operators.jsonl"


def login() -> str:
    """The login at this machine, and who became it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run under a number that has no name
        name = f"user {os.getuid()}"
    became = os.environ.get("SUDO_USER")
    return f"{name} (sudo by {became})" if became and became != name else name


def attach(command: Any, words: str = "") -> None:
    """From now on every command below is written down before it runs."""
    if isinstance(command, TyperGroup):
        for name, below in command.commands.items():
            attach(below, f"{words} {name}".strip())
    elif words not in ELSEWHERE:
        command.invoke = _written_down(words, command.invoke)


def _written_down(words: str, runs: Callable[[typer.Context], Any]) -> Callable[[typer.Context], Any]:
    def invoke(context: typer.Context) -> Any:
        _record(words, context.params)
        return runs(context)

    return invoke


def _record(command: str, given: dict[str, Any]) -> None:
    chosen = settings.load()
    about = {
        name: str(value)
        for name, value in given.items()
        if isinstance(value, (str, int)) and value not in ("", False) and name not in _PERSONAL | _MANNER
    }
    person = [str(given[name]) for name in sorted(_PERSONAL) if given.get(name)]
    entry = Entry(
        "access",
        by=login(),
        command=command,
        about=json.dumps(about, sort_keys=True),
        subject_sha256=_subject(chosen, str(given.get("agency")), person[0]) if person else None,
    )
    ledger.append(chain(chosen), entry, repeated=True)


def _subject(chosen: settings.Settings, agency: str, local_id: str) -> str:
    key = key_ring.load(chosen.root_key, chosen.wrapping).derive("operators")
    return hmac.new(key, f"{agency}|{local_id}".encode(), "sha256").hexdigest()


def operators(
    agency: Annotated[str, typer.Option(help="with --local-id: only who looked up this participant")] = "",
    local_id: Annotated[str, typer.Option(help="the agency's own number of the person")] = "",
    since: Annotated[str, typer.Option(help="from this day on, such as 2026-11-20")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="facts instead of a table")] = False,
) -> None:
    """Who used which command on this hub, when, and on what. The chain is verified first."""
    chosen = settings.load()
    told = [e for e in ledger.entries(chain(chosen)) if e.kind == "access" and e.at >= since]
    if local_id:
        subject = _subject(chosen, agency, local_id)
        told = [e for e in told if e.subject_sha256 == subject]
    facts = [{"seq": e.seq, "at": e.at, "by": e.by, "command": e.command, "about": e.about} for e in told]
    if as_json:
        print(json.dumps(facts, indent=1))  # noqa: T201
        return
    table = table_of("at", "login", "command", "about")
    for e in told:
        about = ", ".join(f"{k} {v}" for k, v in json.loads(e.about or "{}").items())
        table.add_row(e.at, e.by, e.command, about)
    console.print(table)
