"""Pages of an API, one JSON body a line, read strictly: nothing repaired, no number changed.

Every scalar becomes text exactly as it was written: numbers keep all their digits (no float, so an id
above 2^53 and `1e999` stay what they are), `true` and `false` become those words, `null` stays null.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

import pyarrow as pa

from leadhub.foundation.errors import TerminalError

#: (row, field) of the cells that held an object, a list or text that is not Unicode
BadCells = list[tuple[int, str]]


class _NotStrictError(ValueError):
    """Repeated name or a number that JSON does not know."""


def read(data: bytes, name: str) -> tuple[pa.Table, BadCells]:
    """The rows of all pages, in order, as text columns; cells that are no scalar become null.

    Each line is an object whose `data` is a list of flat objects with the same fields in every row.
    No rows at all gives a table without columns.

    Raises: TerminalError `unreadable_file` (not strict JSON, or not a page), `schema_drift` (rows with
    other fields than the first row).
    """
    lines = data.removesuffix(b"\n").split(b"\n") if data else []
    fields: list[str] | None = None
    batches: list[pa.RecordBatch] = []
    bad: BadCells = []
    read_before = 0
    for number, line in enumerate(lines, 1):
        rows = _page(line, number, name)
        if rows and fields is None:
            fields = list(rows[0])
        if rows and fields is not None:
            _check_fields(rows, set(fields), read_before, name)
            columns = [_texts([row[f] for row in rows], f, read_before, bad) for f in fields]
            batches.append(pa.record_batch(columns, names=fields))
        read_before += len(rows)
    return (pa.Table.from_batches(batches) if batches else pa.table({})), bad


def _page(line: bytes, number: int, name: str) -> list[dict[str, Any]]:
    try:
        page = json.loads(
            line.decode("utf-8"),
            parse_int=str,
            parse_float=str,
            parse_constant=_refuse,
            object_pairs_hook=_unique,
        )
    except (ValueError, RecursionError) as error:
        why = "a repeated name or NaN" if isinstance(error, _NotStrictError) else "it is not strict JSON"
        _unreadable(name, number, why)
    rows = page.get("data") if isinstance(page, dict) else None
    if not isinstance(rows, list):
        _unreadable(name, number, "it has no list [data]")
    if not all(isinstance(row, dict) and row for row in rows):
        _unreadable(name, number, "[data] holds something other than objects with fields")
    return rows


def _check_fields(rows: list[dict[str, Any]], fields: set[str], read_before: int, name: str) -> None:
    if not all(map(_is_text, fields)):
        raise TerminalError("schema_drift", f"[{name}]: a field's name is no Unicode text")
    for offset, row in enumerate(rows):
        if row.keys() != fields:
            raise TerminalError(
                "schema_drift",
                f"[{name}]: row {read_before + offset + 1} has not the fields of row 1; "
                "send every field in every row, null where empty",
            )


def _unreadable(name: str, number: int, why: str) -> NoReturn:
    raise TerminalError(
        "unreadable_file", f"[{name}]: page {number} cannot be taken: {why}; correct the source, read again"
    ) from None


def _refuse(_constant: str) -> NoReturn:
    raise _NotStrictError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _NotStrictError
    return fields


def _texts(values: list[Any], field: str, read_before: int, bad: BadCells) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except (pa.ArrowException, UnicodeError):
        pass
    texts: list[str | None] = []
    for offset, value in enumerate(values):
        text = ("true" if value else "false") if isinstance(value, bool) else value
        if text is not None and not _is_text(text):
            bad.append((read_before + offset + 1, field))
            text = None
        texts.append(text)
    return pa.array(texts, pa.string())


def _is_text(value: Any) -> bool:
    """False for objects, lists and lone surrogates (`"\\ud800"` is JSON, but no Unicode text)."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
