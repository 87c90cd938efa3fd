"""`leadhub tokenise` at an agency that sends no names; `leadhub exchange …` at the keeper of the key and at
the hub. What is printed is counts, names of columns and fingerprints, never a value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from leadhub.cli_linkage import console_width, table_of

app = typer.Typer(
    no_args_is_help=True, help="Exchanges: agencies that send tokens in place of names (docs/exchange.md)."
)
console = Console(width=console_width(), highlight=False, markup=False)

KeyFile = Annotated[Path, typer.Option("--key", metavar="KEYFILE", help="the exchange's tokenising key")]
Map = Annotated[
    list[str] | None,
    typer.Option("--map", help="kind=column[,kind=column]; kind=a+b joins columns; default: usual names"),
]


@app.command("key")
def make_key(
    name: Annotated[str, typer.Argument(help="of the exchange: small letters, digits, - and _")],
    version: Annotated[int, typer.Option(min=1, help="the next one replaces a lost key")] = 1,
    out: Annotated[Path | None, typer.Option(help="default: <name>.v<version>.key")] = None,
) -> None:
    """At the agency that keeps the key, never at the hub: make an exchange's tokenising key."""
    from leadhub.steps import exchange

    path = out or Path(f"{name}.v{version}.key")
    key = exchange.make_key(name, version, path)
    console.print(f"exchange {name}, key version {version}: written to {path}")
    console.print(f"fingerprint {key.fingerprint}")
    console.print(
        "Hand the file to the other agencies, in person or encrypted, never to the hub. Read the "
        "fingerprint out to them and to the hub."
    )


@app.command("show")
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="an exchange key, or the hub's certificate")],
) -> None:
    """The fingerprint of a key file, to be compared over the telephone."""
    from leadhub.foundation import openpgp
    from leadhub.steps import exchange

    if path.exists() and path.read_bytes().startswith(b"-----BEGIN PGP PUBLIC KEY"):
        console.print(
            f"hub's certificate, fingerprint {exchange.spaced(openpgp.fingerprint(path.read_bytes()))}"
        )
        return
    key = exchange.load_key(path)
    console.print(f"exchange {key.exchange}, key version {key.version}, fingerprint {key.fingerprint}")


@app.command("hub-key")
def hub_key() -> None:
    """At the hub: make the key pair for receiving where there is none; say where its public half is."""
    from leadhub.foundation import openpgp, settings
    from leadhub.steps import exchange

    path = exchange.make_receiving_key(settings.load())
    console.print(f"certificate for the agencies: {path}")
    console.print(f"fingerprint {exchange.spaced(openpgp.fingerprint(path.read_bytes()))}")


