"""`leadhub recalls …`: what partners were told to remove, and whether they say that they have."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of

app = typer.Typer(no_args_is_help=True, help="What partners must remove, and their word that they have.")
console = Console(width=console_width())


@app.command("list")
def list_(
    waiting: Annotated[bool, typer.Option(help="only those without an acknowledgement")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="facts instead of a table")] = False,
) -> None:
    """Deliveries that withdrew rows, the oldest first. Why is nowhere said."""
    from leadhub.steps import recalls
    from leadhub.steps.site import open_site

    found = recalls.listed(open_site(connection_from_environment))
    shown = [r for r in found if not waiting or r["acknowledged_at"] is None]
    if as_json:
        print(json.dumps(shown, indent=1))  # noqa: T201
        return
    table = table_of("partner", "dataset", "delivery", "rows", "delivered", "days", "state")
    for r in shown:
        facts = (r["partner"], r["dataset"], f"{r['sequence']:06d}", f"{r['rows']:,}", r["delivered_at"])
        table.add_row(*facts, str(r["days"]), r["state"])
    console.print(table if shown else "No recall waits." if waiting else "Nothing was ever withdrawn.")


@app.command()
def collect() -> None:
    """Take acknowledgements out of the partners' outboxes now; the DAG `retention` does it every day."""
    from leadhub.steps import recalls
    from leadhub.steps.site import open_site

    said = recalls.collect(open_site(connection_from_environment))
    console.print(f"{said['taken']:,} acknowledged now")
    console.print(said["text"] or "Nothing waits for you.", markup=False)
