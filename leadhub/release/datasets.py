"""The datasets: permitted rows with sealed ids, and the ground each row stands on. Pure.

A programme status comes from a permitted statement or is NO_INFORMATION, the same for a person who did
not consent, one who has nothing to tell, and one who was never treated. Person ids stay in the grounds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from leadhub.casework import Casework, statements
from leadhub.foundation.errors import TerminalError
from leadhub.identity.keyed import to_arrow
from leadhub.permission.agreements import Agreement
from leadhub.permission.disclosure import Permitted

NO_INFORMATION = "NO_INFORMATION"
_INTAKE = ("INTAKE_PENDING", "INTAKE_COMPLETE", "INTAKE_WINDOW_LAPSED")


@dataclass(frozen=True)
class Built:
    """`rows`: the agreement's columns, own ids sealed. `grounds`: person_id, row_key, legal_basis,
    consent_id, one line a row. `withheld`: counts by reason, for the hub alone."""

    rows: pa.Table
    grounds: pa.Table
    withheld: dict[str, int]


@dataclass(frozen=True)
class Sources:
    """What a builder may look at: casework, this partner's permitted statements, its own clients with
    consent (feed, client_id, person_id, consent_id)."""

    casework: Casework
    permitted: Permitted
    own_clients: pl.DataFrame


def build(agreement: Agreement, sources: Sources) -> Built:
    """The dataset that the agreement names, projected to its columns.

    Raises: TerminalError `agreement_invalid` for a dataset nobody builds, `column_not_allowed` for a
    column that the dataset does not have.
    """
    builder = _BUILDERS.get(agreement.dataset)
    if builder is None:
        raise TerminalError(
            "agreement_invalid", f"[{agreement.id}] names a dataset that is none of {sorted(_BUILDERS)}"
        )
    rows = builder(sources)
    # a disclosure that cannot be accounted for is none: nobody could be told of it
    known = rows.drop_nulls("person_id")
    lacking = sorted(set(agreement.columns) - set(rows.columns))
    if lacking:
        raise TerminalError(
            "column_not_allowed", f"[{agreement.id}] lists columns {lacking} that do not exist"
        )
    grounds = known.select(
        "person_id",
        "row_key",
        legal_basis=pl.when(pl.col("consent_id").is_null())
        .then(pl.lit(agreement.basis("justice_record")))
        .otherwise(pl.lit(agreement.basis("consented_statement"))),
        consent_id="consent_id",
    )
    withheld = sources.permitted.withheld | {"person_unknown": rows.height - known.height}
    return Built(to_arrow(known.select(agreement.columns)), to_arrow(grounds), withheld)


def _frame(table: pa.Table) -> pl.DataFrame:
    return pl.DataFrame(pl.from_arrow(table))


def _stated(
    sources: Sources, only: tuple[str, ...] = tuple(s for s, _ in statements.PRECEDENCE)
) -> pl.DataFrame:
    """diversion_id, status, stated_on, consent_id: the permitted statement that counts."""
    said = sources.permitted.statements.filter(pl.col("status").is_in(only))
    return statements.prevailing(said).select("diversion_id", "status", "stated_on", "consent_id")


def _diversion_status(sources: Sources) -> pl.DataFrame:
    """One row a case of an arrest for which the police made a referral; the latest referral counts."""
    referred = (
        _frame(sources.casework.diversions)
        .drop("da_case_no")
        .filter(pl.col("referral_door") == "ARREST_DIVERSION")
    )
    cases = _frame(sources.casework.diversion_cases).select(
        "diversion_id", "da_case_no", defendant_id="da_defendant_id"
    )
    return (
        cases.join(referred, on="diversion_id")
        .sort("da_case_no", "defendant_id", "referral_on", "diversion_id")
        .group_by("da_case_no", "defendant_id", maintain_order=True)
        .last()
        .join(_stated(sources), on="diversion_id", how="left")
        .select(
            "da_case_no",
            "referral_status",
            "referral_on",
            "charges_held_until",
            "person_id",
            "consent_id",
            da_defendant_id="defendant_id",
            diversion_status=pl.col("status").fill_null(NO_INFORMATION),
            status_on="stated_on",
            row_key=pl.concat_str("da_case_no", "defendant_id", separator="|"),
        )
    )


def _referral_outcomes(sources: Sources) -> pl.DataFrame:
    """One row a referral of the police: intake where consented, and the DA's latest decision."""
    decided = (
        _frame(sources.casework.diversion_cases)
        .drop_nulls("decision")
        .sort("diversion_id", "decided_on", "case_record_id")
        .group_by("diversion_id", maintain_order=True)
        .last()
        .select("diversion_id", da_decision="decision", da_decision_on="decided_on")
    )
    return (
        _frame(sources.casework.diversions)
        .join(_stated(sources, _INTAKE), on="diversion_id", how="left")
        .join(decided, on="diversion_id", how="left")
        .select(
            "referral_no",
            "referral_status",
            "da_decision",
            "da_decision_on",
            "person_id",
            "consent_id",
            intake_status=pl.col("status").fill_null(NO_INFORMATION),
            intake_status_on="stated_on",
            row_key="referral_no",
        )
    )


def _client_justice_events(sources: Sources) -> pl.DataFrame:
    """One row a client, event, day, gravity and source; only clients who agreed to it."""
    key = ["client_id", "event_type", "event_on", "law_category", "source"]
    events = _frame(sources.casework.justice_events)
    return (
        sources.own_clients.drop_nulls("person_id")
        .join(events, on="person_id")
        .select(*key, "person_id", "consent_id")
        .unique(subset=key, keep="first", maintain_order=False)
        .with_columns(
            row_key=pl.concat_str([pl.col(k).cast(pl.String).fill_null("-") for k in key], separator="|")
        )
        .sort("row_key")
    )


_BUILDERS: dict[str, Callable[[Sources], pl.DataFrame]] = {
    "diversion_status": _diversion_status,
    "referral_outcomes": _referral_outcomes,
    "client_justice_events": _client_justice_events,
}
