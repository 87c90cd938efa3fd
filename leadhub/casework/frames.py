"""State tables as frames, and the persons behind them."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from leadhub.casework import Inputs

#: columns that casework reads of each table; an absent table is empty with these (all text)
_COLUMNS = {
    "police": {
        "persons": ("record_id", "feed", "person_no"),
        "arrests": (
            "record_id",
            "feed",
            "arrest_no",
            "arrest_no_token",
            "cjtn_token",
            "person_no",
            "arrested_at",
            "diverted",
            "charges_held_until",
        ),
        "charges": ("record_id", "feed", "arrest_no", "law_category"),
        "referrals": (
            "record_id",
            "feed",
            "referral_no",
            "referral_no_token",
            "person_no",
            "referral_door",
            "contact_at",
            "offered",
            "not_offered_reason",
            "accepted",
            "arrest_no",
        ),
    },
    "da": {
        "defendants": ("record_id", "feed", "defendant_id"),
        "cases": (
            "record_id",
            "feed",
            "da_case_no",
            "defendant_id",
            "arrest_no_token",
            "cjtn_token",
            "received_on",
        ),
        "charges": ("record_id", "feed", "da_case_no", "law_category", "filed_on"),
        "decisions": ("record_id", "feed", "da_case_no", "decision", "decided_on"),
        "dispositions": ("record_id", "feed", "da_case_no", "disposition", "disposed_on"),
    },
    "provider": {
        "clients": ("record_id", "feed", "client_id", "part2_program"),
        "intakes": ("record_id", "feed", "client_id", "referral_no_token", "outcome", "outcome_on"),
        "episodes": ("record_id", "feed", "client_id", "referral_no_token", "enrolled_on", "exited_on"),
    },
    "disputes": {
        "disputes": (
            "record_id",
            "feed",
            "dispute_id",
            "da_case_no",
            "disputed_column",
            "problem",
            "stated_on",
        ),
    },
}
_TYPES = {
    "arrested_at": pl.Datetime("us", "UTC"),
    "contact_at": pl.Datetime("us", "UTC"),
    "diverted": pl.Boolean,
    "offered": pl.Boolean,
    "accepted": pl.Boolean,
    "part2_program": pl.Boolean,
    **dict.fromkeys(
        (
            "charges_held_until",
            "received_on",
            "filed_on",
            "decided_on",
            "disposed_on",
            "outcome_on",
            "enrolled_on",
            "exited_on",
            "stated_on",
        ),
        pl.Date,
    ),
}


@dataclass(frozen=True)
class Frames:
    """`tables["kind.table"]`; `police_persons`, `defendants`, `clients` carry `person_id`."""

    tables: dict[str, pl.DataFrame]

    @classmethod
    def of(cls, inputs: Inputs) -> Frames:
        persons = pl.DataFrame(pl.from_arrow(inputs.crosswalk)).select("record_id", "person_id")
        tables = {}
        for kind, wanted in _COLUMNS.items():
            given = getattr(inputs, kind)
            for name, columns in wanted.items():
                if name in given:
                    frame = pl.DataFrame(pl.from_arrow(given[name])).select(columns)
                else:
                    frame = pl.DataFrame(schema={c: _TYPES.get(c, pl.String) for c in columns})
                tables[f"{kind}.{name}"] = frame
        for name in ("police.persons", "da.defendants", "provider.clients"):
            tables[name] = tables[name].join(persons, on="record_id", how="left")
        return cls(tables)

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.tables[name]


def to_arrow(frame: pl.DataFrame) -> pa.Table:
    """Plain Arrow types, as the lake and the releases use them."""
    table = frame.to_arrow()
    schema = [
        pa.field(
            f.name,
            pa.string() if pa.types.is_large_string(f.type) or pa.types.is_string_view(f.type) else f.type,
        )
        for f in table.schema
    ]
    return table.cast(pa.schema(schema))
