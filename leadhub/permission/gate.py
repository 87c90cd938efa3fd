"""Column → category of information → consent line → recipient: compiled once for a release. Default deny.

A column that is protected says in its contract which category a consent must name for it. A licence
names the categories that it asks consents for (or a court's order, for which it speaks), and they must be
those of its columns. Each row then says which categories its own consent covers, and whatever column is of
another is silenced, whoever built the row (42 CFR 2.13(a), 2.31(a)(3)).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import polars as pl

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import ColumnFacts, TableFacts
from leadhub.permission import court_orders
from leadhub.permission.agreements import AGAINST_THE_PERSON, Agreement

#: what stands where nobody may say or can say anything
NO_INFORMATION = "NO_INFORMATION"


@dataclass(frozen=True)
class Gate:
    """`categories`: column → the category that it needs, of the columns of a licence that need one.
    `silent`: what stands in such a column otherwise; one that is not in it cannot be silent, and its row is
    withheld. `visible`: provisions under which this recipient may have a sealed record all the same."""

    categories: Mapping[str, str]
    silent: Mapping[str, str | None]
    visible: Collection[str] = ()

    @property
    def scope(self) -> dict[str, list[str]]:
        """Category → the columns that need it, both in order: what a partner is told of the consents."""
        found: dict[str, list[str]] = {}
        for column, category in self.categories.items():
            found.setdefault(category, []).append(column)
        return dict(sorted(found.items()))

    def covered(self, column: str) -> pl.Expr:
        """Whether a row's own consent covers a column (`categories` of the row, null where it has none)."""
        return pl.col("categories").list.contains(self.categories[column]).fill_null(value=False)

    def passed(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Rows of whom everything that must be told may be told; whatever else may not be, silenced."""
        must = [self.covered(c) for c in self.categories if c not in self.silent]
        whole = rows.filter(pl.all_horizontal(must)) if must else rows
        return whole.with_columns(
            pl.when(self.covered(c)).then(pl.col(c)).otherwise(pl.lit(said, whole.schema[c])).alias(c)
            for c, said in self.silent.items()
        )


def compiled(licence: Agreement, contract: TableFacts, visible: Collection[str] = ()) -> Gate:
    """What each column of a licence needs. `visible`: as in `Gate`.

    Raises: TerminalError `agreement_invalid` where the categories of its columns are not those of its
    consent rule, or its purpose is against the person and no court order opens it.
    """
    columns = [c for c in contract.columns if c.name in licence.columns and c.category is not None]
    needed = {c.name: str(c.category) for c in columns}
    if licence.purpose in AGAINST_THE_PERSON:
        asked = _ordered(licence, needed)
    else:
        asked = set(licence.consent.categories) if licence.consent else set()
    if set(needed.values()) != asked:
        raise TerminalError(
            "agreement_invalid",
            f"[{licence.id}] names the categories {sorted(asked)}, but its columns need "
            f"{sorted(set(needed.values()))}: {needed}",
        )
    quiet = {c.name: _silence(c) for c in columns if c.nullable or NO_INFORMATION in (c.codes or ())}
    return Gate(MappingProxyType(needed), MappingProxyType(quiet), tuple(visible))


def _ordered(licence: Agreement, needed: Mapping[str, str]) -> set[str]:
    order = licence.court_order
    if order is None and needed:
        raise TerminalError(
            "agreement_invalid",
            f"[{licence.id}] has purpose {licence.purpose}: 42 CFR 2.12(d) and 2.13(a) bar it for columns "
            f"{sorted(needed)} without a court order (2.64 to 2.67); nothing was released",
        )
    if order is not None and not order.opens(licence.purpose):
        raise TerminalError(
            "agreement_invalid",
            f"[{licence.id}] has purpose {licence.purpose}, which an order of type {order.type} does not "
            f"open; {list(court_orders.OPENS[licence.purpose])} would",
        )
    return set(order.categories) if order else set()


def _silence(column: ColumnFacts) -> str | None:
    return NO_INFORMATION if NO_INFORMATION in (column.codes or ()) else None
