"""`leadhub seals …`: the register of what is sealed. Ids of seals and dates, never a number of a case."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of

app = typer.Typer(no_args_is_help=True, help="What is sealed stays sealed: the register of seals.")
console = Console(width=console_width())


@app.command("list")
def list_() -> None:
    """Seals that stand, the oldest first."""
    from leadhub.steps import seals
    from leadhub.steps.site import open_site

    found = seals.known(open_site(connection_from_environment))
    table = table_of("seal", "since night", "feed", "under")
    for seal in found:
        table.add_row(seal["seal"], seal["night"], seal["feed"], seal["sealed_under"])
    console.print(table)
    console.print(f"{len(found):,} seals stand")


@app.command()
def due() -> None:
    """Cases that call for a seal and have none, by the agency's own number: ask who orders it."""
    from leadhub.steps import sealing_due
    from leadhub.steps.site import open_site

    found = sealing_due.due(open_site(connection_from_environment))
    table = table_of("due since", "feed", "case", "under", "by")
    for row in found:
        facts = (row[c] for c in ("feed", "case", "provision", "citation"))
        table.add_row(row["due_on"].isoformat(), *facts)
    console.print(table)
    console.print(f"{len(found):,} cases may be sealed")


@app.command()
def outcomes(
    as_json: Annotated[bool, typer.Option("--json", help="facts instead of a table")] = False,
) -> None:
    """How sealed cases had ended, as counts that name nobody; small ones are not shown."""
    from leadhub.steps import seals
    from leadhub.steps.site import open_site

    found = seals.counted_outcomes(open_site(connection_from_environment))
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
        return
    table = table_of("year", "", "outcome", "cases")
    for cell in found["cells"]:
        shown = "fewer than 11" if cell["cases"] is None else f"{cell['cases']:,}"
        table.add_row(str(cell["year"]), cell["referred"].replace("_", " "), cell["outcome"], shown)
    console.print(table)
    if not found["cells"]:
        console.print("no count can be shown yet: counts are renewed with every 11 sealed cases or more")
    console.print(found["bias"])


@app.command()
def lift(
    seal: Annotated[str, typer.Argument(help="id of a seal, or the beginning of it")],
    by: Annotated[str, typer.Option(help="who lifts it")],
    why: Annotated[str, typer.Option(help="who says that it was a mistake")],
) -> None:
    """A seal was entered by mistake: from the next night on it stands only where the office states it."""
    from leadhub.steps import seals
    from leadhub.steps.site import open_site

    said = seals.lift(open_site(connection_from_environment), seal, by=by, why=why)
    console.print(f"seal {said['seal']} of {said['night']} is lifted from the next night on", markup=False)
