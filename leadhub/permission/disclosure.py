"""The one place that says yes or no to a statement, and why."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from leadhub.permission.agreements import Agreement


@dataclass(frozen=True)
class Permitted:
    """`statements` that this partner may have, with `consent_id`; `withheld` counts the others by reason.

    The withheld counts stay inside the hub: they would tell of persons whose treatment may not be told.
    """

    statements: pl.DataFrame
    withheld: dict[str, int]


def permit(said: pl.DataFrame, active: pl.DataFrame, agreement: Agreement) -> Permitted:
    """Statements whose client consents to this partner and is the person who was referred.

    A referral number quoted wrongly would show one person's programme in another's case: where linkage
    does not find the client to be the person referred, the statement waits for review.
    """
    with_consent = said.join(active, on=["feed", "client_id"], how="left")
    consented = pl.col("consent_id").is_not_null()
    shown = with_consent.filter(consented & pl.col("person_agrees"))
    return Permitted(
        shown,
        {
            "no_consent": with_consent.filter(~consented).height,
            "person_differs": with_consent.filter(consented & ~pl.col("person_agrees")).height,
        },
    )
