"""Consents that clients sign: documents of one or more lines (recipient × category of information)."""

from __future__ import annotations

import numpy as np
import polars as pl

from simulation.agencies.da import Da
from simulation.chance import growing_numbers, labels, pick

TABLE = (
    "consent_id",
    "client_id",
    "consent_type",
    "recipient",
    "info_category",
    "purpose",
    "signed_on",
    "expires_on",
    "expiry_event",
    "docket_no",
    "revoked_at",
    "document_sha256",
    "notice_version",
    "discloser",
    "signer",
    "revocable",
    "revocation_channel",
    "tpo_statement",
    "known_false",
)
_KEPT = ("person", "signed_on", "revoked_on", "docket_no", "always")
_OWN = "own"
#: what stands on the paper, and how often; "": the clerk, or the form, left it out
_PAPER = {
    "signer": {"PATIENT": 0.96, "GUARDIAN": 0.015, "PERSONAL_REP": 0.01, "PARENT": 0.01, "": 0.005},
    "discloser": {"THIS_PROGRAMME": 0.8, "LEAD_PROVIDERS": 0.15, "TREATING_PROVIDERS": 0.045, "": 0.005},
    "revocable": {"IN_WRITING": 0.6, "ORALLY_OR_IN_WRITING": 0.39, "": 0.01},
    "revocation_channel": {"IN_WRITING": 0.7, "ORALLY": 0.3},
}
#: kind of document → consent type, purpose, lines (recipient, category, share of documents with it)
_DOCUMENTS = {
    "roi": (
        "LEAD_ROI",
        "DIVERSION_COORDINATION",
        (
            ("district_attorney", "PROGRAMME_STATUS", 1.0),
            ("police", "PROGRAMME_STATUS", 0.6),
            (_OWN, "JUSTICE_EVENTS", 0.7),
            ("public_defender", "PROGRAMME_STATUS", 0.3),
            ("housing", "HOUSING", 0.15),
        ),
    ),
    "part2": (
        "PART2_SPECIFIC",
        "DIVERSION_COORDINATION",
        (("district_attorney", "PROGRAMME_STATUS", 1.0), (_OWN, "JUSTICE_EVENTS", 0.6)),
    ),
    "part2_police": (
        "PART2_SPECIFIC",
        "DIVERSION_COORDINATION",
        (
            ("district_attorney", "PROGRAMME_STATUS", 1.0),
            ("police", "PROGRAMME_STATUS", 1.0),
            (_OWN, "JUSTICE_EVENTS", 0.6),
        ),
    ),
    "care": (
        "PART2_TPO",
        "CARE_COORDINATION",
        (("riverside_treatment", "TREATMENT_PLAN", 1.0), ("harbor_case_management", "ATTENDANCE", 0.7)),
    ),
    "housing": ("HMIS_ROI", "CARE_COORDINATION", (("housing", "HOUSING", 1.0),)),
    "proceeding": (
        "PART2_CJ_2_35",
        "DIVERSION_COORDINATION",
        (("district_attorney", "PROGRAMME_STATUS", 1.0), ("district_attorney", "ATTENDANCE", 0.5)),
    ),
}


def consents(
    rng: np.random.Generator,
    referrals: pl.DataFrame,
    walks: pl.DataFrame,
    da: Da,
    agency: str,
    canaries: list[int],
) -> pl.DataFrame:
    """One row a line: columns of `TABLE` but `client_id`, and `person`, `seen_on`."""
    signed = referrals.filter(pl.col("signed_on").is_not_null() & (pl.col("consent") != "none"))
    signed = signed.sort("signed_on", "person").unique("person", keep="first", maintain_order=True)
    # canaries carry every line, so that what must not leave could
    signed = signed.with_columns(always=pl.col("person").is_in(canaries), docket_no=pl.lit(None, pl.String))
    came = walks.select(
        "person", signed_on="seen_on", revoked_on=pl.lit(None, pl.Date), docket_no=pl.lit(None, pl.String)
    ).with_columns(always=pl.lit(value=False))
    kinds = pl.Series(pick(rng, {"care": 0.3, "housing": 0.12, "": 0.58}, came.height).tolist())
    documents = [
        signed.select(*_KEPT, kind=pl.lit("roi")),
        signed.filter(pl.col("consent") != "roi").select(*_KEPT, kind="consent"),
        came.with_columns(kind=kinds).filter(pl.col("kind") != "").select(*_KEPT, "kind"),
        _proceedings(rng, came, da),
    ]
    whole = pl.concat(documents, how="vertical_relaxed").sort("signed_on", "person", "kind")
    return _lines(rng, _with_ends(rng, whole, agency), agency)


