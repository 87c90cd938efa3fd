"""A feed: one agency's system, described in `feeds/<id>.yaml` by facts alone."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from leadhub.foundation import facts_file
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.facts_file import Facts


class TableMapping(Facts):
    """How one table of the contract stands at the source."""

    #: table, resource or file stem at the source
    source: str
    #: contract column → source column
    columns: dict[str, str]
    #: contract column → strptime format, where dates are not ISO 8601
    formats: dict[str, str] = {}
    #: contract column → {source code: contract code}; a code in neither list is refused
    codes: dict[str, dict[str, str]] = {}
    #: source columns that are known and not taken
    ignore: list[str] = []


class DropRules(Facts):
    """How a drop of files looks (connector sftp)."""

    #: regular expression with groups `table`, `night` (YYYYMMDD) and `sequence`
    pattern: str
    completeness: Literal["manifest", "sha256"]
    encryption: Literal["none", "openpgp"] = "none"
    resubmission: Literal["refuse", "latest_wins"] = "refuse"
    delimiter: Literal[",", ";", "\t", "|"] = ","
    encoding: Literal["utf-8", "windows-1252"] = "utf-8"
    max_bytes: int = Field(default=2_000_000_000, ge=1)
    #: minutes after which an incomplete drop is reported to its agency
    grace_minutes: int = Field(default=60, ge=0)


class LinkageConsent(Facts):
    """The consent without which a client may not be linked, in the words of the consent registry."""

    recipient: str
    category: str
    purposes: list[str] = Field(min_length=1)
    part2_types: list[str] = Field(min_length=1)
    other_types: list[str] = []

    @property
    def categories(self) -> list[str]:
        return [self.category]


class Feed(Facts):
    """One feed. `tables` keep the order in which references point: parents first."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{2,40}$")
    title: str
    agency: str = Field(pattern=r"^[a-z][a-z0-9_]{2,40}$")
    connector: Literal["sql", "rest", "sftp"]
    #: dialect of the connector `sql`
    dialect: str | None = None
    #: Airflow connection id of the source
    connection: str
    #: Airflow connection id of the agency's SFTP account, for acknowledgements and rejection reports
    outbox: str | None = None
    #: module of `schemas/`
    contract: str
    #: `nightly`: an absent drop is missing; `irregular`: an absent drop is nothing new
    cadence: Literal["nightly", "irregular"] = "nightly"
    #: site time by which the night's feed must have come, HH:MM
    cutoff: str = Field(default="04:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    #: a row's clock at the source (connectors sql and rest)
    watermark: str | None = None
    #: how far back each night reads again, for commits that came late
    overlap_minutes: int = Field(default=60, ge=0)
    page_rows: int = Field(default=50_000, ge=1)
    #: share of refused rows above which the batch is stopped
    refused_share_limit: float = Field(default=0.2, ge=0, le=1)
    retention_days: int = Field(default=30, ge=1)
    #: the source holds each person once
    one_record_per_person: bool = False
    #: asked of every client before their record is tokenised; absent: the agreement asks for none
    linkage_consent: LinkageConsent | None = None
    tables: dict[str, TableMapping]
    drop: DropRules | None = None


def load(folder: Path, feed_id: str) -> Feed:
    """Raises: TerminalError `feed_invalid`."""
    feed = facts_file.read(folder / f"{feed_id}.yaml", Feed, "feed_invalid")
    if feed.id != feed_id:
        raise TerminalError("feed_invalid", f"[{feed_id}.yaml] calls itself [{feed.id}]")
    if (feed.connector == "sftp") != (feed.drop is not None):
        raise TerminalError("feed_invalid", f"[{feed_id}.yaml]: [drop] goes with connector sftp")
    return feed


def load_all(folder: Path) -> dict[str, Feed]:
    """Every feed by id, in order of id. Raises: TerminalError `feed_invalid`."""
    return {p.stem: load(folder, p.stem) for p in sorted(folder.glob("*.yaml"))}
