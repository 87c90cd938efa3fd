"""Consent: which client allows which recipient which category of information, at one moment.

42 CFR 2.31: a consent names the recipient and describes the information; an expired, deficient or revoked
one permits nothing; a general release of information does not suffice for Part 2 records. Default deny.
"""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa

from leadhub.foundation import files
from leadhub.permission.agreements import Agreement


def judged(
    consents: pa.Table, clients: pa.Table, agreement: Agreement, *, at: datetime, time_zone: str
) -> pl.DataFrame:
    """Every consent line that names this partner and category, with `reason` (null where it is valid).

    `consents` and `clients` are the providers' state tables with a `feed` column. Sorted.
    """
    rule, day = agreement.consent, at.astimezone(ZoneInfo(time_zone)).date()
    part2 = pl.DataFrame(pl.from_arrow(clients.select(["feed", "client_id", "part2_program"])))
    lines = (
        pl.DataFrame(pl.from_arrow(consents))
        .filter((pl.col("recipient") == agreement.partner) & (pl.col("info_category") == rule.category))
        .join(part2, on=["feed", "client_id"], how="left")
    )
    # a client nobody describes is treated as a Part 2 patient: the stricter rule
    protected = pl.col("part2_program").fill_null(True)
    allowed = (
        pl.when(protected)
        .then(pl.col("consent_type").is_in(rule.part2_types))
        .otherwise(pl.col("consent_type").is_in(rule.other_types + rule.part2_types))
    )
    reason = (
        pl.when(pl.col("revoked_at").is_not_null() & (pl.col("revoked_at") <= at.astimezone(UTC)))
        .then(pl.lit("revoked"))
        .when(pl.col("signed_on") > day)
        .then(pl.lit("not_yet_signed"))
        .when(pl.col("expires_on").is_not_null() & (pl.col("expires_on") < day))
        .then(pl.lit("expired"))
        .when(~allowed)
        .then(pl.lit("type_not_sufficient"))
        .when(~pl.col("purpose").is_in(rule.purposes))
        .then(pl.lit("other_purpose"))
    )
    return lines.with_columns(reason=reason).sort("feed", "client_id", "consent_id")


def active(
    consents: pa.Table, clients: pa.Table, agreement: Agreement, *, at: datetime, time_zone: str
) -> pl.DataFrame:
    """feed, client_id, consent_id of each client with a valid line; one row a client, sorted.

    A revoked line of a consent defeats that line alone; an opposite line of the same moment counts as
    revoked because `revoked_at <= at` holds for it.
    """
    lines = judged(consents, clients, agreement, at=at, time_zone=time_zone)
    valid = lines.filter(pl.col("reason").is_null())
    return valid.group_by("feed", "client_id").agg(pl.col("consent_id").min()).sort("feed", "client_id")


def state(active_lines: pl.DataFrame) -> str:
    """Hash of who consents now: part of a release's name, so that a changed state is a new release."""
    return files.sha256_bytes(active_lines.write_csv().encode())
