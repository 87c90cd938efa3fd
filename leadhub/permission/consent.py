"""Consent: which client allows which recipient which category of information, at one moment.

42 CFR 2.31: a consent names its recipient, describes the information and says when it ends; an expired,
deficient or revoked one permits nothing, and a general release of information does not suffice for Part 2
records. 42 CFR 2.35: a consent that serves a proceeding counts for that proceeding alone. Default deny.

A line is one recipient × category of a signed document. It does not count where it is

- `revoked`: at or before the moment; or the client revoked another line for this recipient and category
  on or after the day on which this one was signed. Whoever takes a consent back means it, whichever
  paper the clerk marked; a consent given on a later day counts again (FAULTS G8, F30, F38).
- `not_yet_signed`, `expired`: by the site's calendar; the last day still counts.
- `ended`: the treatment or the proceeding that it was given for has ended, or had once (`consent_ends`).
- `end_unknown`: it ends by an event that nobody here can see, as in a proceeding that no known case bears;
  or never, which a Part 2 client's may not.
- `in_doubt`: a row of the provider's consents was refused and is not put right yet: it may have been the
  revocation, of any line of the client that it names, and of anybody's where it names nobody. So may a row
  of its episodes have been the end of the treatment, of lines that end with it.
- `discloser_missing`, `revocation_right_missing`, `signature_missing`, `tpo_statement_missing`,
  `signer_not_sufficient`, `known_false`: deficient on its face, or false (42 CFR 2.31(c)). What the form
  leaves out is asked of Part 2 papers and Part 2 clients alone.
- `type_not_sufficient`, `other_purpose`: the agreement asks for another.
- `no_proceeding`: a consent for a proceeding that names none, as a social contact has none (42 CFR 2.35).

`consent_reasons.yaml` holds what each means, with its citation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol
from zoneinfo import ZoneInfo

import polars as pl
import pyarrow as pa

from leadhub.foundation import facts_file, files
from leadhub.foundation.facts_file import Facts
from leadhub.identity import keyed
from leadhub.permission import consent_ends
from leadhub.permission.agreements import Agreement
from leadhub.permission.consent_ends import PAST, PROCEEDING

REASONS = Path(__file__).with_name("consent_reasons.yaml")
_CLIENT, _LINE = ["feed", "client_id"], ["feed", "record_id"]
_ASKED = {"recipient": pl.String, "info_category": pl.String}


#: what `active` gives
ACTIVE: dict[str, Any] = {
    "feed": pl.String,
    "client_id": pl.String,
    "docket_no_token": pl.String,
    "consent_id": pl.String,
    "categories": pl.List(pl.String),
}


#: of refused rows that are not put right: whose (null: whoever it is, of this feed), which line, and by
#: which event the lines end that it concerns (null: all lines)
DOUBTED: dict[str, Any] = {
    "feed": pl.String,
    "client_id": pl.String,
    "record_id": pl.String,
    "expiry_event": pl.String,
}


class Reason(Facts):
    """Why a line does not count, in words, and by what right."""

    id: str
    says: str
    citation: str
    standing: Literal["read", "recalled", "choice"]


class Reasons(Facts):
    """`insufficient_signers`: who may not sign alone for a Part 2 client (42 CFR 2.14)."""

    reasons: tuple[Reason, ...]
    insufficient_signers: tuple[str, ...]


@cache
def law(path: Path = REASONS) -> Reasons:
    """Raises: TerminalError `state_invalid` naming file and key."""
    return facts_file.read(path, Reasons, "state_invalid")


class Asks(Protocol):
    """Who asks for which consent (an `Agreement`; for linkage, a feed)."""

    @property
    def partner(self) -> str: ...

    #: an `agreements.ConsentRule`, or what has its facts
    @property
    def consent(self) -> Any: ...


def judged(
    consents: pa.Table,
    clients: pa.Table,
    agreement: Asks,
    *,
    at: datetime,
    time_zone: str,
    episodes: pa.Table | None = None,
    justice_events: pa.Table | None = None,
    doubted: pl.DataFrame | None = None,
    past: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Every line that names this partner and a category that it asks for, with `reasons` (a list) why it
    does not count.

    `consents`, `clients` and `episodes` are the providers' state tables with a `feed` column,
    `justice_events` is casework's; without the last two, lines that end by an event do not count.
    `doubted`: `DOUBTED` of the rows that stand open in quarantine. `past`: `consent_ends.PAST`, as the
    register remembers it. Sorted.
    """
    rule, day = agreement.consent, at.astimezone(ZoneInfo(time_zone)).date()
    described = keyed.to_frame(clients).select(*_CLIENT, "part2_program")
    # a proceeding that is not named cannot be looked at
    unnamed = (pl.col("consent_type") == PROCEEDING) & pl.col("docket_no_token").is_null()
    # a client nobody describes is treated as a Part 2 patient: the stricter rule
    protected = pl.col("part2_program").fill_null(value=True)
    types = (
        pl.when(protected)
        .then(pl.lit(rule.part2_types))
        .otherwise(pl.lit(rule.part2_types + rule.other_types))
    )
    revoked = pl.col("revoked_at") <= at.astimezone(UTC)
    revoked_on = pl.col("revoked_at").dt.convert_time_zone(time_zone).dt.date()
    last_revoked_on = pl.max_horizontal(
        pl.when(revoked).then(revoked_on).max().over(*_CLIENT, "info_category"), "revoked_before"
    )
    open_ended = pl.col("expires_on").is_null()
    # 2.31(a) binds what is a Part 2 consent, and whatever speaks of a Part 2 client
    formal = protected | pl.col("consent_type").str.starts_with("PART2_")
    stated = pl.col("tpo_statement").fill_null(value=False)
    # that it stands until an event is for a consent to a proceeding alone (2.35(c))
    too_late = (pl.col("revocable") == "NOT_BEFORE_EVENT") & (pl.col("consent_type") != PROCEEDING)
    reasons = {
        "revoked": revoked | pl.col("taken_back") | (last_revoked_on >= pl.col("signed_on")),
        "not_yet_signed": pl.col("signed_on") > day,
        "expired": pl.col("expires_on") < day,
        "ended": pl.col("ended") <= day,
        "end_unknown": open_ended
        & ~pl.col("end_visible")
        & (protected | (pl.col("expiry_event") != "NONE")),
        "in_doubt": _in_doubt(doubted),
        "discloser_missing": formal & pl.col("discloser").is_null(),
        "revocation_right_missing": formal & (pl.col("revocable").is_null() | too_late),
        "signature_missing": formal & pl.col("signer").is_null(),
        "signer_not_sufficient": formal & pl.col("signer").is_in(law().insufficient_signers),
        "tpo_statement_missing": (pl.col("consent_type") == "PART2_TPO") & ~stated,
        "known_false": pl.col("known_false"),
        "type_not_sufficient": ~pl.col("consent_type").is_in(types),
        "no_proceeding": unnamed,
        "other_purpose": ~pl.col("purpose").is_in(rule.purposes),
    }
    named = (pl.col("recipient") == agreement.partner) & pl.col("info_category").is_in(rule.categories)
    every = keyed.to_frame(consents)
    past = pl.DataFrame(schema=PAST) if past is None else past
    gone = consent_ends.revocations(every, past).filter(named, revoked)
    before = gone.group_by(*_CLIENT, "info_category").agg(revoked_before=revoked_on.max())
    lines = every.filter(named).join(described, on=_CLIENT, how="left")
    lines = lines.join(before, on=[*_CLIENT, "info_category"], how="left")
    themselves = gone.select(*_LINE).unique().with_columns(taken_back=True)
    lines = lines.join(themselves, on=_LINE, how="left")
    return (
        consent_ends.with_ends(lines, day, episodes, justice_events, past)
        .with_columns(
            reasons=pl.concat_list(
                [
                    pl.when(holds.fill_null(value=False)).then(pl.lit(name))
                    for name, holds in reasons.items()
                ]
            ).list.drop_nulls()
        )
        .drop("ended", "end_visible", "revoked_before", "taken_back")
        .sort("feed", "client_id", "consent_id", "info_category", "record_id")
    )


