"""The datasets: what each may hold, from casework and what `permission` let through. Pure.

A programme status comes from a permitted statement or is NO_INFORMATION: the same for a person who did
not consent, one who has nothing to tell, and one who was never treated. What builds a row for the DA or
the police besides that is theirs alone, so that nothing a provider sends or leaves out can change it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import polars as pl

from leadhub.casework import Casework, statements
from leadhub.casework.provisions import strictest
from leadhub.foundation.errors import TerminalError
from leadhub.permission import disclosure
from leadhub.permission.agreements import Agreement
from leadhub.permission.disclosure import Disclosed, Permitted
from leadhub.permission.gate import NO_INFORMATION, Gate

#: of a statement: what the partner is told, and by which consent
_TOLD = ("status", "stated_on", "consent_id", "consent_feed", "categories")


@dataclass(frozen=True)
class Sources:
    """What a builder may look at: casework, this partner's permitted statements, its own clients
    (`disclosure.own_clients`), and the feeds of the agency whose ids it may have opened (None: of any; ids
    of another agency then fail to open)."""

    casework: Casework
    permitted: Permitted
    own_clients: pl.DataFrame
    own_feeds: Collection[str] | None = None

    def all_of(self, table: str) -> pl.DataFrame:
        return pl.DataFrame(pl.from_arrow(getattr(self.casework, table)))

    def own(self, table: str, feed: str) -> pl.DataFrame:
        """A table of casework, cut to the partner's own rows by the column that names their feed."""
        frame = self.all_of(table)
        if self.own_feeds is None:
            return frame
        return frame.filter(pl.col(feed).is_in(list(self.own_feeds)))


def build(agreement: Agreement, sources: Sources, gate: Gate) -> Disclosed:
    """The dataset that the agreement names, projected to its columns and accounted for. `gate`: which
    consent each column needs.

    Raises: TerminalError `agreement_invalid` for a dataset nobody builds, or one that joins by weaker
    evidence than the agreement allows; `column_not_allowed`.
    """
    if agreement.dataset not in _BUILDERS:
        raise TerminalError(
            "agreement_invalid", f"[{agreement.id}] names a dataset that is none of {sorted(_BUILDERS)}"
        )
    builder, evidence = _BUILDERS[agreement.dataset]
    agreed = agreement.link_evidence.kind if agreement.link_evidence else "no"
    if evidence == "person" and agreed != "person":
        raise TerminalError(
            "agreement_invalid", f"[{agreement.id}] allows {agreed} links, its dataset joins by {evidence}"
        )
    found = disclosure.disclose(builder(sources), agreement, gate)
    # a dataset by person tells events, not statements
    unsaid = {} if evidence == "person" else sources.permitted.withheld
    return Disclosed(found.rows, found.grounds, unsaid | found.withheld)


def _told(
    subjects: pl.DataFrame, permitted: Permitted, by: list[str], only: Collection[str]
) -> pl.DataFrame:
    """`by` and `_TOLD`: of each subject (`by`, diversion_id, docket_no_token of its case) the statement
    that counts. A consent bound to a proceeding tells of that proceeding's case alone (42 CFR 2.35)."""
    said = permitted.statements.filter(pl.col("status").is_in(list(only))).rename(
        {"docket_no_token": "bound_to"}
    )
    fits = pl.col("bound_to").is_null() | (pl.col("bound_to") == pl.col("docket_no_token"))
    met = subjects.select(*by, *{"diversion_id", "docket_no_token"} - set(by)).join(said, on="diversion_id")
    fitting = met.filter(fits.fill_null(value=False)).with_columns(consent_feed="feed")
    return statements.prevailing(fitting.sort("consent_id"), by=by).select(*by, *_TOLD)


def _diversion_status(sources: Sources) -> pl.DataFrame:
    """One row a case of the DA on an arrest that came through the door of arrest diversion. Where an arrest
    was referred twice, the latest referral counts."""
    key = ["da_case_no", "da_defendant_id"]
    referred = sources.all_of("diversions").filter(pl.col("referral_door") == "ARREST_DIVERSION")
    facts = ("referral_status", "referral_on", "charges_held_until", "person_id", "sealed_under")
    cases = (
        sources.own("diversion_cases", "da_feed")
        .select(*key, "diversion_id", "docket_no_token", "sealed_under")
        .join(referred.select("diversion_id", *facts), on="diversion_id", suffix="_arrest")
        .with_columns(sealed_under=strictest("sealed_under", "sealed_under_arrest"))
        .sort(*key, "referral_on", "diversion_id")
        .group_by(key, maintain_order=True)
        .last()
    )
    told = _told(cases, sources.permitted, key, [s for s, _ in statements.PRECEDENCE])
    return cases.join(told, on=key, how="left").with_columns(
        diversion_status=pl.col("status").fill_null(NO_INFORMATION),
        status_on="stated_on",
        row_key=pl.concat_str(key, separator="|"),
    )


def _referral_outcomes(sources: Sources) -> pl.DataFrame:
    """One row a referral of the police: intake where consented, and the DA's latest decision."""
    referred = sources.own("diversions", "feed")
    dockets = sources.all_of("diversion_cases").select("diversion_id", "docket_no_token")
    subjects = referred.select("diversion_id").join(dockets, on="diversion_id", how="left")
    told = _told(subjects, sources.permitted, ["diversion_id"], statements.INTAKE)
    return referred.join(told, on="diversion_id", how="left").with_columns(
        intake_status=pl.col("status").fill_null(NO_INFORMATION),
        intake_status_on="stated_on",
        da_decision="decision",
        da_decision_on="decided_on",
        row_key="referral_no",
    )


def _client_justice_events(sources: Sources) -> pl.DataFrame:
    """One row a client, event, day, gravity and source; only clients who agreed to it. A sealed event among
    equal ones does not hide the others."""
    key = ["client_id", "event_type", "event_on", "law_category", "source"]
    events = sources.all_of("justice_events").drop("feed").rename({"person_record_id": "justice_record"})
    return (
        sources.own_clients.rename({"feed": "consent_feed"})
        .join(events, on="justice_record")
        .sort(*key, "sealed_under", "consent_id", nulls_last=False)
        .unique(subset=key, keep="first", maintain_order=True)
        .with_columns(
            row_key=pl.concat_str([pl.col(k).cast(pl.String).fill_null("-") for k in key], separator="|")
        )
    )


#: dataset → its builder, and the weakest link evidence that it joins by
_BUILDERS: dict[str, tuple[Callable[[Sources], pl.DataFrame], str]] = {
    "diversion_status": (_diversion_status, "deterministic"),
    "referral_outcomes": (_referral_outcomes, "deterministic"),
    "client_justice_events": (_client_justice_events, "person"),
}
