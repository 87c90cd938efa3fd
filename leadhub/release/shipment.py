"""What one release ships, and what its partner holds afterwards: pure functions on sealed rows.

Two kinds. A *whole* release ships every permitted row, and the changes since the one before. Where a
licence does not allow publication (it has ended, two people have yet to approve it, an input is too
old), *withdrawals alone* are shipped: keys of rows that no longer may be there. They disclose nothing
and wait for nobody; a revocation and a seal are always processed (42 CFR 2.31(a)(6), CPL 160.50; T10).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from leadhub.foundation.errors import TerminalError
from leadhub.release import accounting, changes, encoding
from leadhub.release.package import Package


@dataclass(frozen=True)
class Content:
    """Permitted rows with sealed ids, and their `accounting.GROUNDS`, a line a row."""

    rows: pa.Table
    grounds: pa.Table


@dataclass(frozen=True)
class Shipment:
    """`rows` of the dataset file; `changes` (None: load the whole dataset); `held`: what the partner
    holds once it has loaded them; `accounted`: a line of `accounting.SCHEMA` a row of `rows`; `withdrawn`:
    how many rows it must remove, or replace by one that says less."""

    rows: pa.Table
    changes: pa.Table | None
    held: pa.Table
    accounted: pa.Table
    withdrawn: int

    @property
    def no_change(self) -> bool:
        return self.changes is not None and not self.changes.num_rows


def whole(package: Package, content: Content, held: pa.Table | None, *, stated: Sequence[str]) -> Shipment:
    """Every permitted row; changes against what is `held`, where that has the same columns.

    `stated`: as in `changes.diff`. Raises: TerminalError `counts_differ`; `state_invalid` where counts that
    were shipped would change.
    """
    rows = as_kept(content.rows)
    accounted = _account(package, content.grounds, rows)
    changed = None
    # where the columns changed, the partner loads the whole dataset
    if held is not None and held.schema.equals(rows.schema):
        changed = changes.diff(held, rows, key=package.key, stated=stated)
        if package.aggregate and set(changed["op"].to_pylist()) - {"insert"}:
            raise TerminalError(
                "state_invalid",
                f"counts of [{package.dataset}] have left and are others now; one could be taken from "
                "the other; nothing was released; restore var/statistics",
            )
    # also where it loads everything anew: what it had must go from wherever else it went
    gone = 0 if held is None else _withdrawn(package, held, rows, stated).num_rows
    return Shipment(rows, changed, rows, accounted, gone)


def withdrawals(
    package: Package, content: Content, held: pa.Table | None, *, stated: Sequence[str]
) -> Shipment | None:
    """Keys of held rows that are no longer permitted, or of which a statement is not; None without any.
    A count is about nobody: it is not taken back."""
    if held is None or package.aggregate:
        return None
    rows = as_kept(content.rows)
    found = _withdrawn(package, held, rows, stated)
    if not found.num_rows:
        return None
    lines = found.append_column("op", pa.array(["withdraw"] * found.num_rows, pa.string()))
    for field in rows.schema:
        if field.name not in package.key:
            lines = lines.append_column(field.name, pa.nulls(found.num_rows, field.type))
    none = rows.slice(0, 0)
    return Shipment(
        none,
        lines.select(["op", *rows.column_names]),
        changes.without(held, found, key=package.key),
        _account(package, content.grounds.slice(0, 0), none),
        found.num_rows,
    )


def _withdrawn(package: Package, held: pa.Table, rows: pa.Table, stated: Sequence[str]) -> pa.Table:
    """Keys, compared by the columns that both have."""
    shared = [c for c in rows.column_names if c in held.column_names]
    told = [c for c in stated if c in shared]
    return changes.withdrawals(held.select(shared), rows.select(shared), key=package.key, stated=told)


def _account(package: Package, grounds: pa.Table, rows: pa.Table) -> pa.Table:
    """A line a row; none for counts, which identify nobody (45 CFR 164.502(d)(2), 164.514(a))."""
    return accounting.account(
        grounds,
        shipped=0 if package.aggregate else rows.num_rows,
        columns=[c.name for c in package.columns],
        purpose=package.purpose,
        night=package.night,
    )


def as_kept(rows: pa.Table) -> pa.Table:
    """In the layout in which they are kept, so that the next release compares like with like."""
    return encoding.read_parquet(encoding.parquet(encoding.in_order(rows)))
