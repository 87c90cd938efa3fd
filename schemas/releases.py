"""Contracts of what leaves. Descriptions feed the data dictionary that each delivery carries.

Each column says what it is made from, and inherits the strictest protection among that: a value derived
from Part 2 records is a Part 2 record (42 CFR 2.12(a), 2.13(a)). One that rests on a consent names the
category of information that the consent must name. A contract of this module cannot hold an identifier, nor
a column whose lineage is unknown, nor one of which nobody knows whose consent it needs: the check runs when
it is imported.
"""

import sys
from collections.abc import Mapping
from datetime import date

from leadhub.foundation.vocabulary import CONSENT_BOUND, STRICTEST_FIRST, Protection, Sensitivity
from schemas import codes, da, police, provider
from schemas.contract import Contract, column, facts, tables_of

_FEEDS = {"police": police, "da": da, "provider": provider}
#: what a statement of a provider, and whether it may be told, rests on
STATED = ("provider.clients", "provider.consents", "provider.intakes", "provider.episodes")
#: which of several referrals of an arrest counts
LATEST = "police.referrals.contact_at"


def _inherited(made_from: tuple[str, ...]) -> Protection:
    """The strictest protection among the columns named. Raises: ValueError for one that no feed has."""
    found = set()
    for source in made_from:
        contract, table, *name = source.split(".")
        models = tables_of(_FEEDS[contract]) if contract in _FEEDS else {}
        columns = facts(models[table]).columns if table in models else ()
        met = [c.protection for c in columns if not name or [c.name] == name]
        if not met:
            raise ValueError(f"no feed has [{source}]; name contract.table.column")
        found |= set(met)
    if not found:
        raise ValueError("say what the column is made from; what nobody can trace may not leave")
    return next(p for p in STRICTEST_FIRST if p in found)


def told(description: str, *made_from: str, **rest):
    """A fact that leaves."""
    return column(description, made_from=made_from, protection=_inherited(made_from), **rest)


def own_id(description: str, *made_from: str, nullable: bool = False):
    """An id that the partner itself issued; opened for this partner alone. To the partner it is what it was
    there, whatever the protection of the rows that it stands in."""
    _inherited(made_from)
    return column(
        description,
        sensitivity=Sensitivity.LOCAL_ID,
        protection=Protection.CJI_NONCHRI,
        made_from=made_from,
        nullable=nullable,
    )


class DiversionStatus(Contract):
    """For the District Attorney: one row a case whose arrest came to LEAD through the door of arrest
    diversion."""

    da_case_no: str = own_id("Your case number", "da.cases.da_case_no")
    da_defendant_id: str = own_id("Your defendant id", "da.cases.defendant_id")
    referral_status: str = told(
        "What the police write of the referral. INELIGIBLE_RETURNED: LEAD was not offered, for any reason",
        "police.referrals.offered",
        "police.referrals.accepted",
        LATEST,
        codes=codes.REFERRAL_STATUS,
    )
    referral_on: date = told("Day of the referral", LATEST)
    charges_held_until: date = told(
        "Day until which the police hold the charges",
        "police.arrests.charges_held_until",
        LATEST,
        nullable=True,
    )
    diversion_status: str = told(
        "What the programme states, where the person has consented. NO_INFORMATION says nothing at all",
        *STATED,
        LATEST,
        category="PROGRAMME_STATUS",
        codes=codes.DIVERSION_STATUS,
    )
    status_on: date = told(
        "Day of that statement", *STATED, LATEST, category="PROGRAMME_STATUS", nullable=True
    )

    class Config(Contract.Config):
        metadata = {
            "table": "diversion_status",
            "key": ["da_case_no", "da_defendant_id"],
            "cohort": "OWN_CASES_ON_DIVERTED_ARRESTS",
        }


class ReferralOutcomes(Contract):
    """For the police: what became of each referral they made."""

    referral_no: str = own_id("Your referral number", "police.referrals.referral_no")
    referral_status: str = told(
        "What you wrote about it. INELIGIBLE_RETURNED: LEAD was not offered, for any reason",
        "police.referrals.offered",
        "police.referrals.accepted",
        codes=codes.REFERRAL_STATUS,
    )
    intake_status: str = told(
        "What the programme states, where the person has consented. NO_INFORMATION says nothing at all",
        *STATED,
        category="PROGRAMME_STATUS",
        codes=("NO_INFORMATION", "INTAKE_PENDING", "INTAKE_COMPLETE", "INTAKE_WINDOW_LAPSED"),
    )
    intake_status_on: date = told(
        "Day of that statement", *STATED, category="PROGRAMME_STATUS", nullable=True
    )
    da_decision: str = told(
        "The District Attorney's latest decision on the arrest",
        "da.decisions",
        codes=codes.DA_DECISION,
        nullable=True,
    )
    da_decision_on: date = told("Day of that decision", "da.decisions", nullable=True)

    class Config(Contract.Config):
        metadata = {
            "table": "referral_outcomes",
            "key": ["referral_no"],
            "cohort": "OWN_REFERRALS",
        }


