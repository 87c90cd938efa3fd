"""`leadhub linkage …`: how good linking is, with and without labels."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

app = typer.Typer(no_args_is_help=True, help="Linkage: how good it is, and the model that weighs pairs.")


def console_width() -> int | None:
    """A pipe has no width: nothing may be cut off there."""
    return None if sys.stdout.isatty() else 160


console = Console(width=console_width())


@app.command()
def evaluate(
    paths: Annotated[
        list[Path], typer.Argument(metavar="A [B ...]", help="CSV or Parquet; one file: duplicates in it")
    ],
    truth: Annotated[str, typer.Option(help="column that is equal for records of one person")],
    map_: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="kind=column[,kind=column]; kind=a+b joins columns; default: usual names"
        ),
    ] = None,
    tier: Annotated[str, typer.Option(help="tokens (the default of a site) or fields")] = "tokens",
    one_to_one: Annotated[
        bool, typer.Option("--one-to-one", help="each file holds a person once: decide so")
    ] = False,
    group: Annotated[
        list[str] | None, typer.Option(help="columns for figures by group; default: sex and race")
    ] = None,
    schema: Annotated[Path | None, typer.Option(help="another linkage schema (YAML)")] = None,
    pairs: Annotated[Path | None, typer.Option(help="write the scored pairs (Parquet)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="facts instead of tables")] = False,
) -> None:
    """Run the production path on labelled data: precision, recall, F1, curve, groups, time and memory."""
    from leadhub.foundation.errors import TerminalError
    from leadhub.identity.linkage import schema as schemas
    from leadhub.steps import labelled, linkage_quality

    if tier not in schemas.TIERS:
        raise TerminalError("linkage_input_invalid", f"--tier [{tier}]: one of {', '.join(schemas.TIERS)}")
    found = linkage_quality.evaluate(
        paths,
        mapping=labelled.parse_map(map_ or []),
        truth=truth,
        tier=tier,
        one_to_one=one_to_one,
        groups=group,
        pairs_to=pairs,
        linkage_schema=schemas.load(schema) if schema else None,
    )
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
        return
    _show(found)


@app.command()
def estimate(
    as_json: Annotated[bool, typer.Option("--json", help="facts instead of sentences")] = False,
) -> None:
    """How good the last night's links are, without labels; and which pairs to look at to know it better."""
    from connectors.base import connection_from_environment
    from leadhub.steps import review
    from leadhub.steps.site import open_site

    found = review.estimate(open_site(connection_from_environment))
    if as_json:
        print(json.dumps(found, indent=1))  # noqa: T201
        return
    console.print(
        f"night {found['night']}: {found['linked_pairs']:,} linked pairs; the model expects precision "
        f"{found['precision']} and recall {found['recall']}"
    )
    if found["clerical"]:
        c = found["clerical"]
        console.print(
            f"stewards confirmed {c['confirmed']} of {c['decided']} linked pairs they decided: precision "
            f"between {c['low']} and {c['high']} (95 %)"
        )
    console.print("a random sample to decide about (`leadhub review show PAIR`):", *found["to_sample"][:50])


@app.command()
def models(
    as_json: Annotated[bool, typer.Option("--json", help="facts instead of a table")] = False,
) -> None:
    """Models that weighed the nights, the approved one that waits for its first, and the proposal."""
    from connectors.base import connection_from_environment
    from leadhub.steps import models as kept
    from leadhub.steps.site import open_site

    site = open_site(connection_from_environment)
    rows = kept.history(site)
    if as_json:
        print(json.dumps(rows, indent=1))  # noqa: T201
        return
    table = table_of("model", "state", "how", "first night", "last night", "learnt from", "approved")
    for row in rows:
        said = row.get("approved")
        word = f"{said['by']}: {said['why']}" if said else ""
        records = f"{row['records']:,} records" if row["records"] else ""
        nights = (row["first"] or "", row["last"] or "")
        table.add_row(row["name"], row["state"], row["how"], *nights, records, word)
    console.print(table if rows else "No night is committed yet.")
    console.print(kept.notice(site))


