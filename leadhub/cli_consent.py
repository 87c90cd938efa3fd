"""`leadhub consent …`: what a client signed and whether it counts; FHIR R4 Consent out and in."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of
from leadhub.foundation import clock, files
from leadhub.foundation.errors import TerminalError

app = typer.Typer(no_args_is_help=True, help="Consents: which lines count now and why not; FHIR R4.")
console = Console(width=console_width())

Agency = Annotated[str, typer.Option(help="the provider that holds the consents")]
LocalId = Annotated[str, typer.Option(help="its own number of the client", prompt=True, hide_input=True)]
At = Annotated[str, typer.Option(help="day or moment, ISO 8601; default: now")]
_SHOWN = ("consent_id", "recipient", "info_category", "purpose", "consent_type", "agreement", "reasons")


def _moment(at: str, time_zone: str) -> datetime:
    if not at:
        return clock.now()
    try:
        told = datetime.fromisoformat(at)
    except ValueError:
        raise TerminalError("state_invalid", "--at is no day or moment as ISO 8601 writes them") from None
    return told if told.tzinfo else told.replace(tzinfo=ZoneInfo(time_zone))


@app.command()
def show(
    agency: Agency,
    local_id: LocalId,
    at: At = "",
    as_json: Annotated[bool, typer.Option("--json", help="facts instead of a table")] = False,
) -> None:
    """Each line of a client's consents: does it count, why not, by what right."""
    from leadhub.permission import consent
    from leadhub.steps import consents
    from leadhub.steps.site import open_site

    site = open_site(connection_from_environment)
    found = consents.lines(site, agency, local_id, _moment(at, site.settings.time_zone)).select(_SHOWN)
    told = {r.id: r for r in consent.law().reasons}
    if as_json:
        said = [
            row | {"counts": not row["reasons"], "reasons": [told[r].model_dump() for r in row["reasons"]]}
            for row in found.to_dicts()
        ]
        print(json.dumps(said, indent=1))  # noqa: T201
        return
    table = table_of("consent", "recipient", "information", "purpose", "kind", "counts", "by what right")
    for row in found.iter_rows(named=True):
        why = [told[r] for r in row["reasons"]]
        # a line without an agreement that asks for it has no other reason
        counts = "yes" if not why else "no: " + "; ".join(r.says for r in why)
        right = "; ".join(r.citation for r in why) or row["agreement"]
        table.add_row(*(row[c] for c in _SHOWN[:5]), counts, right)
    console.print(table if found.height else "No line of a consent of that client is held.")


@app.command()
def export(agency: Agency, local_id: LocalId) -> None:
    """A client's lines as a FHIR R4 Bundle of Consents, on standard output."""
    from leadhub.steps import consents
    from leadhub.steps.site import open_site

    site = open_site(connection_from_environment)
    print(json.dumps(consents.exported(site, agency, local_id, clock.now()), indent=1))  # noqa: T201


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="FHIR R4 Consent, or Bundle of Consents (JSON)")],
    feed: Annotated[str, typer.Option(help="the provider's feed whose drop it becomes")],
    out: Annotated[Path, typer.Option(help="the drop's consents, as the provider would write them")],
) -> None:
    """Consents of a FHIR R4 file as rows of a provider's drop: they go in as every drop does."""
    from leadhub.steps import consents
    from leadhub.steps.site import open_site

    site = open_site(connection_from_environment)
    files.write_bytes(out, consents.imported(file, site.feed(feed)))
    console.print(f"[{out.name}] holds the consents in the words of [{feed}]", markup=False)
