"""`leadhub review …`: pairs of records that wait for a steward. Levels of agreement, never values."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of

app = typer.Typer(no_args_is_help=True, help="Pairs of records: one person or two? Levels, never values.")
console = Console(width=console_width())

Json = Annotated[bool, typer.Option("--json", help="facts instead of tables")]
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


@app.command()
def history(
    person: Annotated[str | None, typer.Argument(help="person id, or the beginning of it")] = None,
    since: Annotated[str | None, typer.Option(help="from this night on")] = None,
    night: Annotated[str | None, typer.Option(help="of this night alone")] = None,
    as_json: Json = False,
) -> None:
    """Merges, splits and reversals, the latest first: who decided them, and what had gone out before."""
    from leadhub.steps import history as steps
    from leadhub.steps.site import open_site

    found = steps.history(open_site(connection_from_environment), person, since=since, night=night)
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
        return
    for event in found:
        count = f"{event['records']:,} record" + ("s" if event["records"] != 1 else "")
        console.print(f"{event['night']}  {event['kind']}: {count} {event['from']} → {event['to']}")
        said = event["decision"]
        if said:
            why = f"  decision {said['number']} ({said['verdict']}) by {said['by']}: {said['why']}"
            console.print(why, markup=False)
        for correction in event["corrections"]:
            console.print("  " + _affected(event, correction))
    if not found:
        console.print("No person id was merged, split or given back.")


def _affected(event: dict[str, Any], correction: dict[str, Any]) -> str:
    partner, dataset, by = correction["partner"], correction["dataset"], correction["by"]
    told = [d for d in event["deliveries"] if (d["partner"], d["dataset"]) == (partner, dataset)]
    nights = sorted({d["night"] for d in told})
    span = nights[0] if len(nights) == 1 else f"{nights[0]} to {nights[-1]}"
    after = f"replaced by that of {by['night']}" if by else "NOT replaced yet"
    return f"{partner} {dataset}: {len(told)} delivered, {span}; {after}"


@app.command()
def check(as_json: Json = False) -> None:
    """Does every decision hold, and does linking with them anew give the last night's persons?"""
    from leadhub.steps import replay
    from leadhub.steps.site import open_site

    found = replay.check(open_site(connection_from_environment))
    well = found["replayed"] and all(b["reason"] for b in found["broken"])
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
        raise typer.Exit(0 if well else 1)
    held = found["decisions"] - len(found["broken"])
    console.print(f"night {found['night']}: {held:,} of {found['decisions']:,} decisions hold")
    for b in found["broken"]:
        reason = b["reason"] or "for no reason that stands; report this"
        console.print(f"  decision {b['number']} ({b['pair']}: {b['verdict']}) does not: {reason}")
    if found["waiting"]:
        console.print(f"{found['waiting']:,} made since wait for the next night")
    same = "the same persons" if found["replayed"] else "OTHER persons than the night has; report this"
    console.print(f"linking everything anew with these decisions gives {same}")
    raise typer.Exit(0 if well else 1)
