"""How a contract is written: a pandera model whose fields carry everything known of a column.

One column fact, one place: type, nullability, codes, sensitivity, protection and description stand in
the field; documentation, quarantine reasons, pseudonymisation and the data dictionary derive from it.
A contract that contradicts itself cannot be imported.
"""

from __future__ import annotations

import types
import typing

import pandera.polars as pa
import polars as pl

from leadhub.foundation.vocabulary import (
    IDENTIFIER_KINDS,
    SHARED_ID_KINDS,
    ColumnFacts,
    Protection,
    Reference,
    Sensitivity,
    TableFacts,
)

Timestamp = pl.Datetime("us", "UTC")
#: type name in `ColumnFacts` → polars type of the column after parsing
DTYPES: dict[str, pl.DataType] = {
    "string": pl.String(),
    "date": pl.Date(),
    "timestamp": Timestamp,
    "integer": pl.Int64(),
    "boolean": pl.Boolean(),
}
_TYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def column(
    description: str,
    *,
    sensitivity: Sensitivity = Sensitivity.FACT,
    protection: Protection = Protection.CJI_NONCHRI,
    kind: str | None = None,
    codes: tuple[str, ...] | None = None,
    made_from: tuple[str, ...] = (),
    category: str | None = None,
    nullable: bool = False,
    **checks: typing.Any,
) -> typing.Any:
    """A pandera field with the facts of a column; `checks` are pandera's (ge, str_matches, …)."""
    if codes is not None:
        checks["isin"] = list(codes)
    facts = {
        "sensitivity": sensitivity,
        "protection": protection,
        "kind": kind,
        "codes": codes,
        "made_from": made_from,
        "category": category,
    }
    return pa.Field(nullable=nullable, description=description, metadata=facts, **checks)


def rule(name: str, column_name: str) -> typing.Callable:
    """A cross-field rule of a row. Its name, `column:rule`, is what a rejection report says.

    The decorated function takes `(cls, data)` and returns `data.lazyframe.select(<boolean expression>)`,
    true where the row is good.
    """
    return pa.dataframe_check(name=f"{column_name}:{name}")


class Contract(pa.DataFrameModel):
    """Base of all contracts. A subclass names `table`, `key` and `references` in its `Config.metadata`."""

    class Config:
        strict = True
        coerce = False


def facts(model: type[Contract]) -> TableFacts:
    """The facts of a contract as plain data, for the rooms that must not import pandera.

    Raises: ValueError where the contract contradicts itself (unknown kind, key that is no column).
    """
    meta = model.Config.metadata
    columns = []
    for name, field in model.to_schema().columns.items():
        own = field.metadata
        kinds = IDENTIFIER_KINDS if own["sensitivity"] != Sensitivity.SHARED_ID else SHARED_ID_KINDS
        if own["kind"] is not None and own["kind"] not in kinds:
            raise ValueError(f"[{model.__name__}.{name}] has unknown kind [{own['kind']}]")
        columns.append(
            ColumnFacts(
                name=name,
                type=_TYPE_NAMES[field.dtype.type],
                nullable=field.nullable,
                sensitivity=own["sensitivity"],
                protection=own["protection"],
                description=field.description,
                kind=own["kind"],
                codes=own["codes"],
                made_from=own["made_from"],
                category=own["category"],
            )
        )
    names = {c.name for c in columns}
    key = tuple(meta["key"])
    references = tuple(Reference(*r) for r in meta.get("references", ()))
    if not set(key) <= names or not {r.column for r in references} <= names:
        raise ValueError(f"[{model.__name__}] names a key or reference that is no column")
    doc = " ".join((model.__doc__ or "").split())
    cohort = meta.get("cohort", "")
    return TableFacts(meta["table"], doc, key, tuple(columns), references, cohort)


def tables_of(module: types.ModuleType) -> dict[str, type[Contract]]:
    """Table name → contract, for every contract in a schema module."""
    models = [
        m
        for m in vars(module).values()
        if isinstance(m, type) and issubclass(m, Contract) and m is not Contract
    ]
    return {m.Config.metadata["table"]: m for m in models}
