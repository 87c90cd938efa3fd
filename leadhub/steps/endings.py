"""What stewards are told at noon: agreements and court orders that end soon, 60, 30 and 7 days before, each
once; every day, documents that cannot be used and an older linkage key that is kept too long."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from leadhub.foundation import clock, files
from leadhub.permission import frame as frames
from leadhub.steps import blocked
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site


def ending(site: Site) -> dict[str, tuple[date, int]]:
    """As `frame.ending`, of all licences, today."""
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    return frames.ending(site.agreements.values(), site.frame(), today)


def due(site: Site) -> Receipt:
    """`due`: id → threshold that nobody was told of yet; `text` for the stewards: of those, and every day
    of documents that cannot be used and of a linkage key that is kept too long."""
    marks = files.read_json(_marks(site)) if _marks(site).exists() else {}
    soon = {
        i: (last, days) for i, (last, days) in ending(site).items() if marks.get(i) != _mark(last, days)
    }
    text = []
    if soon:
        ends = "; ".join(
            f"{name} ends on {last}" for name, (last, _) in sorted(soon.items(), key=lambda e: e[1])
        )
        text.append(
            f"agreements end soon: {ends}.\nAfter its last day nothing is released under it: ask its "
            "signatories to renew it (a court's order: whoever obtained it)."
        )
    text += [f"an agreement cannot be used: {what}." for what in blocked.told(site.settings)]
    if kept := overlap(site):
        text.append(f"{kept}: run `leadhub keys retire`.")
    return {
        "status": "due" if text else "nothing",
        "due": {name: _mark(last, days) for name, (last, days) in soon.items()},
        "text": "\n".join(text),
    }


def overlap(site: Site) -> str | None:
    """What to say of an older linkage key that is kept beyond its time; None where none is."""
    nights = site.lake.nights()
    kept = (site.lake.night(nights[-1]) or {})["linkage"].get("overlap") if nights else None
    if not kept or kept["until"] > clock.tonight(site.settings.time_zone):
        return None
    return f"version {kept['version']} of the linkage key was to be kept until {kept['until']}"


def told(site: Site, marks: dict[str, str]) -> Receipt:
    """The stewards have been told of these."""
    before = files.read_json(_marks(site)) if _marks(site).exists() else {}
    files.write_json(_marks(site), before | marks)
    return {"status": "told", "due": marks}


def _mark(last: date, days: int) -> str:
    """A renewed agreement has another last day, and is told of again."""
    return f"{last} within {days} days"


def _marks(site: Site) -> Path:
    return site.settings.var / "lake" / "endings_told.json"
