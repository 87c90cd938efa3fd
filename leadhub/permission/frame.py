"""The tiers above a licence: memorandum of understanding → data-sharing agreement → data-use licence.

AISP, *Finding a Way Forward: How to Create a Strong Legal Framework for Data Integration* (2022). The
memorandum says who shares at all and for what; a sharing agreement, which of one agency's feeds may be used
for which purposes and datasets; a licence (`agreements`), what one partner gets. A record leaves only where
all three stand. What is not covered is not used.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import Protection, TableFacts
from leadhub.permission import agreements, documents
from leadhub.permission.agreements import Agreement, Purpose
from leadhub.permission.documents import Folder, Signed

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


@dataclass(frozen=True)
class Frame:
    """Memoranda and sharing agreements by id. `faults`: file (`sharing/…`, `memoranda/…`) → why what it
    says cannot be used; a sharing agreement shares the fault of its memorandum."""

    memoranda: Mapping[str, Memorandum]
    sharing: Mapping[str, SharingAgreement]
    faults: Mapping[str, TerminalError] = field(default_factory=dict)

    def over(self, licence: Agreement) -> list[SharingAgreement]:
        """The sharing agreements that a licence names. Raises: TerminalError `agreement_invalid`."""
        for name in licence.under:
            if fault := self.faults.get(f"sharing/{name}"):
                raise fault
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
    """`memoranda/` and `sharing/` of the agreements' folder, each document for itself."""
    memoranda = documents.read_all(folder / "memoranda", Memorandum)
    sharing = documents.read_all(folder / "sharing", SharingAgreement)
    faults = {f"memoranda/{name}": fault for name, fault in memoranda.faults.items()}
    faults |= {f"sharing/{name}": fault for name, fault in sharing.faults.items()}
    standing = {}
    for name, agreement in sharing.found.items():
        try:
            _check_above(agreement, memoranda)
            standing[name] = agreement
        except TerminalError as fault:
            faults[f"sharing/{name}"] = fault
    return Frame(memoranda.found, standing, faults)


def _check_above(sharing: SharingAgreement, memoranda: Folder[Memorandum]) -> None:
    if fault := memoranda.faults.get(sharing.memorandum):
        raise fault
    above = memoranda.found.get(sharing.memorandum)
    if above is None:
        raise TerminalError(
            "agreement_invalid",
            f"[{sharing.id}.yaml] is under no memorandum of agreements/memoranda; name one in memorandum",
        )
    beyond = sorted(set(sharing.purposes) - set(above.purposes))
    if beyond:
        raise TerminalError(
            "agreement_invalid",
            f"[{sharing.id}.yaml] has purposes {beyond} that memorandum [{above.id}] does not; take them "
            "out, or have the memorandum changed",
        )


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
    """id → (last day, the threshold of WARN_DAYS that was crossed) of every tier in use, and of every
    court's order that a licence cites, that ends soon or has ended."""
    found = {}
    for name, last in (end for licence in licences for end in _ends(licence, frame)):
        crossed = [days for days in WARN_DAYS if (last - day).days <= days]
        if crossed:
            found[name] = last, min(crossed)
    return found


def _ends(licence: Agreement, frame: Frame) -> Iterator[tuple[str, date]]:
    """What a licence rests on, and until when; of documents that can be read."""
    above = [frame.sharing[name] for name in licence.under if name in frame.sharing]
    for signed in (licence, *above, *(frame.memoranda[s.memorandum] for s in above)):
        yield signed.id, signed.valid_until
    if licence.court_order is not None:
        yield f"court order of {licence.id}", licence.court_order.ends_on
