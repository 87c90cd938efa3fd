"""Agreements that end soon, of which stewards are told 60, 30 and 7 days before, each once; and the end of
the time for which an older linkage key is kept beside the newest."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from leadhub.foundation import clock, files
from leadhub.permission import frame as frames
from leadhub.steps.ingest import Receipt
from leadhub.steps.site import Site


def ending(site: Site) -> dict[str, tuple[date, int]]:
    """As `frame.ending`, of all licences, today."""
    today = date.fromisoformat(clock.tonight(site.settings.time_zone))
    return frames.ending(site.agreements.values(), site.frame(), today)


def due(site: Site) -> Receipt:
    """`due`: id → threshold that nobody was told of yet; `text` for the stewards."""
    told = files.read_json(_marks(site)) if _marks(site).exists() else {}
    soon = {i: (last, days) for i, (last, days) in ending(site).items() if told.get(i) != _mark(last, days)}
    lines = [f"{name} ends on {last}" for name, (last, _) in sorted(soon.items(), key=lambda e: e[1])]
    ends = f"agreements end soon: {'; '.join(lines)}."
    text = [f"{ends}\nAfter its last day nothing is released under it: ask its signatories to renew it."]
    marks = {name: _mark(last, days) for name, (last, days) in soon.items()}
    key = {name: mark for name, mark in _overlap(site).items() if told.get(name) != mark}
    if key:
        text.append("an older linkage key has been kept long enough: run `leadhub keys retire`.")
    return {
        "status": "due" if marks or key else "nothing",
        "due": marks | key,
        "text": "\n".join(text if soon else text[1:]),
    }


def _overlap(site: Site) -> dict[str, str]:
    """Of a linkage key that is kept beyond its time: what stewards are told, and when it ended."""
    nights = site.lake.nights()
    kept = (site.lake.night(nights[-1]) or {})["linkage"].get("overlap") if nights else None
    over = kept and kept["until"] <= clock.tonight(site.settings.time_zone)
    return {"linkage key": f"version {kept['version']} until {kept['until']}"} if kept and over else {}


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
