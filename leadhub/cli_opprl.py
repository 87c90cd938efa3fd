"""`leadhub opprl …`: tokens of the OPPRL protocol, version 2, as spindle-token makes and exchanges them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from leadhub.cli_exchange import Map
from leadhub.cli_linkage import console_width, table_of

if TYPE_CHECKING:
    from leadhub.steps.opprl_files import Made

app = typer.Typer(
    no_args_is_help=True, help="OPPRL v2 tokens, for partners who link by them (spindle-token)."
)
console = Console(width=console_width(), highlight=False, markup=False)

Key = Annotated[Path, typer.Option("--key", metavar="PEM", help="one's own RSA private key")]
Tokens = Annotated[Path, typer.Argument(metavar="FILE", help="token table (CSV or Parquet)")]
Out = Annotated[Path, typer.Option(help="what to write: .parquet, else CSV")]


@app.command("key")
def make_key(path: Annotated[Path, typer.Argument(metavar="PEM", help="file to make")]) -> None:
    """Make one's own RSA key; the public half, beside it, is for partners."""
    from leadhub.steps import opprl_files

    console.print(f"private key: {path}; for partners: {opprl_files.make_key(path)}")


@app.command()
def tokenise(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet, one row a person")],
    key: Key,
    out: Out,
    id_column: Annotated[
        str | None, typer.Option("--id", metavar="COLUMN", help="becomes record_id; default: row numbers")
    ] = None,
    map_: Map = None,
) -> None:
    """Make tokens of a file of people. These stay at home; `send` makes what may leave."""
    from leadhub.steps import labelled, opprl_files

    mapping = labelled.parse_map(map_ or [])
    _show(opprl_files.tokenise(path, mapping=mapping, id_column=id_column, key=key, out=out), out)


@app.command()
def send(
    path: Tokens,
    key: Key,
    to: Annotated[Path, typer.Option(metavar="PEM", help="the partner's RSA public key")],
    out: Out,
) -> None:
    """Turn one's own tokens into ephemeral ones, which this partner alone can take in."""
    from leadhub.steps import opprl_files

    _show(opprl_files.send(path, key=key, partner=to, out=out), out)


@app.command()
def receive(path: Tokens, key: Key, out: Out) -> None:
    """Turn a partner's ephemeral tokens into one's own: equal people, equal tokens."""
    from leadhub.steps import opprl_files

    _show(opprl_files.receive(path, key=key, out=out), out)


def _show(made: Made, out: Path) -> None:
    table = table_of("token", "rows that have it")
    for name, count in made.tokens.items():
        table.add_row(name, f"{count:,}")
    console.print(f"{made.rows:,} rows, written to {out}")
    console.print(table)