def _in_doubt(doubted: pl.DataFrame | None) -> pl.Expr:
    if doubted is None:
        return pl.lit(value=False)
    of_all = pl.col("expiry_event").is_null()
    by_treatment = pl.col("expiry_event") == consent_ends.TREATMENT
    return _meant(doubted.filter(of_all)) | (by_treatment & _meant(doubted.filter(by_treatment)))


def _meant(doubted: pl.DataFrame) -> pl.Expr:
    whole = doubted.filter(pl.col("client_id").is_null()).get_column("feed")
    clients = doubted.select(pl.struct(_CLIENT)).to_series()
    return (
        pl.col("feed").is_in(whole.implode())
        | pl.struct(_CLIENT).is_in(clients.implode())
        | pl.col("record_id").is_in(doubted.get_column("record_id").drop_nulls().implode())
    )


def active(
    consents: pa.Table,
    clients: pa.Table,
    agreement: Asks,
    *,
    at: datetime,
    time_zone: str,
    episodes: pa.Table | None = None,
    justice_events: pa.Table | None = None,
    doubted: pl.DataFrame | None = None,
    past: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """feed, client_id, docket_no_token, consent_id of the documents with a line that counts now, and the
    `categories` that it covers; sorted.

    `docket_no_token` is null for a consent that is bound to no proceeding. One row a client, docket and
    document.
    """
    lines = judged(
        consents,
        clients,
        agreement,
        at=at,
        time_zone=time_zone,
        episodes=episodes,
        justice_events=justice_events,
        doubted=doubted,
        past=past,
    )
    by = [*_CLIENT, "docket_no_token", "consent_id"]
    bound = pl.when(pl.col("consent_type") == PROCEEDING).then("docket_no_token")
    return (
        lines.filter(pl.col("reasons").list.len() == 0)
        .with_columns(docket_no_token=bound)
        .group_by(by)
        .agg(categories=pl.col("info_category").unique().sort())
        .sort(by, nulls_last=False)
    )


def valid_at(
    consents: pa.Table,
    clients: pa.Table,
    agreements: Sequence[Agreement],
    *,
    at: datetime,
    time_zone: str,
    episodes: pa.Table | None = None,
    justice_events: pa.Table | None = None,
    doubted: pl.DataFrame | None = None,
    past: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Every line at a moment, once for each agreement that asks for its recipient and category: `agreement`
    (its id; null where none asks) and `reasons` (ids in `law().reasons`; empty: it counts). By consent.

    Tables as in `judged`. Says what the consent allows; whether an agreement is in force is another matter.
    """
    told: dict[str, Any] = {"time_zone": time_zone, "episodes": episodes, "justice_events": justice_events}
    told |= {"doubted": doubted, "past": past}
    asking = [a for a in agreements if a.consent is not None]
    found = [
        judged(consents, clients, a, at=at, **told).with_columns(agreement=pl.lit(a.id)) for a in asking
    ]
    asked = pl.DataFrame(
        [(a.partner, c) for a in asking if a.consent for c in a.consent.categories], _ASKED, orient="row"
    )
    unasked = keyed.to_frame(consents).join(asked, on=list(_ASKED), how="anti")
    nobody = unasked.with_columns(
        agreement=pl.lit(None, pl.String), reasons=pl.lit(["not_asked_for"], pl.List(pl.String))
    )
    by = [*_CLIENT, "consent_id", "info_category", "recipient", "agreement"]
    return pl.concat([*found, nobody], how="diagonal").sort(by)


def state(active_lines: pl.DataFrame) -> str:
    """Hash of who consents now: part of a release's name, so that a changed state is a new release."""
    said = active_lines.with_columns(pl.col("categories").list.join("|"))
    return files.sha256_bytes(said.write_csv().encode())
