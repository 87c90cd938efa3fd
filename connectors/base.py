"""What every connector is: one night of one feed in, through landing; nothing parsed, nothing judged."""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import TableFacts
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop, Landing


@dataclass(frozen=True)
class Connection:
    """Where and as whom: an Airflow connection without Airflow. `repr` shows no secret."""

    host: str
    port: int
    login: str = ""
    password: str = field(default="", repr=False)
    schema: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


def connection_from_environment(name: str) -> Connection:
    """`AIRFLOW_CONN_<NAME>` in Airflow's JSON form, for the command line and the tests.

    Raises: TerminalError `settings_invalid`.
    """
    variable = f"AIRFLOW_CONN_{name.upper()}"
    text = os.environ.get(variable)
    if not text:
        raise TerminalError("settings_invalid", f"connection [{name}] is not set; set [{variable}]")
    given = json.loads(text)
    return Connection(
        host=given["host"],
        port=int(given["port"]),
        login=given.get("login") or "",
        password=given.get("password") or "",
        schema=given.get("schema") or "",
        extra=given.get("extra") or {},
    )


#: connection id → Connection; raises TerminalError `settings_invalid`
Connect = Callable[[str], Connection]


@dataclass(frozen=True)
class Arrival:
    """What became of one thing the source offered.

    `landed`: a new drop. `duplicate`: the same bytes as an earlier one, nothing to do. `held`: kept in
    landing, not to be applied until a person decides (`reason` says why). `refused`: not taken.
    `pending`: not complete yet, left where it is. `names` are file names or sources, never values.
    """

    status: Literal["landed", "duplicate", "held", "refused", "pending"]
    names: tuple[str, ...]
    drop: Drop | None = None
    reason: str | None = None
    message: str = ""


class Connector(ABC):
    """Reads one feed. Subclasses: sql.SqlConnector, rest.RestConnector, sftp.SftpConnector."""

    def __init__(self, feed: Feed, tables: Mapping[str, TableFacts], connection: Connection):
        self.feed, self.tables, self.connection = feed, tables, connection

    @abstractmethod
    def read(self, landing: Landing, night: str, since: Mapping[str, str]) -> list[Arrival]:
        """Land what the source has for `night`.

        `since` is the watermark of the last drop that was applied (empty: read everything).
        Raises: TransientError where trying again may help, TerminalError where a person is needed;
        in both cases nothing half-read is visible.
        """

    def finish(self, arrivals: list[Arrival]) -> None:  # noqa: B027
        """Tidy the source after the landing was committed (an SFTP inbox is emptied); idempotent."""
