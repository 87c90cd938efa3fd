"""The tiers above a licence: memorandum of understanding → data-sharing agreement → data-use licence.

AISP, *Finding a Way Forward: How to Create a Strong Legal Framework for Data Integration* (2022). The
memorandum says who shares at all and for what; a sharing agreement, which of one agency's feeds may be used
for which purposes and datasets; a licence (`agreements`), what one partner gets. A record leaves only where
all three stand. What is not covered is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field

from leadhub.foundation import facts_file
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import Protection, TableFacts
from leadhub.permission import agreements
from leadhub.permission.agreements import Agreement, Purpose, Signed

#: days before an end at which stewards are told
WARN_DAYS = (60, 30, 7)


class Memorandum(Signed):
    """Who shares at all, and for which purposes."""

    purposes: list[Purpose] = Field(min_length=1)
    principles: list[str] = Field(min_length=1)


class SharingAgreement(Signed):
    """What one agency lets the hub use: which feeds, under which laws, for which purposes and datasets."""

    memorandum: str
    discloser: str
    feeds: list[str] = Field(min_length=1)
    purposes: list[Purpose] = Field(min_length=1)
    datasets: list[str] = Field(min_length=1)
    #: classes of protected data among these feeds that may be used; PUBLIC needs no leave
    protections: list[Protection]
    legal_basis: list[str] = Field(min_length=1)
    #: what a recipient may do with it further: nothing, or pass it on with the notice of 42 CFR 2.32
    redisclosure: Literal["forbidden", "with_notice"]


Tier = TypeVar("Tier", bound=Signed)


@dataclass(frozen=True)
class Frame:
    """Memoranda and sharing agreements by id."""

    memoranda: Mapping[str, Memorandum]
    sharing: Mapping[str, SharingAgreement]

    def over(self, licence: Agreement) -> list[SharingAgreement]:
        """The sharing agreements that a licence names. Raises: TerminalError `agreement_invalid`."""
        unknown = [name for name in licence.under if name not in self.sharing]
        if unknown:
            raise TerminalError(
                "agreement_invalid",
                f"[{licence.id}] names sharing agreements that are not there: {unknown}; see "
                "agreements/sharing",
            )
        return [self.sharing[name] for name in licence.under]

    def feeds(self, licence: Agreement) -> frozenset[str]:
        """The feeds whose records a licence may use."""
        return frozenset(feed for sharing in self.over(licence) for feed in sharing.feeds)


def load(folder: Path) -> Frame:
    """`memoranda/` and `sharing/` of the agreements' folder.

    Raises: TerminalError `agreement_invalid` naming file and key.
    """
    frame = Frame(_all(folder / "memoranda", Memorandum), _all(folder / "sharing", SharingAgreement))
    for sharing in frame.sharing.values():
        above = frame.memoranda.get(sharing.memorandum)
        if above is None:
            raise TerminalError(
                "agreement_invalid", f"[{sharing.id}.yaml] is under no memorandum of agreements/memoranda"
            )
        beyond = sorted(set(sharing.purposes) - set(above.purposes))
        if beyond:
            raise TerminalError(
                "agreement_invalid",
                f"[{sharing.id}.yaml] has purposes {beyond} that memorandum [{above.id}] does not",
            )
    return frame


def _all(folder: Path, model: type[Tier]) -> dict[str, Tier]:
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        facts = facts_file.read(path, model, "agreement_invalid")
        if facts.id != path.stem:
            raise TerminalError("agreement_invalid", f"[{path.name}] must be named after its id")
        found[facts.id] = facts
    return found


def check(licence: Agreement, frame: Frame, agencies: Mapping[str, str], contract: TableFacts) -> None:
    """A licence says nothing that its sharing agreements do not cover. `agencies`: feed → agency.

    Raises: TerminalError `agreement_invalid` naming what is not covered.
    """
    above = frame.over(licence)
    for sharing in above:
        foreign = sorted(f for f in sharing.feeds if agencies.get(f) != sharing.discloser)
        if foreign:
            raise _uncovered(licence, f"[{sharing.id}] discloses feeds {foreign} of another agency")
        if licence.purpose not in sharing.purposes:
            raise _uncovered(licence, f"[{sharing.id}] does not allow purpose {licence.purpose}")
        if licence.dataset not in sharing.datasets:
            raise _uncovered(licence, f"[{sharing.id}] does not allow dataset {licence.dataset}")
    inputs = sorted(set(licence.inputs) - frame.feeds(licence))
    if inputs:
        raise _uncovered(licence, f"no sharing agreement covers its inputs {inputs}")
    allowed = {Protection.PUBLIC, *(p for sharing in above for p in sharing.protections)}
    columns = [
        c.name for c in contract.columns if c.name in licence.columns and c.protection not in allowed
    ]
    if columns:
        raise _uncovered(licence, f"no sharing agreement covers the protection class of {columns}")


def _uncovered(licence: Agreement, why: str) -> TerminalError:
    return TerminalError(
        "agreement_invalid", f"[{licence.id}]: {why}; nothing was released; ask who signs it"
    )


def check_in_force(licence: Agreement, frame: Frame, day: date) -> None:
    """The licence, its sharing agreements and their memoranda, each in its time and signed.

    Raises: TerminalError `agreement_not_in_force` naming the tier that is not.
    """
    for signed in tiers(licence, frame):
        agreements.check_in_force(signed, day)


def tiers(licence: Agreement, frame: Frame) -> list[Signed]:
    """All that a licence rests on, itself first."""
    above = frame.over(licence)
    return [licence, *above, *{s.memorandum: frame.memoranda[s.memorandum] for s in above}.values()]


def ending(licences: Iterable[Agreement], frame: Frame, day: date) -> dict[str, tuple[date, int]]:
    """id → (last day, the threshold of WARN_DAYS that was crossed) of every tier in use that ends soon or
    has ended."""
    found = {}
    for signed in {s.id: s for licence in licences for s in tiers(licence, frame)}.values():
        left = (signed.valid_until - day).days
        crossed = [days for days in WARN_DAYS if left <= days]
        if crossed:
            found[signed.id] = signed.valid_until, min(crossed)
    return found
