"""`leadhub accounting` and `leadhub breach`: who was told what of whom."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of
from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError

console = Console(width=console_width())

Json = Annotated[bool, typer.Option("--json", help="facts instead of a table")]


def accounting(
    agency: Annotated[str, typer.Option(help="whose number it is, as feeds/*.yaml name it")],
    local_id: Annotated[
        str, typer.Option(help="the agency's own number of the person", prompt=True, hide_input=True)
    ],
    letter: Annotated[Path | None, typer.Option(help="write the answer to the participant (HTML)")] = None,
    as_json: Json = False,
) -> None:
    """What was disclosed of a person in the last three years: to whom, when, by what right."""
    from leadhub.release import letter as letters
    from leadhub.steps import accountability
    from leadhub.steps.site import open_site

    site = open_site(connection_from_environment)
    found = accountability.accounting_of(site, agency, local_id)
    doubtful = [d for d in found["disclosures"] if not d["certain"]]
    if letter is not None:
        if doubtful:
            raise TerminalError(
                "state_invalid",
                f"{len(doubtful)} disclosures were made under an id whose records were parted since, and "
                "may concern somebody else; look at them without --letter, and write by hand",
            )
        text = letters.letter(found, contact=site.settings.steward_contact)
        files.write_bytes(letter, text.encode())
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
        return
    table = table_of("at", "to", "dataset", "delivery", "purpose", "by what right", "consent", "")
    for d in found["disclosures"]:
        doubt = "" if d["certain"] else "perhaps somebody else"
        state = "" if d["status"] == "committed" else "may have been delivered"
        row = (d["at"], d["partner"], d["dataset"], str(d["delivery"]), d["purpose"], d["legal_basis"])
        table.add_row(*row, d["consent"] or "", doubt or state)
    console.print(table if found["disclosures"] else f"Nothing was disclosed since {found['since']}.")


def breach(
    delivery: Annotated[str, typer.Option(help="<partner>/<dataset>/<number>, as the outbox names it")],
    agency: Annotated[str, typer.Option(help="also its own numbers of those of whom it may be told")] = "",
    as_json: Json = False,
) -> None:
    """Who stood in a delivery that was lost."""
    from leadhub.steps import accountability
    from leadhub.steps.site import open_site

    named = re.fullmatch(r"([a-z0-9_]+)/([a-z0-9_]+)/0*(\d+)(?:_\S*)?", delivery)
    if not named:
        raise TerminalError("state_invalid", f"[{delivery}] is not <partner>/<dataset>/<number>")
    site = open_site(connection_from_environment)
    found = accountability.breach(site, named[1], named[2], int(named[3]), agency)
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
        return
    console.print(
        f"{found['partner']} {found['dataset']}, delivery {found['sequence']} of night {found['night']} "
        f"({found['status']}): {found['rows']:,} rows about {len(found['persons']):,} persons"
    )
    console.print(f"columns: {', '.join(found['columns'])}")
    for person in found["persons"] if not agency else found["own_ids"]:
        console.print(person, markup=False, highlight=False)
    if agency and found["without_number"]:
        console.print(
            f"{found['without_number']:,} persons besides, of whom [{agency}] may be told, have no number "
            "there in the last three years",
            markup=False,
        )
