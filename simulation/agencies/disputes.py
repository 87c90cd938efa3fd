"""What the District Attorney's office disputes of the rows that it was given: some diverted cases."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulation.agencies import changes
from simulation.agencies.da import Da, view
from simulation.agencies.story import Story, midnight
from simulation.chance import stream

_PROBLEMS = (
    ("diversion_status", "WRONG_STATUS"),
    ("da_defendant_id", "WRONG_PERSON"),
    ("status_date", "WRONG_DATE"),
    ("da_case_no", "NOT_OUR_CASE"),
    ("referral_status", "WRONG_STATUS"),
)


def disputes(da: Da, story: Story, seed: int) -> pl.DataFrame:
    """Open disputes a day after the first night, in contract columns: of cases that were held for LEAD."""
    shown = view(da, midnight(story.night))
    held = shown["decisions"].filter(decision="HELD_IN_ABEYANCE").select("da_case_no")
    cases = shown["cases"].join(held, on="da_case_no", how="semi").sort("da_case_no")
    rows = changes.some(stream(seed, "disputes"), np.arange(cases.height), 0.01, len(_PROBLEMS))
    chosen = cases[rows]
    what = [_PROBLEMS[i % len(_PROBLEMS)] for i in range(chosen.height)]
    return pl.DataFrame(
        {
            "dispute_id": [f"DIS-{story.night:%Y}-{i:04d}" for i in range(1, chosen.height + 1)],
            "da_case_no": chosen["da_case_no"],
            "da_defendant_id": chosen["defendant_id"],
            "disputed_column": pl.Series([column for column, _ in what], dtype=pl.String),
            "problem": pl.Series([problem for _, problem in what], dtype=pl.String),
            "stated_on": [story.night] * chosen.height,
        },
        schema_overrides={"stated_on": pl.Date, "dispute_id": pl.String},
    )
