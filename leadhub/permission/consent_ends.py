"""How a consent is over: revoked, or ended by the event until which it was given (42 CFR 2.31(a), 2.35(c)).

What was over stays over. A source forgets: it takes the case, the episode or the line out of its system, or
a backup brings an older state back. What was seen once is remembered (`over`, kept by
`steps.past_consents`), and absence lifts nothing. Who still sends the line, the episode or the disposition
may correct it: where it is sent, it counts as it is sent.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

#: the type that is bound to the proceeding it names
PROCEEDING = "PART2_CJ_2_35"
DISPOSITION, TREATMENT = "FINAL_DISPOSITION", "END_OF_TREATMENT"
_CLIENT, _LINE = ["feed", "client_id"], ["feed", "record_id"]
_BY_TREATMENT = pl.col("expiry_event") == TREATMENT
_BY_PROCEEDING = (pl.col("expiry_event") == DISPOSITION) | (pl.col("consent_type") == PROCEEDING)

#: what is remembered of a line: when it was revoked, or by which event it ended, and when. Of several words
#: the one that takes back more counts
PAST: dict[str, Any] = {
    "feed": pl.String,
    "record_id": pl.String,
    "client_id": pl.String,
    "recipient": pl.String,
    "info_category": pl.String,
    "docket_no": pl.String,
    "docket_no_token": pl.String,
    "revoked_at": pl.Datetime("us", "UTC"),
    "ended_on": pl.Date,
    "ended_by": pl.String,
}


def over(
    consents: pa.Table, day: date, episodes: pa.Table | None, justice_events: pa.Table | None
) -> pl.DataFrame:
    """`PAST` of what a night's tables say by `day`. A treatment that ended before the client signed is not
    the one that the consent was given for."""
    lines = _frame(consents).join(_treatments(episodes, day), on=_CLIENT, how="left")
    lines = lines.join(_dispositions(justice_events), on="docket_no_token", how="left")
    treated = (pl.col("treatment_ended") >= pl.col("signed_on")) & (pl.col("treatment_ended") <= day)
    nothing = {"revoked_at": pl.lit(None, PAST["revoked_at"]), "ended_on": pl.lit(None, pl.Date)}
    found = [
        lines.filter(pl.col("revoked_at").is_not_null()).with_columns(
            ended_on=nothing["ended_on"], ended_by=pl.lit(None, pl.String)
        ),
        lines.filter(_BY_TREATMENT & treated).with_columns(
            revoked_at=nothing["revoked_at"], ended_on="treatment_ended", ended_by=pl.lit(TREATMENT)
        ),
        lines.filter(_BY_PROCEEDING & (pl.col("disposed_on") <= day)).with_columns(
            revoked_at=nothing["revoked_at"], ended_on="disposed_on", ended_by=pl.lit(DISPOSITION)
        ),
    ]
    every = pl.concat(
        [part.select(pl.col(name).cast(kind) for name, kind in PAST.items()) for part in found]
    )
    return every.sort(*_LINE, "ended_by", nulls_last=False)


def revocations(consents: pl.DataFrame, past: pl.DataFrame) -> pl.DataFrame:
    """feed, client_id, recipient, info_category, revoked_at: as remembered of lines that are not there."""
    gone = past.drop_nulls("revoked_at").join(consents, on=_LINE, how="anti")
    return gone.select(*_CLIENT, "recipient", "info_category", "revoked_at")


def with_ends(
    lines: pl.DataFrame,
    day: date,
    episodes: pa.Table | None,
    justice_events: pa.Table | None,
    past: pl.DataFrame,
) -> pl.DataFrame:
    """`ended`: the day on which the event came, null while it has not; `end_visible`: we would see it."""
    known = _dockets(justice_events)
    seen = past.drop_nulls("ended_by")
    treated, disposed = (
        seen.filter(pl.col("ended_by") == event)
        .group_by(*_LINE, *by)
        .agg(pl.col("ended_on").min().alias(name))
        for event, by, name in (
            (TREATMENT, [], "treatment_was"),
            (DISPOSITION, ["docket_no_token"], "disposed_was"),
        )
    )
    # still open, and begun before the end that is remembered: it had not ended
    corrected = pl.col("open_since") <= pl.col("treatment_was")
    treatment_was = pl.when(~corrected.fill_null(value=False)).then("treatment_was")
    return (
        lines.join(_treatments(episodes, day), on=_CLIENT, how="left")
        .join(_dispositions(justice_events), on="docket_no_token", how="left")
        .join(treated, on=_LINE, how="left")
        .join(disposed, on=[*_LINE, "docket_no_token"], how="left")
        .with_columns(
            ended=pl.min_horizontal(
                pl.when(_BY_TREATMENT).then(pl.min_horizontal("treatment_ended", treatment_was)),
                pl.when(_BY_PROCEEDING).then(pl.coalesce("disposed_on", "disposed_was")),
            ),
            end_visible=(_BY_TREATMENT & pl.lit(episodes is not None)).fill_null(value=False)
            | (_BY_PROCEEDING & pl.col("docket_no_token").is_in(known)).fill_null(value=False),
        )
        .drop("treatment_ended", "open_since", "disposed_on", "treatment_was", "disposed_was")
    )


def _dockets(justice_events: pa.Table | None) -> list[str]:
    """Of the cases that are known here."""
    if justice_events is None:
        return []
    return _frame(justice_events).get_column("docket_no_token").drop_nulls().unique().to_list()


def _treatments(episodes: pa.Table | None, day: date) -> pl.DataFrame:
    """feed, client_id, treatment_ended: the last exit of clients of whom no episode is open; open_since:
    the first day of the oldest open one."""
    if episodes is None:
        days = dict.fromkeys(("treatment_ended", "open_since"), pl.Date)
        return pl.DataFrame(schema={"feed": pl.String, "client_id": pl.String, **days})
    still_open = pl.col("exited_on").is_null() | (pl.col("exited_on") > day)
    by_client = _frame(episodes).group_by(_CLIENT)
    return by_client.agg(
        treatment_ended=pl.when(~still_open.any()).then(pl.col("exited_on").max()),
        open_since=pl.col("enrolled_on").filter(still_open).min(),
    )


def _dispositions(justice_events: pa.Table | None) -> pl.DataFrame:
    """docket_no_token, disposed_on: of each docket the first disposition."""
    if justice_events is None:
        return pl.DataFrame(schema={"docket_no_token": pl.String, "disposed_on": pl.Date})
    disposed = _frame(justice_events).filter(pl.col("event_type") == "DISPOSITION")
    known = disposed.drop_nulls("docket_no_token")
    return known.group_by("docket_no_token").agg(disposed_on=pl.col("event_on").min())


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))
