"""`leadhub release …`: what waits for two people before it may leave, and their answers.

At a hub with Airflow they answer there, each logged in as themselves. Here the machine's login stands
beside the name that is given, so that one person with two names is seen in the ledger.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of
from leadhub.cli_operators import login

if TYPE_CHECKING:
    from leadhub.release.approval import Role
    from leadhub.steps.site import Site

app = typer.Typer(no_args_is_help=True, help="Licences that wait for two people, and their answers.")
console = Console(width=console_width())

Licence = Annotated[str, typer.Argument(help="agreement id, as `leadhub release pending` shows it")]
By = Annotated[str, typer.Option(help="who answers")]
Json = Annotated[bool, typer.Option("--json", help="facts instead of a text")]


def _site() -> Site:
    from leadhub.steps.site import open_site

    return open_site(connection_from_environment)


def _print(text: str) -> None:
    # a tenth of what each short process of a night loads, for three commands
    from rich.markdown import Markdown

    console.print(Markdown(text))


@app.command()
def pending() -> None:
    """Licences under which nothing leaves until two people have answered."""
    from leadhub.steps import approvals

    site = _site()
    found = approvals.pending(site)
    table = table_of("licence", "version", "partner", "state", "proposed by")
    for waiting in found:
        table.add_row(
            *(str(waiting[k] or "–") for k in ("agreement", "version", "partner", "state")),
            waiting["proposed_by"] or "–",
        )
    console.print(table if found else "No licence waits for an answer.")
    for error in approvals.stopped(site):
        console.print(f"stopped: {error}", highlight=False, markup=False)


@app.command()
def preview(licence: Licence, as_json: Json = False) -> None:
    """What would leave now: columns, rows, difference to the last delivery. No value of a row."""
    from leadhub.steps import approvals

    site = _site()
    found = approvals.preview(site, licence, approvals.last_night(site))
    if as_json:
        print(json.dumps(found["preview"], indent=1))  # noqa: T201
        return
    _print(found["markdown"])


@app.command()
def propose(licence: Licence, by: By) -> None:
    """The first of two: this is what the licence means to send."""
    _answer(licence, "proposed", by)


@app.command()
def approve(licence: Licence, by: By) -> None:
    """The second of two: it may leave. Refused to whoever proposed it."""
    _answer(licence, "approved", by)


@app.command()
def refuse(licence: Licence, by: By) -> None:
    """It may not leave; the last delivery stands, and withdrawals go on."""
    _answer(licence, "refused", by)


def _answer(licence: str, role: Role, by: str) -> None:
    from leadhub.release import approval
    from leadhub.steps import approvals

    site = _site()
    seen = approvals.preview(site, licence, approvals.last_night(site))
    _print(seen["markdown"])
    who = approval.at_login(by, login()) if by.strip() else ""
    shown = {name: seen[name] for name in ("preview_sha256", "subject_sha256")}
    said = approvals.answer(site, licence, role, by=who, **shown)
    console.print(f"{said['agreement']} {said['version']}: {said['state']} by {said['by']}", markup=False)
    if role == "approved":
        console.print("The next night sends it; or run tonight's publication again.")


@app.command()
def docket(
    agency: Annotated[str, typer.Option(help="whose number it is, as `own_ids_of` of the licence")],
    number: Annotated[str, typer.Option(help="docket number", prompt=True, hide_input=True)],
) -> None:
    """A docket number, sealed for the `proceedings` of a court order in a licence."""
    import pyarrow as pa

    from leadhub.identity import sealing

    print(sealing.seal(pa.array([number.strip()]), agency, _site().keys)[0].as_py())  # noqa: T201