@app.command()
def retrain(
    as_json: Annotated[bool, typer.Option("--json", help="facts instead of tables")] = False,
) -> None:
    """Learn a model anew from the last night, and show what it would change. Nothing changes before
    `approve`."""
    from connectors.base import connection_from_environment
    from leadhub.steps import retraining
    from leadhub.steps.site import open_site

    made = retraining.retrain(open_site(connection_from_environment))
    if as_json:
        print(json.dumps({k: made[k] for k in ("name", "night", "difference")}, indent=1))  # noqa: T201
        return
    told = made["difference"]
    console.print(f"proposal {made['name']}, learnt from night {made['night']}")
    for what in ("persons", "linked_pairs"):
        now, then = told[what]
        console.print(f"{what.replace('_', ' ')}: {now:,} now, {then:,} then")
    console.print(
        f"person ids: {told['merge']:,} would be merged into others, {told['split']:,} persons would lose "
        f"records to another, {told['new']:,} ids would be new"
    )
    table = table_of("field", "bits for each level now", "then")
    for field, (now, then) in told["bits"].items():
        table.add_row(field, *(" ".join(f"{b:+.1f}" for b in bits or []) for bits in (now, then)))
    console.print(table)
    console.print(f"leadhub linkage approve {made['name']} --by … --why …", markup=False)


@app.command()
def approve(
    model: Annotated[str, typer.Argument(help="name of the proposal, as `models` shows it")],
    by: Annotated[str, typer.Option(help="who approves")],
    why: Annotated[str, typer.Option(help="on what ground")],
) -> None:
    """Let the proposal weigh pairs from the next night on."""
    from connectors.base import connection_from_environment
    from leadhub.steps import retraining
    from leadhub.steps.site import open_site

    made = retraining.approve(open_site(connection_from_environment), model, by=by, why=why)
    console.print(f"{made['name']} weighs pairs from the next night on; that night links everything anew")


def _show(found: dict[str, Any]) -> None:
    console.print(
        f"{', '.join(found['files'])}: {found['records']:,} records, {found['true_pairs']:,} true pairs; "
        f"tier {found['tier']}, linkage schema {found['linkage_schema']}, model {found['model']}"
    )
    console.print(
        f"{found['candidate_pairs']:,} candidate pairs hold {found['block_recall']:.2%} of the true ones\n"
    )
    table = table_of("pairs", "threshold", "precision", "recall", "F1", "log2 odds")
    for name, title in (("raw", "all pairs"), ("one_to_one", "one to one")):
        if name in found:
            for which, said in (
                ("chosen", "its own (needs no labels)"),
                ("best", "the best (needs labels)"),
            ):
                _figures(table, title if which == "chosen" else "", said, found[name][which])
    _figures(table, "persons", "its own", found["persons"])
    console.print(table)
    curve = found.get("one_to_one", found["raw"])["curve"]
    console.print(_curve(curve))
    for name, groups in found["by_group"].items():
        table = table_of(name, "records", "true pairs", "precision", "recall", "F1")
        for group, f in groups.items():
            row = (group, f"{f['records']:,}", f"{f['true_pairs']:,}")
            table.add_row(*row, f"{f['precision']:.4f}", f"{f['recall']:.4f}", f"{f['f1']:.4f}")
        console.print(table)
    for row in found["left_out"]:
        console.print(
            f"left out: {row['blocks']:,} blocks of key [{row['key']}] with {row['records']:,} records: "
            "too large to compare",
            style="dim",
            markup=False,
        )
    times = found["seconds"]
    console.print(
        f"{times['all']['wall']:.1f} s ({times['all']['cpu']:.1f} s CPU): encoding "
        f"{times['encode']['wall']:.1f}, linking {times['link']['wall']:.1f}, deciding "
        f"{times['decide']['wall']:.1f}; peak {found['peak_memory_mb']:,} MB"
    )


def _figures(table: Table, title: str, said: str, f: dict[str, Any]) -> None:
    threshold = "" if f["threshold_bits"] is None else f"{f['threshold_bits']:.1f}"
    table.add_row(title, said, f"{f['precision']:.4f}", f"{f['recall']:.4f}", f"{f['f1']:.4f}", threshold)


def _curve(points: list[dict[str, Any]]) -> Table:
    """Precision and recall as bars, from strict to lenient."""
    table = table_of("log2 odds", "precision", "", "recall", "", "F1")
    for p in points[:: max(1, len(points) // 10)]:
        table.add_row(
            f"{p['threshold_bits']:.1f}",
            f"{p['precision']:.3f}",
            "█" * round(20 * p["precision"]),
            f"{p['recall']:.3f}",
            "█" * round(20 * p["recall"]),
            f"{p['f1']:.4f}",
        )
    return table


def table_of(*headers: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header)
    return table
