"""A package of the small dataset, built or refused."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path

import pytest

from leadhub.foundation.errors import TerminalError
from leadhub.release import package
from tests.release.dataset import PACKAGE, rows

SOME = (("update", "DA-1", "ENROLLED", date(2026, 11, 2), None), ("withdraw", "DA-9", None, None, None))


def build(folder: Path, key: Path, facts=PACKAGE, content=None, change_rows=None, **given):
    content = rows() if content is None else content
    return package.build(facts, content, change_rows, folder, signing_key=key, **given)


def refused(reason: str, folder: Path, key: Path, facts=PACKAGE, content=None, change_rows=None, **given):
    with pytest.raises(TerminalError) as caught:
        build(folder, key, facts, content, change_rows, **given)
    assert caught.value.reason == reason
    assert not list(folder.glob("*"))
    return caught.value.message


def read_csv(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
