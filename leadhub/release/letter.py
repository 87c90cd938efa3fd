"""The letter that answers a participant: what `steps.accountability` found, to be printed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_LETTER = Path(__file__).with_name("letter.html.jinja")
AUTHORITY = "42 CFR 2.24 and 2.25, 45 CFR 164.528"


def letter(found: dict[str, Any], *, contact: str) -> str:
    """HTML on letter paper. `found` as `accountability.accounting_of` gives it."""
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.filters["words"] = lambda text: text.replace("_", " ").lower()
    template = environment.from_string(_LETTER.read_text(encoding="utf-8"))
    return template.render(**found, contact=contact, authority=AUTHORITY)
