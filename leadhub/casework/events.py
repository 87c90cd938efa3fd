"""Justice events of a person: arrests, filings, decisions, dispositions, as police and DA state them."""

from __future__ import annotations

import polars as pl

from leadhub.casework.frames import Frames

#: most serious first (NY Penal Law 10.00)
_SERIOUS = ("F", "M", "V", "I")


def _gravest(rows: pl.DataFrame, *by: str) -> pl.DataFrame:
    ranked = rows.with_columns(
        _rank=pl.col("law_category").replace_strict(list(_SERIOUS), list(range(4)), return_dtype=pl.Int32)
    )
    return ranked.sort(*by, "_rank").group_by(*by, maintain_order=True).first().select(*by, "law_category")


def justice_events(frames: Frames) -> pl.DataFrame:
    """person_id, event_type, event_on, law_category, source (contract kind), feed, record_id; sorted."""
    persons = frames["police.persons"].select("feed", "person_no", "person_id")
    arrests = (
        frames["police.arrests"]
        .join(persons, on=["feed", "person_no"])
        .join(_gravest(frames["police.charges"], "feed", "arrest_no"), on=["feed", "arrest_no"], how="left")
        .select(
            "person_id",
            "law_category",
            "feed",
            "record_id",
            event_type=pl.lit("ARREST"),
            event_on=pl.col("arrested_at").dt.date(),
            source=pl.lit("police"),
        )
    )
    cases = (
        frames["da.cases"]
        .join(
            frames["da.defendants"].select("feed", "defendant_id", "person_id"), on=["feed", "defendant_id"]
        )
        .select("feed", "da_case_no", "person_id")
    )
    category = _gravest(frames["da.charges"], "feed", "da_case_no")
    cases = cases.join(category, on=["feed", "da_case_no"], how="left")
    filed = (
        frames["da.charges"]
        .drop_nulls("filed_on")
        .group_by("feed", "da_case_no")
        .agg(event_on=pl.col("filed_on").min(), record_id=pl.col("record_id").min())
        .with_columns(event_type=pl.lit("CHARGE_FILED"))
    )
    decided = frames["da.decisions"].select(
        "feed", "da_case_no", "record_id", event_on="decided_on", event_type=pl.lit("DECISION")
    )
    disposed = frames["da.dispositions"].select(
        "feed", "da_case_no", "record_id", event_on="disposed_on", event_type=pl.lit("DISPOSITION")
    )
    columns = ["feed", "da_case_no", "record_id", "event_on", "event_type"]
    of_cases = (
        pl.concat([part.select(columns) for part in (filed, decided, disposed)])
        .join(cases, on=["feed", "da_case_no"])
        .with_columns(source=pl.lit("da"))
    )
    order = ["person_id", "event_type", "event_on", "law_category", "source", "feed", "record_id"]
    both = pl.concat([arrests.select(order), of_cases.select(order)])
    return both.drop_nulls("person_id").sort("person_id", "event_on", "event_type", "feed", "record_id")
