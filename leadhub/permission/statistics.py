"""Tables of counts: over which periods, made when, and which count is too small to be shown.

One table of a period for everybody who is licensed to have it, made once and never changed: neither two
tables of the same persons nor two states of one can be subtracted from each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field

from leadhub.foundation.facts_file import Facts
from leadhub.permission import documents


@dataclass(frozen=True)
class Period:
    """A quarter by its name, such as 2026Q3; `last` is its last day."""

    name: str
    first: date
    last: date


class Statistic(Facts):
    """`agreements/statistics/<dataset>.yaml`: what the signatories decided of one dataset of counts."""

    dataset: str
    title: str
    #: no period that begins before is ever counted
    begins: date
    #: days after its last day on which a period is counted, for what is entered late
    closes_after_days: int = Field(ge=1)
    #: the smallest count that is shown; 11 or more (CMS cell size policy)
    shown_from: int = Field(ge=11)
    #: feeds that must have told of the day on which a period is counted
    inputs: list[str] = Field(min_length=1)
    citation: str
    standing: Literal["read", "recalled", "choice"]

    def closed(self, as_of: date) -> list[Period]:
        """Quarters that may be counted from what is known of a day, the oldest first."""
        quarters, first = [], date(self.begins.year, 1, 1)
        while first <= as_of:
            after = date(first.year + first.month // 10, (first.month + 2) % 12 + 1, 1)
            last = after - timedelta(days=1)
            if first >= self.begins and last + timedelta(days=self.closes_after_days) <= as_of:
                quarters.append(Period(f"{first.year}Q{first.month // 3 + 1}", first, last))
            first = after
        return quarters


def load(folder: Path, dataset: str) -> Statistic:
    """That of a dataset, from the agreements' folder. Raises: TerminalError `agreement_invalid` naming
    file, key or line, and rule."""
    return documents.read(folder / "statistics" / f"{dataset}.yaml", Statistic, "dataset")
