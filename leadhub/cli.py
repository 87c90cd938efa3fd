"""The stewards' command line: the same steps as the DAGs, and a look at what waits for a person.

An error prints its reason and what to do next, never a value, and ends with that reason's exit code.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.table import Table

from connectors.base import connection_from_environment
from leadhub import (
    cli_accountability,
    cli_consent,
    cli_exchange,
    cli_keys,
    cli_linkage,
    cli_operators,
    cli_opprl,
    cli_quarantine,
    cli_recalls,
    cli_release,
    cli_review,
    cli_seals,
)
from leadhub.cli_quarantine import DropId, FeedId
from leadhub.foundation import clock, files, ledger, roles
from leadhub.foundation import keys as key_ring
from leadhub.foundation import settings as site_settings
from leadhub.foundation.errors import LeadhubError, TerminalError

if TYPE_CHECKING:
    from leadhub.steps.site import Site

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
drop_app = typer.Typer(no_args_is_help=True, help="Drops: what landed, what is held, release a held one.")
ledger_app = typer.Typer(no_args_is_help=True, help="The ledger of disclosures.")
app.add_typer(cli_quarantine.app, name="quarantine")
app.add_typer(drop_app, name="drop")
app.add_typer(ledger_app, name="ledger")
app.add_typer(cli_linkage.app, name="linkage")
app.add_typer(cli_review.app, name="review")
app.add_typer(cli_recalls.app, name="recalls")
app.add_typer(cli_release.app, name="release")
app.add_typer(cli_seals.app, name="seals")
app.add_typer(cli_consent.app, name="consent")
app.command("tokenise")(cli_exchange.tokenise)
app.add_typer(cli_exchange.app, name="exchange")
app.add_typer(cli_opprl.app, name="opprl")
app.command("init")(cli_keys.init)
app.command("doctor")(cli_keys.doctor)
app.add_typer(cli_keys.app, name="keys")
app.command("accounting")(cli_accountability.accounting)
app.command("breach")(cli_accountability.breach)
app.command("operators")(cli_operators.operators)
#: a pipe has no width: nothing may be cut off there
console = Console(width=None if sys.stdout.isatty() else 160)


def _site() -> Site:
    from leadhub.steps.site import open_site

    return open_site(connection_from_environment)


def _table(*headers: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold", no_wrap=header in ("night", "drop", "as of", "row"))
    return table


def _manifest(site: Site, night: str) -> dict[str, Any]:
    return site.lake.night(night) or {"tables": {}, "feeds": {}}


@app.command()
def demo(
    persons: Annotated[int, typer.Option(help="persons in the county")] = 5000,
    keep_running: Annotated[bool, typer.Option(help="keep servers and Airflow up afterwards")] = False,
) -> None:
    """Two nights of a synthetic county through real servers and real DAGs (same as `make demo`)."""
    # in a process of its own: the simulation knows leadhub, and leadhub does not know the simulation
    order = [sys.executable, "-m", "simulation.demo", "--persons", str(persons)]
    order += ["--keep-running"] if keep_running else []
    raise typer.Exit(subprocess.run(order, cwd=site_settings.REPOSITORY).returncode)


@app.command()
def check(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE...]", help="files of one drop")
    ] = None,
    feed: Annotated[str, typer.Option(help="feed id")] = "",
    table: Annotated[str | None, typer.Option(help="the table, where the name does not tell it")] = None,
) -> None:
    """Try files before they are dropped: the hub's own rules and words, nothing sent or kept. Without
    files: try the agreements, before they are put in place.

    Exit code 0: every row would be accepted. 1: rows would be refused. Else: the drop would be held, or an
    agreement cannot be used.
    """
    from leadhub.steps import blocked
    from leadhub.steps.check import check as judge

    if not paths:
        if wrong := blocked.told(site_settings.load()):
            raise TerminalError("agreement_invalid", "\n".join(wrong))
        console.print("Every agreement can be used.")
        return
    done = judge(site_settings.load(), feed, paths, table)
    for name, judged in done.judged.items():
        counts = (
            f"{judged.read:,} rows, {judged.accepted.num_rows:,} accepted, {judged.refused_rows:,} refused"
        )
        console.print(f"{done.names[name]}: {counts}", highlight=False, markup=False)
    for fault in done.rejections:
        where = f"{done.names[fault.table]}: row {fault.row}, {fault.column or 'as a whole'}"
        said = f"{where}: {fault.rule}: {fault.words.what} {fault.words.to_do}"
        console.print(said, highlight=False, markup=False)
    raise typer.Exit(1 if done.rejections else 0)


@app.command()
def night(
    date: Annotated[str, typer.Option(help="such as 2026-11-20; default: tonight")] = "",
) -> None:
    """Run every step of a night in order, without Airflow; what is done already stays as it is."""
    from leadhub.steps import run_night

    site = _site()
    chosen = clock.check_night(date or clock.tonight(site.settings.time_zone))
    run_night(site, chosen, lambda what: console.print(f"[dim]{what}[/dim]"))


@app.command()
def status() -> None:
    """What a steward asks at seven: the last nights, what waits for a person, what partners got."""
    from leadhub.steps import blocked, endings, models
    from leadhub.steps.ingest import is_held

    site = _site()
    nights = site.lake.nights()
    table = _table("night", "feed", "status", "read", "accepted", "quarantined", "as of", title="Nights")
    for night in nights[-2:]:
        for feed, said in _manifest(site, night)["feeds"].items():
            counts = [f"{said['counts'][c]:,}" for c in ("read", "accepted", "quarantined")]
            why = f" ({said['reason']})" if said["reason"] else ""
            table.add_row(night, feed, said["status"] + why, *counts, said["as_of"] or "never")
    console.print(table if nights else "No night was committed yet: run `leadhub night`, or the DAGs.")
    role = site.keys.role
    if roles.reads(role, "landing"):
        held = [(f, d.drop_id) for f in site.feeds for d in site.landing.drops(f) if is_held(site, d)]
        for feed, drop_id in held:
            console.print(f"held: drop {drop_id} of {feed}; see `leadhub drop list {feed}`")
    else:
        console.print(f"Held drops are not shown to role {role}: run this as landing, too.")
    if roles.reads(role, "lake/tables/feeds"):
        for said in cli_quarantine.summary(site):
            console.print(said, markup=False)
    if said := models.notice(site):
        console.print(f"linkage: {said}")
    if roles.reads(role, "ledger"):
        _partners(site)
    else:
        console.print(f"What partners got is not shown to role {role}: run this as publishing, too.")
    for name, (last, _) in sorted(endings.ending(site).items()):
        console.print(f"agreement {name} ends on {last}: ask its signatories to renew it")
    for what in blocked.told(site.settings):
        console.print(f"agreement: {what}", highlight=False, markup=False)
    if kept := endings.overlap(site):
        console.print(f"{kept}: run `leadhub keys retire`")


def _partners(site: Site) -> None:
    from leadhub.permission.licences import known

    delivered = _table("partner", "agreement", "in force until", "ledger entries", title="Partners")
    for licence in known(site.settings.agreements, site.settings.approved):
        chain = site.settings.var / "ledger" / f"{licence.partner}.jsonl"
        entries = ledger.head(chain).seq if chain.exists() else 0
        held = site.agreements.get(licence.id)
        until = str(held.valid_until) if held else "cannot be read"
        delivered.add_row(licence.partner, licence.id, until, f"{entries:,}")
    console.print(delivered)


@drop_app.command("list")
def drop_list(feed: FeedId) -> None:
    """What landed of a feed."""
    from leadhub.steps.ingest import is_held

    site = _site()
    table = _table("night", "drop", "mode", "sequence", "files", "state")
    for drop in site.landing.drops(site.feed(feed).id):
        state = "held" if is_held(site, drop) else ""
        table.add_row(
            drop.night, drop.drop_id, drop.mode, str(drop.sequence), str(len(drop.members)), state
        )
    console.print(table)


@drop_app.command("release")
def drop_release(feed: FeedId, drop: DropId) -> None:
    """Let a held drop be judged again; it joins the next night that runs."""
    from leadhub.steps import upkeep

    site = _site()
    console.print(upkeep.release_drop(site, feed, upkeep.drop_named(site, feed, drop)))


@ledger_app.command("verify")
def ledger_verify(
    partner: Annotated[str, typer.Argument(help="as agreements/*.yaml name it")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="one that left with a delivery: shows what was cut off or rewritten")
    ] = None,
) -> None:
    """Check a partner's chain of disclosures; names the first bad entry."""
    from leadhub.release import checkpoints

    path = site_settings.load().var / "ledger" / f"{partner}.jsonl"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.jsonl"))) or "none yet"
        raise TerminalError("state_invalid", f"there is no ledger of that partner; there are: {known}")
    settings = site_settings.load()
    keys = key_ring.of_state(settings.root_key, settings.key_state, settings.wrapping)
    seen = checkpoints.read(checkpoint.read_bytes(), partner, keys) if checkpoint else None
    found = ledger.verify(path, seen)
    until = f", as the checkpoint of entry {seen.seq} saw it" if seen else ""
    console.print(f"{partner}: {found.seq} entries, unbroken{until}")


@app.command(hidden=True)
def step(name: Annotated[str, typer.Argument(help="such as linking.link")]) -> None:
    """What the DAGs run as the user of a role: one step, asked for and answered in JSON."""
    from leadhub.steps import acting

    acting.serve(name, _site)


@app.command()
def docs() -> None:
    """Write the JSON Schemas of feeds and agreements into docs/."""
    from leadhub.intake.feeds import Feed
    from leadhub.permission.agreements import Agreement
    from leadhub.permission.frame import Memorandum, SharingAgreement

    for model in (Feed, Agreement, Memorandum, SharingAgreement):
        path = site_settings.REPOSITORY / "docs" / "schemas" / f"{model.__name__.lower()}.schema.json"
        files.write_bytes(path, files.canonical_json(model.model_json_schema()), mode=0o644)
        console.print(path.name)


def main() -> None:
    """Entry point: what is run is written down, an error of ours told in one line with its exit code."""
    command = typer.main.get_command(app)
    cli_operators.attach(command)
    try:
        try:
            command()
        except PermissionError as error:
            raise roles.shut(site_settings.load().var, Path(error.filename or "")) from None
    except LeadhubError as error:
        typer.secho(f"{error.reason}: {error.message}", err=True, fg="red")
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
