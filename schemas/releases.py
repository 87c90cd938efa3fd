"""Contracts of what leaves. Descriptions feed the data dictionary that each delivery carries.

A contract of this module cannot hold an identifier: the check runs when it is imported.
"""

import sys
from collections.abc import Mapping
from datetime import date

from leadhub.foundation.vocabulary import Protection, Sensitivity
from schemas import codes
from schemas.contract import Contract, column, facts, tables_of

PART2 = Protection.PART2
CJI = Protection.CJI_NONCHRI


def own_id(description: str, *, nullable: bool = False):
    """An id that the partner itself issued; opened for this partner alone."""
    return column(description, sensitivity=Sensitivity.LOCAL_ID, protection=CJI, nullable=nullable)


class DiversionStatus(Contract):
    """For the District Attorney: one row a case whose arrest came to LEAD through the door of arrest
    diversion."""

    da_case_no: str = own_id("Your case number")
    da_defendant_id: str = own_id("Your defendant id")
    referral_status: str = column(
        "What the police write of the referral. INELIGIBLE_RETURNED: LEAD was not offered, for any reason",
        codes=codes.REFERRAL_STATUS,
        protection=CJI,
    )
    referral_on: date = column("Day of the referral", protection=CJI)
    charges_held_until: date = column(
        "Day until which the police hold the charges", nullable=True, protection=CJI
    )
    diversion_status: str = column(
        "What the programme states, where the person has consented. NO_INFORMATION says nothing at all",
        codes=codes.DIVERSION_STATUS,
        protection=PART2,
    )
    status_on: date = column("Day of that statement", nullable=True, protection=PART2)

    class Config(Contract.Config):
        metadata = {"table": "diversion_status", "key": ["da_case_no", "da_defendant_id"]}


class ReferralOutcomes(Contract):
    """For the police: what became of each referral they made."""

    referral_no: str = own_id("Your referral number")
    referral_status: str = column(
        "What you wrote about it. INELIGIBLE_RETURNED: LEAD was not offered, for any reason",
        codes=codes.REFERRAL_STATUS,
    )
    intake_status: str = column(
        "What the programme states, where the person has consented. NO_INFORMATION says nothing at all",
        codes=("NO_INFORMATION", "INTAKE_PENDING", "INTAKE_COMPLETE", "INTAKE_WINDOW_LAPSED"),
        protection=PART2,
    )
    intake_status_on: date = column("Day of that statement", nullable=True, protection=PART2)
    da_decision: str = column(
        "The District Attorney's latest decision on the arrest", codes=codes.DA_DECISION, nullable=True
    )
    da_decision_on: date = column("Day of that decision", nullable=True)

    class Config(Contract.Config):
        metadata = {"table": "referral_outcomes", "key": ["referral_no"]}


class ClientJusticeEvents(Contract):
    """For a provider: justice events of its own clients who have agreed to it."""

    client_id: str = own_id("Your client id")
    event_type: str = column(
        "What happened", codes=("ARREST", "CHARGE_FILED", "DECISION", "DISPOSITION"), protection=PART2
    )
    event_on: date = column("When", protection=PART2)
    law_category: str = column(
        "Gravest charge: felony, misdemeanour, violation, infraction",
        codes=codes.LAW_CATEGORY,
        nullable=True,
        protection=PART2,
    )
    source: str = column("Which kind of agency states it", codes=("police", "da"), protection=PART2)

    class Config(Contract.Config):
        metadata = {
            "table": "client_justice_events",
            "key": ["client_id", "event_type", "event_on", "law_category", "source"],
        }


def checked(models: Mapping[str, type[Contract]]) -> Mapping[str, type[Contract]]:
    """The models themselves where each column is the partner's own id or a fact.

    Raises: ValueError otherwise; it is raised on import, so that no such contract can exist (FAULTS G7).
    """
    for name, model in models.items():
        for found in facts(model).columns:
            if found.sensitivity not in (Sensitivity.LOCAL_ID, Sensitivity.FACT):
                raise ValueError(
                    f"release [{name}.{found.name}] is [{found.sensitivity}]; names may not leave"
                )
    return models


RELEASES = checked(tables_of(sys.modules[__name__]))
