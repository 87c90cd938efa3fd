"""The one place that says yes or no to a row, and by what right.

Default deny: a statement goes on by a consent that counts now, or a court's order; a row by a person it can
be accounted to and by not being sealed; a column by its name in the agreement, and by the category of
information that the row's consent covers (`gate`). How much was withheld, and why, stays
inside the hub: it would tell of persons of whom nothing may be told (42 CFR 2.13(c)).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl
import pyarrow as pa

from leadhub.casework import statements
from leadhub.foundation.errors import TerminalError
from leadhub.identity.keyed import to_arrow
from leadhub.permission.agreements import Agreement
from leadhub.permission.gate import Gate

_CLIENT = ["feed", "client_id"]


@dataclass(frozen=True)
class Permitted:
    """Statements that this partner may have, with `consent_id` (null: by a court's order), the `categories`
    that it covers, and the `docket_no_token` that it is bound to (null: to none); `withheld` counts the
    others by reason."""

    statements: pl.DataFrame
    withheld: dict[str, int]


@dataclass(frozen=True)
class Disclosed:
    """`rows`: the agreement's columns, sorted, own ids still sealed. `grounds`: person_id, row_key,
    legal_basis, consent_id (sealed), feed (of the consent), a line a row. `withheld`: rows by reason."""

    rows: pa.Table
    grounds: pa.Table
    withheld: dict[str, int]


def permit(said: pl.DataFrame, active: pl.DataFrame) -> Permitted:
    """Statements (`casework.statements`) whose client consents to this partner now, and is the person
    who was referred. `active`: `consent.active` for its agreement. Of several documents that cover it, a
    statement goes by the one that covers most; ties, by the first.

    A referral number quoted wrongly would show one person's programme in another's case: where linkage
    does not find the client to be the person referred, the statement waits for review, also where the
    agreement's own link evidence is the number alone.
    """
    covering = _most_covering(active.filter(pl.col("categories").list.contains(statements.CATEGORY)))
    unbound = covering.filter(pl.col("docket_no_token").is_null())
    bound = covering.filter(pl.col("docket_no_token").is_not_null()).join(unbound, on=_CLIENT, how="anti")
    consented = said.join(pl.concat([unbound, bound]), on=_CLIENT)
    silent = said.join(covering, on=_CLIENT, how="anti")
    return _permitted(consented, silent.height)


def permit_by_order(said: pl.DataFrame, dockets: Collection[str], categories: Collection[str]) -> Permitted:
    """Statements about whoever stands in a proceeding that a court's order names, and is the person who was
    referred. `dockets`: tokens of the docket numbers, each of which a statement is then bound to."""
    if statements.CATEGORY not in categories:
        dockets = []
    order = pl.DataFrame({"docket_no_token": list(dockets)}, {"docket_no_token": pl.String})
    told = (pl.lit(None, pl.String).alias("consent_id"), pl.lit(sorted(categories)).alias("categories"))
    return _permitted(said.join(order.with_columns(told), how="cross"), 0)


def _permitted(consented: pl.DataFrame, silent: int) -> Permitted:
    shown = consented.filter("person_agrees")
    return Permitted(
        shown.sort("diversion_id", "feed", "record_id", "status", "consent_id"),
        {
            "no_consent": silent,
            "person_differs": consented.filter(~pl.col("person_agrees"))["record_id"].n_unique(),
        },
    )


def _most_covering(active: pl.DataFrame) -> pl.DataFrame:
    """Of each client and docket the document that covers most categories; ties, the first."""
    by = [*_CLIENT, "docket_no_token"]
    ranked = active.sort(*by, -pl.col("categories").list.len().cast(pl.Int64), "consent_id")
    return ranked.unique(by, keep="first", maintain_order=True)


#: the columns of the providers' clients that are read here, where no provider is left
NO_CLIENTS = pa.schema([(name, pa.string()) for name in ("record_id", *_CLIENT)]).empty_table()


def own_clients(
    clients: pa.Table,
    crosswalk: pa.Table,
    pairs: pa.Table,
    active: pl.DataFrame,
    agreement: Agreement,
    *,
    own_feeds: Collection[str],
) -> pl.DataFrame:
    """feed, client_id, consent_id, categories of the partner's own clients who consent, a row for each
    justice_record (id of a record of the police or the DA) that is known to be theirs: `min_bits` of
    evidence stand between it and the client's own record, or between it and another such record of theirs.
    What only another provider's row joins does not count. Empty unless the agreement joins by person.

    `clients`: the providers' state table; `pairs`: as `linkage.link` gives them.
    """
    evidence = agreement.link_evidence
    least = evidence.min_bits if evidence and evidence.min_bits is not None else float("inf")
    everyone = pl.DataFrame(pl.from_arrow(clients)).select("record_id", *_CLIENT)
    persons = pl.DataFrame(pl.from_arrow(crosswalk)).select("record_id", "feed", "person_id")
    mine = (
        everyone.filter(pl.col("feed").is_in(list(own_feeds)))
        .join(_most_covering(active.filter(pl.col("docket_no_token").is_null())), on=_CLIENT)
        .join(persons.drop("feed"), on="record_id")
    )
    law = persons.join(everyone.select("feed").unique(), on="feed", how="anti")
    justice = law.select("person_id", justice_record="record_id")
    strong = pl.DataFrame(pl.from_arrow(pairs)).filter(
        (pl.col("status") == "linked") & (pl.col("weight_bits") >= least)
    )
    either_way = pl.concat(
        [
            strong.select(record_id="left", justice_record="right"),
            strong.select(record_id="right", justice_record="left"),
        ]
    )
    direct = mine.join(either_way, on="record_id").join(justice, on=["justice_record", "person_id"])
    beyond = (
        direct.drop("record_id").rename({"justice_record": "record_id"}).join(either_way, on="record_id")
    )
    known = pl.concat([direct, beyond.select(direct.columns)])
    told = known.join(justice, on=["justice_record", "person_id"])
    return (
        told.select(*_CLIENT, "consent_id", "categories", "justice_record")
        .unique()
        .sort(*_CLIENT, "justice_record")
    )


def disclose(rows: pl.DataFrame, agreement: Agreement, gate: Gate) -> Disclosed:
    """Rows of a dataset, projected to the agreement's columns and accounted for.

    `rows` carry, besides the dataset's columns: person_id, row_key, consent_id and consent_feed (null where
    the row rests on no consent), categories (those that its consent, or a court's order, covers; null where
    it rests on neither), sealed_under. A column of another category is silenced. A row about a sealed
    record is withheld unless its provision leaves it open to this recipient for this purpose
    (`Gate.visible`); so is one that no person can be accounted for.
    Raises: TerminalError `column_not_allowed` for a column that the dataset does not have.
    """
    lacking = sorted(set(agreement.columns) - set(rows.columns))
    if lacking:
        raise TerminalError(
            "column_not_allowed", f"[{agreement.id}] lists columns {lacking} that its dataset does not have"
        )
    sealed = pl.col("sealed_under").is_not_null() & ~pl.col("sealed_under").is_in(list(gate.visible))
    unsealed = rows.filter(~sealed)
    accountable = unsealed.drop_nulls("person_id")
    known = gate.passed(accountable).sort("row_key")
    on_record = pl.col("categories").is_null()
    grounds = known.select(
        "person_id",
        "row_key",
        legal_basis=pl.when(on_record)
        .then(pl.lit(agreement.basis("justice_record")))
        .when(pl.col("consent_id").is_null())
        .then(pl.lit(agreement.basis("court_ordered_statement")))
        .otherwise(pl.lit(agreement.basis("consented_statement"))),
        consent_id="consent_id",
        feed="consent_feed",
    )
    withheld = {
        "sealed": rows.height - unsealed.height,
        "person_unknown": unsealed.height - accountable.height,
        "category_not_covered": accountable.height - known.height,
    }
    return Disclosed(to_arrow(known.select(agreement.columns)), to_arrow(grounds), withheld)
