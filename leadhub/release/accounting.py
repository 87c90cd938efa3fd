"""Accounting of disclosures: which person stood in which row of which release, and by what right.

One Parquet file a release, its SHA-256 in the partner's ledger (42 CFR 2.25, 45 CFR 164.528, and the
list of 42 CFR 2.24). Person ids are the hub's own and row keys are sealed, so the file names nobody;
it stays inside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from leadhub.foundation import files, ledger
from leadhub.foundation.errors import TerminalError
from leadhub.release import encoding

#: what a dataset builder gives, a line a shipped row: each record has its own legal basis, and the
#: consent where it rests on one
GROUNDS = pa.schema(
    [
        pa.field("person_id", pa.string(), nullable=False),
        pa.field("row_key", pa.string(), nullable=False),
        pa.field("legal_basis", pa.string(), nullable=False),
        pa.field("consent_id", pa.string()),
    ]
)
#: what is kept: `columns` are the names disclosed
SCHEMA = pa.schema(
    [
        *GROUNDS,
        pa.field("columns", pa.list_(pa.string())),
        pa.field("purpose", pa.string()),
        pa.field("night", pa.string()),
    ]
)
FILE = "accounting.parquet"
#: a disclosure that may have happened is one until it is settled
COMMITTED, POSSIBLE = "committed", "possible"
#: of a `committed` entry: it was being sent when all stopped, and the outbox was found empty
PERHAPS = "recorded as made: it was being sent, and who empties the outbox may have it"


def account(
    grounds: pa.Table, *, shipped: int, columns: Sequence[str], purpose: str, night: str
) -> pa.Table:
    """The accounting table (`SCHEMA`) of a release with `shipped` rows, sorted by person and row.

    Raises: TerminalError `counts_differ` unless each shipped row has exactly one line, with a person
    and a legal basis.
    """
    given = grounds.select(GROUNDS.names).cast(pa.schema([f.with_nullable(True) for f in GROUNDS]))
    gaps = sum(given[f.name].null_count for f in GROUNDS if not f.nullable)
    if given.num_rows != shipped or gaps or pc.count_distinct(given["row_key"]).as_py() != shipped:
        raise TerminalError(
            "counts_differ",
            f"{shipped} rows to be shipped, {given.num_rows} accounted for, {gaps} persons, row keys or "
            "legal bases missing; correct the dataset before anything leaves",
        )
    ordered = given.sort_by([("person_id", "ascending"), ("row_key", "ascending")])
    for name, value in {"columns": list(columns), "purpose": purpose, "night": night}.items():
        kind = SCHEMA.field(name).type
        ordered = ordered.append_column(name, pa.array([value] * shipped, kind))
    return ordered


def write(table: pa.Table, folder: Path) -> str:
    """`accounting.parquet` in `folder`; returns its SHA-256. Raises: TransientError."""
    data = encoding.parquet(table)
    files.write_bytes(folder / FILE, data)
    return files.sha256_bytes(data)


def read(path: Path, sha256: str | None = None) -> pa.Table:
    """Raises: TerminalError `ledger_broken` where the file is not the one that the ledger names."""
    data = path.read_bytes() if path.exists() else b""
    if not data or (sha256 is not None and files.sha256_bytes(data) != sha256):
        raise TerminalError(
            "ledger_broken",
            f"[{path.parent.parent.name}/{path.name}] is not the one in the ledger; restore its backup",
        )
    return encoding.read_parquet(data)


def persons_in(release: Path) -> list[str]:
    """Person ids of one release folder, sorted: who was in that file?"""
    return sorted(set(read(release / "inside" / FILE)["person_id"].to_pylist()))


def disclosures(var: Path, person_id: str) -> list[dict[str, object]]:
    """Everything that was, or may have been, told of a person: a line a row and release, oldest first.

    Keys: partner, dataset, sequence, release_id, status (`committed` or `possible`), at, agreement,
    agreement_version, and those of `SCHEMA`.
    Raises: TerminalError `ledger_broken`.
    """
    found: list[dict[str, object]] = []
    for head, table in _told(var):
        of_person = table.filter(pc.equal(table["person_id"], person_id))
        found += [head | row for row in of_person.to_pylist()]
    return sorted(found, key=lambda d: (str(d["at"]), str(d["partner"]), str(d["dataset"]), d["row_key"]))


def deliveries(var: Path) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Every release that was, or may have been, delivered, of one partner after the other, and whose data
    stood in it: partner, dataset, sequence, release_id, night, status, at, …; person ids.

    Raises: TerminalError `ledger_broken`.
    """
    for head, table in _told(var):
        yield head, set(table["person_id"].to_pylist())


def standing(entry: ledger.Entry) -> str:
    """Whether it was disclosed, or may have been."""
    return COMMITTED if entry.kind == "committed" and entry.note != PERHAPS else POSSIBLE


def _told(var: Path) -> Iterator[tuple[dict[str, Any], pa.Table]]:
    for chain in files.found(var / "ledger", "*.jsonl"):
        told: dict[tuple[int | None, str | None], ledger.Entry] = {}
        for entry in ledger.entries(chain):
            if entry.kind in ("intent", "committed"):
                told[entry.sequence, entry.release_id] = entry
            elif entry.kind == "note":
                told.pop((entry.sequence, entry.release_id), None)
        for entry in told.values():
            release = f"{entry.sequence:06d}_{entry.release_id}"
            path = var / "releases" / chain.stem / str(entry.dataset) / release / "inside" / FILE
            head = {
                "partner": chain.stem,
                "dataset": entry.dataset,
                "sequence": entry.sequence,
                "release_id": entry.release_id,
                "night": entry.night,
                "status": standing(entry),
                "at": entry.at,
                "agreement": entry.agreement,
                "agreement_version": entry.agreement_version,
            }
            yield head, read(path, entry.accounting_sha256)