class ClientJusticeEvents(Contract):
    """For a provider: justice events of its own clients who have agreed to it. That they are its clients
    makes them Part 2 records."""

    client_id: str = own_id("Your client id", "provider.clients.client_id")
    event_type: str = told(
        "What happened",
        "provider.clients",
        "police.arrests",
        "da.charges",
        "da.decisions",
        "da.dispositions",
        category="JUSTICE_EVENTS",
        codes=("ARREST", "CHARGE_FILED", "DECISION", "DISPOSITION"),
    )
    event_on: date = told(
        "When",
        "provider.clients",
        "police.arrests.arrested_at",
        "da.charges.filed_on",
        "da.decisions.decided_on",
        "da.dispositions.disposed_on",
        category="JUSTICE_EVENTS",
    )
    law_category: str = told(
        "Gravest charge: felony, misdemeanour, violation, infraction",
        "provider.clients",
        "police.charges.law_category",
        "da.charges.law_category",
        category="JUSTICE_EVENTS",
        codes=codes.LAW_CATEGORY,
        nullable=True,
    )
    source: str = told(
        "Which kind of agency states it",
        "provider.clients",
        "police.arrests",
        "da.cases",
        category="JUSTICE_EVENTS",
        codes=("police", "da"),
    )

    class Config(Contract.Config):
        metadata = {
            "table": "client_justice_events",
            "key": ["client_id", "event_type", "event_on", "law_category", "source"],
            "cohort": "OWN_CLIENTS_WHO_AGREED",
        }


SEALS = ("da.cases", "da.dispositions", "da.seal_orders", "police.arrests")


class ReferredPersons(Contract):
    """For everybody: persons referred in a quarter, in counts of which none is small. A table of a quarter
    is made once, some weeks after its end, and never changed."""

    period: str = told("Quarter, as 2026Q3", "police.referrals.contact_at")
    race_ethnicity: str = told(
        "Race or ethnicity as the police record it (SPD-15). ALL: the sum",
        "police.persons.race_ethnicity",
        codes=(codes.ALL, *codes.RACE_ETHNICITY),
    )
    referral_status: str = told(
        "What the police write of the person's last referral in the quarter. ALL: the sum",
        "police.referrals.offered",
        "police.referrals.accepted",
        codes=(codes.ALL, *codes.REFERRAL_STATUS),
    )
    persons: int = told(
        "How many persons of the police's records, each counted once. Empty: not shown, which may be any "
        "number; it is not shown where it, or another that follows from it, is below 11. Referrals whose "
        "case was sealed before the table was made are in no count, so that successes are undercounted",
        "police.referrals",
        "police.persons",
        *SEALS,
        nullable=True,
    )

    class Config(Contract.Config):
        metadata = {
            "table": "referred_persons",
            "key": ["period", "race_ethnicity", "referral_status"],
            "cohort": "ALL_PERSONS_REFERRED",
        }


def checked(models: Mapping[str, type[Contract]]) -> Mapping[str, type[Contract]]:
    """The models themselves where each column is the partner's own id or a fact, of known lineage, no fact
    is protected less than what it is made from, and a category of information is named exactly where its
    protection asks for a consent.

    Raises: ValueError otherwise; it is raised on import, so that no such contract can exist (FAULTS G7).
    """
    for name, model in models.items():
        for found in facts(model).columns:
            place = f"release [{name}.{found.name}]"
            if found.sensitivity not in (Sensitivity.LOCAL_ID, Sensitivity.FACT):
                raise ValueError(f"{place} is [{found.sensitivity}]; names may not leave")
            try:
                least = _inherited(found.made_from)
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
            laxer = STRICTEST_FIRST.index(found.protection) > STRICTEST_FIRST.index(least)
            if found.sensitivity == Sensitivity.FACT and laxer:
                raise ValueError(f"{place} is [{found.protection}], but is made from [{least}]")
            bound = found.sensitivity == Sensitivity.FACT and found.protection in CONSENT_BOUND
            if found.category not in (codes.INFO_CATEGORY if bound else (None,)):
                raise ValueError(
                    f"{place} is [{found.protection}]: its category cannot be [{found.category}]"
                )
    return models


RELEASES = checked(tables_of(sys.modules[__name__]))