def _proceedings(rng: np.random.Generator, came: pl.DataFrame, da: Da) -> pl.DataFrame:
    """42 CFR 2.35: participation is a condition of a case that stands at court."""
    filed = da.cases.filter(pl.col("docket_no").is_not_null()).unique(
        "person", keep="first", maintain_order=True
    )
    both = came.drop("docket_no").join(filed.select("person", "docket_no", "filed_on"), on="person")
    both = both.sort("person").filter(pl.Series(rng.random(both.height) < 0.35))
    signed_on = pl.max_horizontal("signed_on", pl.col("filed_on") + pl.duration(days=6))
    return both.with_columns(signed_on=signed_on, kind=pl.lit("proceeding")).select(*_KEPT, "kind")


def _with_ends(rng: np.random.Generator, documents: pl.DataFrame, agency: str) -> pl.DataFrame:
    size = documents.height
    ends = pick(rng, {365: 0.82, 90: 0.09, -1: 0.09}, size).astype(int)
    days = pl.Series(np.where(documents["always"].to_numpy(), 365, ends))
    proceeding = pl.col("kind") == "proceeding"
    by_event = (days < 0) | proceeding
    seconds = pl.Series(rng.integers(13 * 3600, 21 * 3600, size))
    hashes = rng.bytes(32 * size).hex()
    documents = documents.with_columns(_paper(rng.spawn(1)[0], documents))
    return documents.with_columns(
        revocable=pl.when(proceeding).then(pl.lit("NOT_BEFORE_EVENT")).otherwise("revocable"),
        revocation_channel=pl.when(pl.col("revoked_on").is_not_null()).then("revocation_channel"),
        tpo_statement=pl.when(pl.col("kind") == "care").then(pl.lit(value=True)),
        consent_id=labels(f"C{agency[0].upper()}", growing_numbers(rng, size, 30_000), 7),
        expires_on=pl.when(~by_event).then(pl.col("signed_on") + pl.duration(days=days)),
        expiry_event=pl.when(proceeding)
        .then(pl.lit("FINAL_DISPOSITION"))
        .when(by_event)
        .then(pl.lit("END_OF_TREATMENT")),
        revoked_at=pl.col("revoked_on").cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
        + pl.duration(seconds=seconds),
        document_sha256=pl.Series([hashes[i : i + 64] for i in range(0, 64 * size, 64)], dtype=pl.String),
        notice_version=pl.Series(
            pick(rng, {"2026-02": 0.8, "2024-04": 0.2}, size).tolist(), dtype=pl.String
        ),
    )


def _paper(rng: np.random.Generator, documents: pl.DataFrame) -> list[pl.Series]:
    """The other elements of 42 CFR 2.31(a). A canary's papers are in order."""
    size, always = documents.height, documents["always"]
    columns = []
    for name, shares in _PAPER.items():
        drawn = pl.Series(name, pick(rng, shares, size).tolist(), dtype=pl.String)
        columns.append(drawn.set(always, next(iter(shares))).replace("", None))
    return [*columns, pl.Series("known_false", rng.random(size) < 0.004) & ~always]


def _lines(rng: np.random.Generator, documents: pl.DataFrame, agency: str) -> pl.DataFrame:
    parts = []
    for kind, (consent_type, purpose, lines) in _DOCUMENTS.items():
        for recipient, category, share in lines:
            mine = documents.filter(kind=kind)
            drawn = pl.Series(rng.random(mine.height) < share) | mine["always"]
            parts.append(
                mine.filter(drawn).with_columns(
                    consent_type=pl.lit(consent_type),
                    purpose=pl.lit(purpose),
                    recipient=pl.lit(agency if recipient == _OWN else recipient),
                    info_category=pl.lit(category),
                )
            )
    columns = [c for c in TABLE if c != "client_id"]
    lines = pl.concat(parts).with_columns(seen_on="signed_on")
    return lines.select(*columns, "person", "seen_on").sort("consent_id", "recipient", "info_category")
