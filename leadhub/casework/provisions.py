"""Provisions that records are sealed under: which is the stricter one, and who may have what all the same.

Default deny: `provisions.yaml` names recipient and purpose where the law leaves a record open; nothing else
opens one. Where several provisions seal a record, the strictest counts. Stricter than all is `IN_DOUBT`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import polars as pl
from pydantic import model_validator

from leadhub.foundation import facts_file
from leadhub.foundation.facts_file import Facts
from leadhub.foundation.vocabulary import RecipientKind

#: in place of a provision: a row that may seal the record was refused, and nobody knows what it said
IN_DOUBT = "IN_DOUBT"
TABLE = Path(__file__).with_name("provisions.yaml")


class Opening(Facts):
    """A recipient, and the purpose of an agreement with it, for which a record stays open."""

    recipient: RecipientKind
    purpose: str


class Provision(Facts):
    id: str
    visible_to: tuple[Opening, ...]
    citation: str
    standing: Literal["read", "recalled"]


class Provisions(Facts):
    """The strictest first."""

    provisions: tuple[Provision, ...]

    @model_validator(mode="after")
    def _stricter_is_stricter(self) -> Provisions:
        for stricter, other in zip(self.provisions, self.provisions[1:]):
            if not set(_pairs(stricter)) <= set(_pairs(other)):
                raise ValueError(
                    f"{stricter.id} is open to somebody to whom {other.id}, less strict, is not"
                )
        return self

    def visible(self, recipient: str, purpose: str) -> list[str]:
        """Provisions under which this recipient may have a record for this purpose."""
        return [p.id for p in self.provisions if (recipient, purpose) in _pairs(p)]


def _pairs(provision: Provision) -> list[tuple[str, str]]:
    return [(o.recipient, o.purpose) for o in provision.visible_to]


@cache
def load(path: Path = TABLE) -> Provisions:
    """Raises: TerminalError `state_invalid` naming file and key."""
    return facts_file.read(path, Provisions, "state_invalid")


def _ranked(expression: pl.Expr) -> pl.Expr:
    return expression.cast(pl.Enum([IN_DOUBT, *(p.id for p in load().provisions)]))


def strictest(*columns: str) -> pl.Expr:
    """Of a row's provisions the strictest; null where all are."""
    return pl.min_horizontal(_ranked(pl.col(c)) for c in columns).cast(pl.String)


def strictest_of(column: str) -> pl.Expr:
    """The strictest of many rows, for `agg` and `over`."""
    return _ranked(pl.col(column)).min().cast(pl.String)
