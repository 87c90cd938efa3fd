"""The page that shows a verdict to the stewards: self-contained, plain words, no value of any row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from leadhub.foundation import files

if TYPE_CHECKING:
    from leadhub.intake.plausibility import Verdict

_WORDS = {
    "passed": "as expected",
    "failed": "not plausible",
    "raised": "could not be asked",
    "not_asked": "not asked",
}


def render(verdict: Verdict, path: Path, *, title: str, night: str) -> None:
    """Write the page for one feed's night. Raises: TransientError `disk_full`, `io_failed`."""
    import jinja2

    template = Path(__file__).with_name("plausibility_page.html").read_text()
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    tables: dict[str, list] = {}
    for result in verdict.results:
        tables.setdefault(result.table, []).append(result)
    page = environment.from_string(template).render(
        title=title,
        night=night,
        verdict=verdict,
        tables=tables,
        words=_WORDS,
        count={o: sum(r.outcome == o for r in verdict.results) for o in _WORDS},
        trouble=[r for r in verdict.results if not r.success],
    )
    files.write_bytes(path, page.encode())
