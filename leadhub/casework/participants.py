"""Where a participant stands, for the hub's own measures and stewards, and never for a partner."""

from __future__ import annotations

import polars as pl

from leadhub.casework import statements
from leadhub.casework.frames import Frames

#: Precedence between agencies, weakest first: a provider's statement about its own work comes before what
#: the police say of the contact, and nobody's silence says anything.
SOURCES = ("police", "provider")
#: what the police state of a contact → status; the first that holds
CONTACT_STATUS = (
    (~pl.col("offered"), "SCREENED_INELIGIBLE"),
    (pl.col("accepted").eq(other=False), "DECLINED_BY_PERSON"),
    (pl.col("accepted"), "ACCEPTED"),
    (pl.col("offered"), "OFFERED"),
)


def participant_status(frames: Frames) -> pl.DataFrame:
    """One row a referral: diversion_id, participant_status, participant_status_on, participant_status_by
    (`police` or `provider`).

    From all statements, consented or not, whoever linkage takes the client for: the referral number was
    written down by both sides, and where persons differ there is a discrepancy.
    """
    by_police = frames["police.referrals"].select(
        diversion_id="record_id",
        status=pl.coalesce([pl.when(holds).then(pl.lit(status)) for holds, status in CONTACT_STATUS]),
        stated_on=frames.site_day("contact_at"),
        by=pl.lit("police"),
    )
    by_provider = statements.prevailing(statements.internal(frames)).select(
        "diversion_id", "status", "stated_on", by=pl.lit("provider")
    )
    return (
        pl.concat([by_police, by_provider])
        .sort("diversion_id", pl.col("by").cast(pl.Enum(SOURCES)))
        .group_by("diversion_id", maintain_order=True)
        .last()
        .select(
            "diversion_id",
            participant_status="status",
            participant_status_on="stated_on",
            participant_status_by="by",
        )
    )
