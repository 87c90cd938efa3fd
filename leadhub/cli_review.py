"""`leadhub review …`: pairs of records that wait for a steward. Levels of agreement, never values."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of

app = typer.Typer(no_args_is_help=True, help="Pairs of records: one person or two? Levels, never values.")
console = Console(width=console_width())

Pair = Annotated[str, typer.Argument(help="pair id, or the beginning of it")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(help="how many, the nearest to a link first")] = 40,
    status: Annotated[str, typer.Option(help="weak, rival or conflict; default: all three")] = "",
) -> None:
    """Undecided pairs of the last night."""
    from leadhub.steps import review
    from leadhub.steps.site import open_site

    found = review.pairs(open_site(connection_from_environment), (status,) if status else review.WAITING)
    table = table_of("pair", "status", "log2 odds", "agreement")
    for row in found.head(limit).iter_rows(named=True):
        table.add_row(row["pair"], row["status"], f"{row['weight_bits']:.1f}", row["evidence"] or "–")
    console.print(table if found.height else "No pair waits for review.")
    if found.height > limit:
        console.print(f"{found.height - limit:,} more; --limit shows them")


@app.command()
def show(pair: Pair) -> None:
    """What each field adds to a pair's weight."""
    from leadhub.steps import review
    from leadhub.steps.site import open_site

    site = open_site(connection_from_environment)
    row = review.one_pair(site, pair)
    table = table_of("field", "level", "bits", "sum", "")
    total = 0.0
    for field, level, bits in review.waterfall(site, row):
        total += bits
        bar = ("+" if bits > 0 else "−") * min(30, round(abs(bits)))
        table.add_row(field, level, f"{bits:+.1f}", f"{total:+.1f}", bar)
    console.print(f"{row['pair']}: {row['status']}, {row['weight_bits']:.1f} bits")
    console.print(table)


@app.command()
def decide(
    pair: Pair,
    verdict: Annotated[str, typer.Argument(help="one (person) or two")],
    by: Annotated[str, typer.Option(help="who decides")],
    why: Annotated[str, typer.Option(help="on what ground; no names of clients")],
) -> None:
    """Decide for ever; the next night honours it."""
    from leadhub.steps import review
    from leadhub.steps.site import open_site

    made = review.decide(open_site(connection_from_environment), pair, verdict, by=by, why=why)
    console.print(f"{made['pair']}: {made['verdict']}; from the next night on", markup=False)
