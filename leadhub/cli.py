"""The stewards' command line: the same steps as the DAGs, and a look at what waits for a person.

An error prints its reason and what to do next, never a value, and ends with that reason's exit code.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from connectors.base import connection_from_environment
from leadhub.foundation import files, ledger, openpgp
from leadhub.foundation import keys as key_ring
from leadhub.foundation import settings as site_settings
from leadhub.foundation.errors import LeadhubError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
night_app = typer.Typer(
    no_args_is_help=True, help="Nights: run one without Airflow, list what was committed."
)
drop_app = typer.Typer(no_args_is_help=True, help="Drops: what landed, what is held, release a held one.")
ledger_app = typer.Typer(no_args_is_help=True, help="The ledger of disclosures.")
app.add_typer(night_app, name="night")
app.add_typer(drop_app, name="drop")
app.add_typer(ledger_app, name="ledger")
console = Console()


def _site():
    from leadhub.steps.site import open_site

    return open_site(connection_from_environment)


@app.command()
def init() -> None:
    """Make the root key and the hub's OpenPGP keys where there are none."""
    settings = site_settings.load()
    key_ring.load(settings.root_key, create=True)
    for path, owner in (
        (settings.signing_key, f"leadhub releases <{settings.steward_contact}>"),
        (settings.decryption_key, f"leadhub drops <{settings.steward_contact}>"),
    ):
        if not path.exists():
            openpgp.generate(path, owner)
        certificate = openpgp.certificate(path)
        files.write_bytes(path.with_suffix(".asc"), certificate, mode=0o644)
        console.print(f"{path.stem}: {openpgp.fingerprint(certificate)}")
    console.print(
        "Give the certificates (*.asc) to the partners; back up the root key, apart from the state."
    )


@app.command()
def doctor() -> None:
    """Are settings, keys, facts and the last night in order?"""
    site = _site()
    console.print(f"root key: version {site.keys.version}, matches this state")
    console.print(f"feeds: {', '.join(site.feeds)}")
    console.print(f"agreements: {', '.join(site.agreements)}")
    nights = site.lake.nights()
    if nights:
        manifest = site.lake.night(nights[-1])
        for name, version in manifest["tables"].items():
            site.lake.read(name, version, columns=[])
        console.print(f"last night: {nights[-1]}, {len(manifest['tables'])} tables readable")
    for path in sorted((site.settings.var / "ledger").glob("*.jsonl")):
        ledger.verify(path)
        console.print(f"ledger of {path.stem}: {ledger.head(path).seq} entries, unbroken")


@night_app.command("run")
def night_run(night: Annotated[str, typer.Argument(help="date of the night, such as 2026-11-20")]) -> None:
    """Run every step of a night in order; what is done already stays as it is."""
    from leadhub.steps import run_night

    run_night(_site(), night, lambda what: console.print(f"[dim]{what}[/dim]"))


@night_app.command("list")
def night_list() -> None:
    """Committed nights, and what each feed brought."""
    site = _site()
    table = Table("night", "feed", "status", "read", "accepted", "quarantined", "as of")
    for night in site.lake.nights():
        for feed, said in site.lake.night(night)["feeds"].items():
            counts = said["counts"]
            row = [
                night,
                feed,
                said["status"],
                *(f"{counts[c]:,}" for c in counts),
                said["as_of"] or "never",
            ]
            table.add_row(*row)
    console.print(table)


@drop_app.command("list")
def drop_list(feed: str) -> None:
    """What landed of a feed."""
    from leadhub.steps.ingest import is_held

    site = _site()
    table = Table("night", "drop", "mode", "sequence", "files", "state")
    for drop in site.landing.drops(feed):
        state = "held" if is_held(site, drop) else ""
        table.add_row(
            drop.night, drop.drop_id, drop.mode, str(drop.sequence), str(len(drop.members)), state
        )
    console.print(table)


@drop_app.command("release")
def drop_release(feed: str, drop_id: str) -> None:
    """Let a held drop be judged again; it joins the next night that runs."""
    from leadhub.steps.upkeep import release_drop

    console.print(release_drop(_site(), feed, drop_id))


@app.command()
def quarantine(feed: Annotated[str, typer.Argument(help="feed id")]) -> None:
    """Refused rows that nobody has corrected yet: where they are and why, never what they hold."""
    site = _site()
    nights = site.lake.nights()
    version = site.lake.night(nights[-1])["tables"].get(f"quarantine_{feed}") if nights else None
    table = Table("table", "night", "drop", "row", "column", "reason", "open since")
    if version is not None:
        shown = ("table", "night", "drop_id", "row", "column", "reason", "opened_on")
        for row in site.lake.read(f"quarantine_{feed}", version).to_pylist():
            table.add_row(*(str(row[c] or "") for c in shown))
    console.print(table)


@ledger_app.command("verify")
def ledger_verify(partner: str) -> None:
    """Check a partner's chain of disclosures; names the first bad entry."""
    path = site_settings.load().var / "ledger" / f"{partner}.jsonl"
    ledger.verify(path)
    console.print(f"{partner}: {ledger.head(path).seq} entries, unbroken")


@app.command()
def docs() -> None:
    """Write the JSON Schemas of feeds and agreements into docs/."""
    from leadhub.intake.feeds import Feed
    from leadhub.permission.agreements import Agreement

    for model in (Feed, Agreement):
        path = site_settings.REPOSITORY / "docs" / "schemas" / f"{model.__name__.lower()}.schema.json"
        files.write_bytes(path, files.canonical_json(model.model_json_schema()), mode=0o644)
        console.print(path.name)


def main() -> None:
    """Entry point: an error of ours is told in one line, with its exit code."""
    try:
        app()
    except LeadhubError as error:
        Console(stderr=True).print(f"[red]{error.reason}[/red]: {error.message}")
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
