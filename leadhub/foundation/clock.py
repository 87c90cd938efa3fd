"""Time: UTC everywhere, and the site's nights.

A night is named by the calendar date, in the site's time zone, on which it began to run; it is the
partition key of everything ("2026-11-20").
"""

from __future__ import annotations

import os
import re
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from leadhub.foundation.errors import TerminalError

_NIGHT = re.compile(r"\d{4}-\d{2}-\d{2}")
VARIABLE = "LEADHUB_NOW"


def now() -> datetime:
    """The present moment in UTC; tests may set `LEADHUB_NOW` (ISO 8601 with offset)."""
    fixed = os.environ.get(VARIABLE)
    if fixed:
        return datetime.fromisoformat(fixed).astimezone(UTC)
    return datetime.now(UTC)


def stamp(moment: datetime) -> str:
    """ISO 8601 in UTC to the second, as receipts carry it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tonight(time_zone: str) -> str:
    return now().astimezone(ZoneInfo(time_zone)).date().isoformat()


def check_night(night: str) -> str:
    """The night itself if it is a date, else TerminalError `settings_invalid`."""
    try:
        if not _NIGHT.fullmatch(night):
            raise ValueError
        date.fromisoformat(night)
    except ValueError:
        raise TerminalError(
            "settings_invalid", "a night is a date such as 2026-11-20; give it as the partition key"
        ) from None
    return night
