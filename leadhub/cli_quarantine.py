"""`leadhub quarantine …`: refused rows, what they withhold, and how a steward ends that."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from connectors.base import connection_from_environment
from leadhub.cli_linkage import console_width, table_of

if TYPE_CHECKING:
    from leadhub.steps.site import Site

app = typer.Typer(no_args_is_help=True, help="Refused rows: where they are and why, never what they hold.")
console = Console(width=console_width())
FeedId = Annotated[str, typer.Argument(help="feed id, as `leadhub status` shows it")]
DropId = Annotated[str, typer.Argument(help="drop id, or the beginning of it")]


def _site() -> Site:
    from leadhub.steps.site import open_site

    return open_site(connection_from_environment)


def _open_rows(site: Site, feed: str | None = None) -> list[dict[str, Any]]:
    from leadhub.steps import upkeep

    names = [feed] if feed else site.feeds
    opened = (upkeep.opened(site, name) for name in names)
    return [row for table in opened if table is not None for row in table.to_pylist()]


def summary(site: Site) -> list[str]:
    """For `leadhub status`: what is open by feed, and what of it names nobody."""
    from leadhub.steps import doubts, upkeep

    said = []
    for feed in sorted(site.feeds):
        opened = upkeep.opened(site, feed)
        if opened is not None and opened.num_rows:
            said.append(f"quarantine: {opened.num_rows:,} faults; see `leadhub quarantine show {feed}`")
            if rows := doubts.nameless(opened):
                said.append(f"IN DOUBT: {feed}: {doubts.told(rows)}")
    return said


@app.command("list")
def list_() -> None:
    """By feed, drop and reason, how many faults nobody has corrected yet."""
    keys = ("feed", "drop_id", "night", "table", "column", "reason")
    counts = Counter(tuple(row[k] or "" for k in keys) for row in _open_rows(_site()))
    table = table_of("feed", "drop", "night", "table", "column", "reason", "faults")
    for kind, count in sorted(counts.items()):
        table.add_row(*kind, f"{count:,}")
    console.print(table if counts else "Nothing is in quarantine.")


@app.command()
def show(feed: FeedId) -> None:
    """Every open fault of a feed, with its row in the agency's file, and what it withholds."""
    from leadhub.intake.quarantine import RESTRICTIONS

    table = table_of("table", "night", "drop", "row", "column", "reason", "open since", "in doubt")
    site = _site()
    rows = _open_rows(site, site.feed(feed).id)
    for row in rows:
        shown = ("table", "night", "drop_id", "row", "column", "reason", "opened_on")
        doubt = "NAMES NOBODY" if row["names_nobody"] else "whom it names"
        restricts = row["table"] in RESTRICTIONS
        table.add_row(*(str(row[c] or "") for c in shown), doubt if restricts else "")
    console.print(table if rows else f"Nothing of {feed} is in quarantine.")


@app.command()
def replay(feed: FeedId, drop: DropId) -> None:
    """After a mapping or code list was put right: judge a drop's open rows again, with the next night."""
    from leadhub.steps import upkeep

    site = _site()
    rows, passing = upkeep.replay_drop(site, feed, upkeep.drop_named(site, feed, drop))
    console.print(f"{rows:,} rows will be judged again with the next night; {passing:,} pass now")


@app.command()
def dismiss(
    feed: FeedId,
    drop: DropId,
    table: Annotated[str, typer.Option(help="the table, as `leadhub quarantine show` names it")],
    row: Annotated[int, typer.Option(help="the row, as `leadhub quarantine show` names it")],
    by: Annotated[str, typer.Option(help="who says so")],
    why: Annotated[str, typer.Option(help="what the agency said of it; no name, no number of a person")],
) -> None:
    """A refused row takes nothing back, the agency says: from the next night on it withholds nothing."""
    from leadhub.steps import upkeep

    site = _site()
    upkeep.dismiss_row(site, feed, upkeep.drop_named(site, feed, drop), table, row, by=by, why=why)
    console.print(f"row {row} of {table} is dismissed with the next night", markup=False)
