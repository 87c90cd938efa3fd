"""Orders of a court that permit what no consent does: 42 CFR part 2, subpart E (2.61 to 2.67).

An order permits, and compels nobody (2.61(a)); it opens one purpose, for the proceedings that it names, for
the information that it finds essential, until it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from pydantic import Field, model_validator

from leadhub.foundation.facts_file import Facts

OrderType = Literal[
    "noncriminal_2_64", "criminal_patient_2_65", "program_investigation_2_66", "undercover_2_67"
]
#: purpose → the orders that open it. 2.64 serves no criminal purpose; 2.66 is about a programme, and what
#: it brings to light may not be used against a patient (2.66(d)); 2.67 lets an agent in and no record out
OPENS: Mapping[str, tuple[OrderType, ...]] = {
    "PROSECUTION": ("criminal_patient_2_65",),
    "INVESTIGATION": ("criminal_patient_2_65", "program_investigation_2_66"),
}


class CourtOrder(Facts):
    """One order, as a licence cites it."""

    type: OrderType
    court: str
    #: the court's own number of the order, and the hash of its signed text
    number: str
    document_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    ordered_on: date
    ends_on: date
    #: of information: what the order finds essential (2.64(e), 2.65(e))
    categories: list[str] = Field(min_length=1)
    #: docket numbers, sealed (`leadhub release docket`): it speaks of these proceedings and of no other
    proceedings: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _ends_after_it_begins(self) -> CourtOrder:
        if self.ends_on < self.ordered_on:
            raise ValueError("ends_on lies before ordered_on")
        return self

    def opens(self, purpose: str) -> bool:
        return self.type in OPENS.get(purpose, ())

    def in_force(self, day: date) -> bool:
        """By the site's calendar; the last day still counts."""
        return self.ordered_on <= day <= self.ends_on