def tokenise(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet, one row a person")],
    schema: Annotated[Path, typer.Option(help="the agreed linkage schema (YAML)")],
    key: KeyFile,
    to: Annotated[Path, typer.Option(metavar="CERTIFICATE", help="the hub's public key (.asc)")],
    feed: Annotated[str, typer.Option(help="what the hub calls this agency's feed")],
    id_column: Annotated[str, typer.Option("--id", metavar="COLUMN", help="column that tells rows apart")],
    map_: Map = None,
    tier: Annotated[str, typer.Option(help="tokens, or fields where that was agreed")] = "tokens",
    out: Annotated[Path | None, typer.Option(help="default: <feed>.tokens.pgp")] = None,
    report: Annotated[Path | None, typer.Option(help="default: <feed>.report.csv; stays here")] = None,
    row_key: Annotated[Path | None, typer.Option(help="default: <feed>.rows.key beside the key")] = None,
) -> None:
    """At an agency: turn a file of people into tokens that only the hub can open. No name leaves.

    Rows and values that cannot be used are named in a report with row, column and rule.
    """
    from leadhub.foundation.errors import TerminalError
    from leadhub.identity.linkage import schema as schemas
    from leadhub.steps import edge, exchange, labelled

    if tier not in schemas.TIERS:
        raise TerminalError("linkage_input_invalid", f"--tier [{tier}]: one of {', '.join(schemas.TIERS)}")
    written, reported = out or Path(f"{feed}.tokens.pgp"), report or Path(f"{feed}.report.csv")
    rows_key = row_key or exchange.row_key_file(key, feed)
    done = edge.tokenise(
        path,
        mapping=labelled.parse_map(map_ or []),
        id_column=id_column,
        key=exchange.load_key(key),
        hub_certificate=exchange.certificate(to),
        feed=feed,
        schema=schemas.load(schema),
        tier=tier,
        row_key_file=rows_key,
        out=written,
        report=reported,
    )
    header = done.header
    console.print(
        f"{path.name}: {done.read:,} rows read, {header.rows:,} made into tokens, the rest left out"
    )
    faults = table_of("rule", "rows or values")
    for rule, count in done.rules.items():
        faults.add_row(rule, f"{count:,}")
    console.print(faults if done.rules else "Every row and value could be used.")
    missing = table_of("identifier", "column", "missing", "share")
    for kind, count in done.missing.items():
        missing.add_row(kind, "+".join(done.columns[kind]), f"{count:,}", f"{count / header.rows:.0%}")
    console.print(missing)
    console.print(
        f"exchange {header.exchange}, key version {header.key_version}, "
        f"fingerprint {header.key_fingerprint}"
    )
    console.print(f"linkage schema {header.linkage_schema}, tier {header.tier}")
    console.print(f"encrypted to the hub's certificate {exchange.spaced(done.hub_fingerprint)}")
    if done.new_row_key:
        console.print(
            f"row key made: {rows_key}. Keep and back it up: it alone turns results into your rows."
        )
    console.print(f"to send: {written} ({done.size:,} bytes); stays here: {reported}")


@app.command("open")
def open_(
    paths: Annotated[list[Path], typer.Argument(metavar="FILE...", help="token files of one exchange")],
    fingerprint: Annotated[
        str | None, typer.Option(help="of the exchange's key, as read out; needed the first time")
    ] = None,
    schema: Annotated[
        Path | None, typer.Option(help="the agreed linkage schema; default: the hub's")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="default: the hub's receiving key")] = None,
    out: Annotated[
        Path | None, typer.Option(help="also write the token tables (Parquet, not encrypted)")
    ] = None,
) -> None:
    """At the hub: decrypt and check token files, and keep their tables for linking, encrypted."""
    from leadhub.foundation import keys as key_ring
    from leadhub.foundation import settings
    from leadhub.identity.linkage import schema as schemas
    from leadhub.steps import exchange

    site = settings.load()
    opened = exchange.open_files(
        paths,
        settings=site,
        keys=key_ring.of_state(site.root_key, site.key_state, site.wrapping),
        schema=schemas.load(schema) if schema else schemas.person(),
        fingerprint=fingerprint,
        secret_key=key,
    )
    table = table_of("feed", "rows", "made at", "")
    for one in opened:
        state = "held already" if one.known else "kept"
        if one.before and not one.known:
            state = f"kept in place of {one.before.rows:,} rows of {one.before.made_at}"
        table.add_row(one.header.feed, f"{one.header.rows:,}", one.header.made_at, state)
    first = opened[0].header
    console.print(
        f"exchange {first.exchange}, key version {first.key_version}, fingerprint {first.key_fingerprint}, "
        f"linkage schema {first.linkage_schema}, tier {first.tier}"
    )
    console.print(table)
    if out:
        exchange.write_tables(opened, out)
        console.print(f"token tables, not encrypted: {out}")


@app.command()
def rows(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet with a column record_id")],
    feed: Annotated[str, typer.Option(help="the feed that was tokenised")],
    row_key: Annotated[Path, typer.Option(help="<feed>.rows.key of that time")],
    out: Annotated[Path, typer.Option(help="the same table, with the agency's own row ids (CSV)")],
) -> None:
    """At an agency: put its own row ids in place of the record ids in a table that the hub gave back."""
    from leadhub.steps import edge

    count = edge.own_rows(path, feed=feed, row_key_file=row_key, out=out)
    console.print(f"{count:,} rows written to {out}")
