"""How a consent is over: revoked, or ended by the event until which it was given (42 CFR 2.31(a), 2.35(c)).

What was over stays over. A source forgets: it takes the case, the episode or the line out of its system, or
a backup brings an older state back. What was seen once is remembered (`over`, kept by
`steps.past_consents`), and absence lifts nothing. Who still sends the line, the episode or the disposition
may correct it: where it is sent, it counts as it is sent.

A line or an episode that landed no later than what is remembered was not sent since: it lies in a state
that a backup brought back, and corrects nothing. A row that did not change keeps the night on which it
landed; a correction is a changed row, or one that was gone, and so newer. Only after a backup that is older
than the revocation and its correction both does the row look as if nobody had sent it since: the stricter
reading stands until the row changes, or the client signs anew.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import polars as pl
import pyarrow as pa

from leadhub.identity import keyed

#: the type that is bound to the proceeding it names
PROCEEDING = "PART2_CJ_2_35"
DISPOSITION, TREATMENT = "FINAL_DISPOSITION", "END_OF_TREATMENT"
_CLIENT, _LINE = ["feed", "client_id"], ["feed", "record_id"]
_BY_TREATMENT = pl.col("expiry_event") == TREATMENT
_BY_PROCEEDING = (pl.col("expiry_event") == DISPOSITION) | (pl.col("consent_type") == PROCEEDING)

#: what is remembered of a line: when it was revoked, or by which event it ended, and when; `said_on`: the
#: night on which the line that says so landed, or the last of the client's episodes (null: a disposition
#: does). Of several words the one that takes back more counts
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
    "said_on": pl.String,
}


def over(
    consents: pa.Table, day: date, episodes: pa.Table | None, justice_events: pa.Table | None
) -> pl.DataFrame:
    """`PAST` of what a night's tables say by `day`. A treatment that ended before the client signed is not
    the one that the consent was given for."""
    lines = keyed.to_frame(consents).join(_treatments(episodes, day), on=_CLIENT, how="left")
    lines = lines.join(_dispositions(justice_events), on="docket_no_token", how="left")
    treated = (pl.col("treatment_ended") >= pl.col("signed_on")) & (pl.col("treatment_ended") <= day)
    who = [*_LINE, "client_id", "recipient", "info_category", "docket_no", "docket_no_token"]
    revoked = lines.filter(pl.col("revoked_at").is_not_null())
    ended = lines.filter(_BY_TREATMENT & treated)
    disposed = lines.filter(_BY_PROCEEDING & (pl.col("disposed_on") <= day))
    found = [
        pl.DataFrame(schema=PAST),
        revoked.select(*who, "revoked_at", said_on="landed_on"),
        ended.select(
            *who, ended_on="treatment_ended", ended_by=pl.lit(TREATMENT), said_on="treatment_said"
        ),
        disposed.select(*who, ended_on="disposed_on", ended_by=pl.lit(DISPOSITION)),
    ]
    every = pl.concat(found, how="diagonal_relaxed").cast(pl.Schema(PAST))
    return every.sort(*_LINE, "ended_by", nulls_last=False)


def revocations(consents: pl.DataFrame, past: pl.DataFrame) -> pl.DataFrame:
    """feed, record_id, client_id, recipient, info_category, revoked_at: as remembered of lines that were
    not sent since."""
    sent = consents.select(*_LINE, "landed_on")
    known = past.drop_nulls("revoked_at").join(sent, on=_LINE, how="left")
    corrected = (pl.col("landed_on") > pl.col("said_on")).fill_null(value=False)
    return known.filter(~corrected).select(*_LINE, "client_id", "recipient", "info_category", "revoked_at")


def with_ends(
    lines: pl.DataFrame,
    day: date,
    episodes: pa.Table | None,
    justice_events: pa.Table | None,
    past: pl.DataFrame,
) -> pl.DataFrame:
    """`ended`: the day on which the event came, null while it has not; `end_visible`: we would see it."""
    known = _dockets(justice_events)
    treated, disposed = (
        seen.group_by(*_LINE, *by).agg(pl.col("ended_on").min().alias(name))
        for seen, by, name in (
            (_treated(past, episodes, day), [], "treatment_was"),
            (past.filter(pl.col("ended_by") == DISPOSITION), ["docket_no_token"], "disposed_was"),
        )
    )
    return (
        lines.join(_treatments(episodes, day), on=_CLIENT, how="left")
        .join(_dispositions(justice_events), on="docket_no_token", how="left")
        .join(treated, on=_LINE, how="left")
        .join(disposed, on=[*_LINE, "docket_no_token"], how="left")
        .with_columns(
            ended=pl.min_horizontal(
                pl.when(_BY_TREATMENT).then(pl.min_horizontal("treatment_ended", "treatment_was")),
                pl.when(_BY_PROCEEDING).then(pl.coalesce("disposed_on", "disposed_was")),
            ),
            end_visible=(_BY_TREATMENT & pl.lit(episodes is not None)).fill_null(value=False)
            | (_BY_PROCEEDING & pl.col("docket_no_token").is_in(known)).fill_null(value=False),
        )
        .drop("treatment_ended", "treatment_said", "disposed_on", "treatment_was", "disposed_was")
    )


def _treated(past: pl.DataFrame, episodes: pa.Table | None, day: date) -> pl.DataFrame:
    """Of `past` the ends of treatment that nobody corrected since."""
    seen = past.filter(pl.col("ended_by") == TREATMENT)
    if episodes is None:
        return seen
    running = keyed.to_frame(episodes).filter(_running(day)).select(*_CLIENT, "enrolled_on", "landed_on")
    # still open, begun before the end that is remembered, and sent after it: it had not ended
    corrected = (pl.col("enrolled_on") <= pl.col("ended_on")) & (pl.col("landed_on") > pl.col("said_on"))
    return seen.join(
        seen.join(running, on=_CLIENT).filter(corrected), on=[*PAST], how="anti", nulls_equal=True
    )


def _running(day: date) -> pl.Expr:
    return pl.col("exited_on").is_null() | (pl.col("exited_on") > day)


def _dockets(justice_events: pa.Table | None) -> list[str]:
    """Of the cases that are known here."""
    if justice_events is None:
        return []
    return keyed.to_frame(justice_events).get_column("docket_no_token").drop_nulls().unique().to_list()


def _treatments(episodes: pa.Table | None, day: date) -> pl.DataFrame:
    """feed, client_id, treatment_ended: the last exit of clients of whom no episode is open;
    treatment_said: the night on which the last of their episodes landed."""
    if episodes is None:
        ended = {"treatment_ended": pl.Date, "treatment_said": pl.String}
        return pl.DataFrame(schema={"feed": pl.String, "client_id": pl.String, **ended})
    by_client = keyed.to_frame(episodes).group_by(_CLIENT)
    return by_client.agg(
        treatment_ended=pl.when(~_running(day).any()).then(pl.col("exited_on").max()),
        treatment_said=pl.col("landed_on").max(),
    )


def _dispositions(justice_events: pa.Table | None) -> pl.DataFrame:
    """docket_no_token, disposed_on: of each docket the first disposition."""
    if justice_events is None:
        return pl.DataFrame(schema={"docket_no_token": pl.String, "disposed_on": pl.Date})
    disposed = keyed.to_frame(justice_events).filter(pl.col("event_type") == "DISPOSITION")
    known = disposed.drop_nulls("docket_no_token")
    return known.group_by("docket_no_token").agg(disposed_on=pl.col("event_on").min())
