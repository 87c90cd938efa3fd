"""Edits of agreements, as somebody makes them in a file."""

import re
from pathlib import Path


def edit(folder: Path, name: str, old: str, new: str) -> None:
    """The first place of a document that the pattern `old` finds becomes `new`."""
    path = folder / name
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1))
