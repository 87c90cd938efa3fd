"""State tables as frames, cut to what casework reads, with the persons behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import wraps

import polars as pl

from leadhub.casework import Inputs

#: contract kind → table → columns that casework reads besides `record_id`, `feed` and `landed_on`
_COLUMNS = {
    "police": {
        "persons": "person_no",
        "arrests": "arrest_no arrest_no_token cjtn_token person_no arrested_at diverted charges_held_until",
        "charges": "arrest_no law_category",
        "referrals": (
            "referral_no referral_no_token person_no referral_door contact_at offered "
            "not_offered_reason accepted arrest_no arrest_no_token"
        ),
    },
    "da": {
        "defendants": "defendant_id",
        "cases": (
            "da_case_no defendant_id docket_no_token arrest_no arrest_no_token cjtn cjtn_token received_on"
        ),
        "charges": "da_case_no charge_seq law_category filed_on",
        "decisions": "da_case_no decision decided_on updated_at",
        "dispositions": "da_case_no disposition disposed_on sealed_under updated_at",
        "seal_orders": (
            "order_id seal_type effective_on scope da_case_no charge_seq arrest_no arrest_no_token cjtn "
            "cjtn_token vacated_on"
        ),
    },
    "provider": {
        "clients": "client_id part2_program",
        "intakes": "client_id referral_no_token outcome outcome_on",
        "episodes": "client_id referral_no_token enrolled_on exited_on",
    },
    "disputes": {"disputes": "da_case_no disputed_column problem"},
}
_MOMENTS = ("arrested_at", "contact_at", "updated_at")
_FLAGS = ("diverted", "offered", "accepted", "part2_program")
_DATES = (
    "charges_held_until",
    "received_on",
    "filed_on",
    "decided_on",
    "disposed_on",
    "outcome_on",
    "enrolled_on",
    "exited_on",
    "effective_on",
    "vacated_on",
)
#: types of the columns that are not text, for a table that no feed has brought yet
_TYPES: dict[str, pl.DataType] = {
    **dict.fromkeys(_MOMENTS, pl.Datetime("us", "UTC")),
    **dict.fromkeys(_FLAGS, pl.Boolean()),
    **dict.fromkeys(_DATES, pl.Date()),
}
_PERSON_TABLES = ("police.persons", "da.defendants", "provider.clients")


@dataclass(frozen=True)
class Frames:
    """`frames["kind.table"]`; persons, defendants and clients carry `person_id` besides, and
    `linkage.pairs` are scored pairs of their records, `seals` the register of seals, `unread` refused rows
    that may be seals, `da.case_numbers` the numbers of a case's arrest, sealed by the office.

    `night`: what is dated later has not happened yet. `time_zone`: whose calendar days count.
    """

    tables: dict[str, pl.DataFrame]
    night: date
    time_zone: str
    #: what `once` keeps
    made: dict[Callable[[Frames], pl.DataFrame], pl.DataFrame] = field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, inputs: Inputs, *, night: str, time_zone: str) -> Frames:
        persons = pl.DataFrame(pl.from_arrow(inputs.crosswalk)).select("record_id", "person_id")
        tables = dict(_cut(inputs))
        for name in _PERSON_TABLES:
            tables[name] = tables[name].join(persons, on="record_id", how="left")
        numbers, cases = ("arrest_no", "cjtn"), tables["da.cases"]
        tables["da.case_numbers"] = cases.select("feed", "da_case_no", *numbers)
        tables["da.cases"] = cases.drop(numbers)
        tables["seals"] = pl.DataFrame(pl.from_arrow(inputs.seals))
        tables["unread"] = pl.DataFrame(pl.from_arrow(inputs.unread))
        tables["linkage.pairs"] = pl.DataFrame(pl.from_arrow(inputs.pairs)).select(
            "left", "right", "weight_bits"
        )
        return cls(tables, date.fromisoformat(night), time_zone)

    def __getitem__(self, name: str) -> pl.DataFrame:
        return self.tables[name]

    def happened(self, name: str, day: str) -> pl.DataFrame:
        """The rows of a table whose `day` is not after the night."""
        return self[name].filter(pl.col(day) <= self.night)

    def site_day(self, moment: str) -> pl.Expr:
        """The calendar day of a moment where the site is."""
        return pl.col(moment).dt.convert_time_zone(self.time_zone).dt.date()

    def last(self, name: str, day: str) -> pl.DataFrame:
        """Of each case the row of the latest `day`; of equals the one changed last, then by record id."""
        ordered = self.happened(name, day).sort("feed", "da_case_no", day, "updated_at", "record_id")
        return ordered.group_by("feed", "da_case_no", maintain_order=True).last()


def once(make: Callable[[Frames], pl.DataFrame]) -> Callable[[Frames], pl.DataFrame]:
    """What many ask of the same frames is worked out once."""

    @wraps(make)
    def kept(frames: Frames) -> pl.DataFrame:
        if make not in frames.made:
            frames.made[make] = make(frames)
        return frames.made[make]

    return kept


def _cut(inputs: Inputs) -> Iterator[tuple[str, pl.DataFrame]]:
    for kind, tables in _COLUMNS.items():
        given = getattr(inputs, kind)
        for name, listed in tables.items():
            columns = ["record_id", "feed", "landed_on", *listed.split()]
            if name in given:
                frame = pl.DataFrame(pl.from_arrow(given[name].select(columns)))
            else:
                frame = pl.DataFrame(schema={c: _TYPES.get(c, pl.String()) for c in columns})
            yield f"{kind}.{name}", frame
