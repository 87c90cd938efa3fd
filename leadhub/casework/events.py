"""Justice events of a person: arrests, filings, decisions, dispositions, as police and DA state them."""

from __future__ import annotations

import polars as pl

from leadhub.casework.frames import Frames
from leadhub.casework.provisions import strictest
from leadhub.casework.seals import open_charges, sealed_arrests, sealed_cases

#: gravest first (NY Penal Law 10.00)
_GRAVITY = ("F", "M", "V", "I")
_ORDER = (
    "person_id",
    "person_record_id",
    "event_type",
    "event_on",
    "law_category",
    "source",
    "feed",
    "record_id",
    "docket_no_token",
    "sealed_under",
)


def justice_events(frames: Frames) -> pl.DataFrame:
    """One row an event: person_id, person_record_id (of the police's person or the DA's defendant),
    event_type, event_on, law_category (the gravest charge's), source (contract kind), feed, record_id of
    the row that states it; docket_no_token of its case, and the provision it is sealed under, where there
    is one. Sorted.
    """
    both = pl.concat([_arrests(frames).select(_ORDER), _of_cases(frames).select(_ORDER)])
    return both.drop_nulls("person_id").sort("person_id", "event_on", "event_type", "feed", "record_id")


def _arrests(frames: Frames) -> pl.DataFrame:
    columns = ("feed", "person_no", "person_id")
    persons = frames["police.persons"].select(*columns, person_record_id="record_id")
    return (
        frames["police.arrests"]
        .join(persons, on=["feed", "person_no"])
        .join(_gravest(frames["police.charges"], "arrest_no"), on=["feed", "arrest_no"], how="left")
        .join(sealed_arrests(frames, "arrest_no_token"), on="arrest_no_token", how="left")
        .join(sealed_arrests(frames, "cjtn_token"), on="cjtn_token", how="left", suffix="_by_cjtn")
        .with_columns(
            event_type=pl.lit("ARREST"),
            event_on=frames.site_day("arrested_at"),
            source=pl.lit("police"),
            docket_no_token=pl.lit(None, pl.String),
            sealed_under=strictest("sealed_under", "sealed_under_by_cjtn"),
        )
    )


def _of_cases(frames: Frames) -> pl.DataFrame:
    case = ["feed", "da_case_no"]
    columns = ("feed", "defendant_id", "person_id")
    defendants = frames["da.defendants"].select(*columns, person_record_id="record_id")
    cases = (
        frames["da.cases"]
        .join(defendants, on=["feed", "defendant_id"])
        .join(_gravest(open_charges(frames), "da_case_no"), on=case, how="left")
        .join(sealed_cases(frames), on=case, how="left")
        .select(*case, "person_id", "person_record_id", "law_category", "docket_no_token", "sealed_under")
    )
    filed = (
        open_charges(frames)
        .filter(pl.col("filed_on") <= frames.night)
        .group_by(case)
        .agg(pl.col("filed_on").min(), pl.col("record_id").min())
    )
    stated = {
        "CHARGE_FILED": (filed, "filed_on"),
        "DECISION": (frames.happened("da.decisions", "decided_on"), "decided_on"),
        "DISPOSITION": (frames.happened("da.dispositions", "disposed_on"), "disposed_on"),
    }
    parts = [
        rows.select(*case, "record_id", event_on=day, event_type=pl.lit(event))
        for event, (rows, day) in stated.items()
    ]
    return pl.concat(parts).join(cases, on=case).with_columns(source=pl.lit("da"))


def _gravest(charges: pl.DataFrame, of: str) -> pl.DataFrame:
    gravest = pl.col("law_category").cast(pl.Enum(_GRAVITY)).min().cast(pl.String)
    return charges.group_by("feed", of).agg(gravest)
