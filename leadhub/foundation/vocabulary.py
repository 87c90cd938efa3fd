"""The words that contracts, rooms and agreements share: what a column is, and how it is protected."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Sensitivity(StrEnum):
    """What may become of a column after validation. Only `FACT` goes on as it is."""

    IDENTIFIER = "identifier"  # names a person: becomes linkage tokens in memory, then is gone
    LOCAL_ID = "local_id"  # issued by the agency: sealed under that agency's key (AES-SIV)
    SHARED_ID = "shared_id"  # known to several agencies: sealed, and a keyed token beside it
    FACT = "fact"  # allow-listed: goes on as it is
    WITHHELD = "withheld"  # stays in landing


class Protection(StrEnum):
    """The law that follows a value into every table derived from it."""

    PART2 = "PART2"  # 42 CFR Part 2
    PHI = "PHI"  # 45 CFR 160.103
    MHL3313 = "MHL3313"  # NY Mental Hygiene Law 33.13
    CJI_NONCHRI = "CJI_NONCHRI"  # criminal justice information that is not criminal history
    PUBLIC = "PUBLIC"


#: of these nothing is told without a person's consent, or a court's order
CONSENT_BOUND = frozenset({Protection.PART2, Protection.MHL3313, Protection.PHI})

#: the stricter before the laxer; of values that are joined the strictest class holds for what they make
STRICTEST_FIRST = (
    Protection.PART2,
    Protection.MHL3313,
    Protection.PHI,
    Protection.CJI_NONCHRI,
    Protection.PUBLIC,
)


#: what a recipient is, in the law's eyes
RecipientKind = Literal["law_enforcement", "prosecutor", "defender", "provider", "housing", "public"]

#: identifier kinds that linkage understands (see `leadhub.identity.normalise`)
IDENTIFIER_KINDS = (
    "last_name",
    "first_name",
    "middle_name",
    "suffix",
    "date_of_birth",
    "birth_year",
    "sex",
    "ssn4",
    "nysid",
    "phone",
    "address_line",
    "city",
    "zip",
    "birth_place",
    "occupation",
)

#: identifiers issued by one agency and quoted by others
SHARED_ID_KINDS = ("arrest_no", "cjtn", "docket_no", "referral_no")


@dataclass(frozen=True)
class ColumnFacts:
    """One column of a contract, without the machinery that checks it.

    `type` is one of string, date, timestamp, integer, boolean. `kind` names the identifier or shared
    id (a FACT with a kind, such as sex, goes on and is also tokenised). `codes` is a closed list.
    `made_from`: what a column of a release is derived from, as `contract.table.column` or, for all columns
    of a table, `contract.table`. `category`: of a release, the category of information
    (`codes.INFO_CATEGORY`) that a consent must name for it; None where it rests on none.
    """

    name: str
    type: str
    nullable: bool
    sensitivity: Sensitivity
    protection: Protection
    description: str
    kind: str | None = None
    codes: tuple[str, ...] | None = None
    made_from: tuple[str, ...] = ()
    category: str | None = None


@dataclass(frozen=True)
class Reference:
    """`column` must name a key that the source holds in `table`.`parent_column`."""

    column: str
    table: str
    parent_column: str


@dataclass(frozen=True)
class TableFacts:
    """One table of a contract. `key` columns identify a row at its source. `cohort`: of a release, which
    rows there are."""

    name: str
    description: str
    key: tuple[str, ...]
    columns: tuple[ColumnFacts, ...]
    references: tuple[Reference, ...] = ()
    cohort: str = ""

    @property
    def holds_persons(self) -> bool:
        """True where a row describes a person who takes part in linkage."""
        return any(c.kind == "last_name" for c in self.columns)

    def column(self, name: str) -> ColumnFacts:
        return next(c for c in self.columns if c.name == name)

    def of(self, *sensitivities: Sensitivity) -> tuple[ColumnFacts, ...]:
        return tuple(c for c in self.columns if c.sensitivity in sensitivities)
