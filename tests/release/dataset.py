"""A small dataset as a partner gets it, for the tests of this folder."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pyarrow as pa

from leadhub.foundation.vocabulary import ColumnFacts, Protection, Sensitivity
from leadhub.release.documents import DisputeFile
from leadhub.release.package import Package

STATUS = ("NO_INFORMATION", "INTAKE_COMPLETE", "ENROLLED")


def column(name: str, kind: str = "string", **given) -> ColumnFacts:
    facts = {
        "nullable": False,
        "sensitivity": Sensitivity.FACT,
        "protection": Protection.CJI_NONCHRI,
        "description": f"The {name}",
    }
    return ColumnFacts(name, kind, **(facts | given))


COLUMNS = (
    column("case_no", sensitivity=Sensitivity.LOCAL_ID),
    column("diversion_status", codes=STATUS, protection=Protection.PART2),
    column("status_date", "date", nullable=True),
    column("note", nullable=True),
)

PACKAGE = Package(
    partner="district_attorney",
    dataset="diversion_status",
    title="Diversion status",
    night="2026-11-20",
    agreement="district_attorney__diversion_status",
    agreement_version="1.0",
    agreement_sha256="a" * 64,
    purpose="Decide whether to file charges in diverted cases",
    legal_basis="MOU section 4; consent under 42 CFR 2.31",
    contact="data-stewards@leadhub.example",
    columns=COLUMNS,
    key=("case_no",),
    inputs={"your case system": "2026-11-20", "police records": None},
    use_limits=("Not evidence in any proceeding against the person.",),
    notice="42cfr2_statement_1_2024",
    dispute=DisputeFile("disputes_<YYYYMMDD>_<NN>.csv", "its .sha256", (column("dispute_id"),)),
    sequence=1,
)


def table(*entries: tuple) -> pa.Table:
    """Rows of (case_no, diversion_status, status_date, note)."""
    types = (pa.string(), pa.string(), pa.date32(), pa.string())
    arrays = [pa.array([e[i] for e in entries], t) for i, t in enumerate(types)]
    return pa.table(arrays, names=[c.name for c in COLUMNS])


def rows() -> pa.Table:
    """Three cases, not in order."""
    return table(
        ("DA-3", "ENROLLED", date(2026, 11, 1), "=1+1"),
        ("DA-1", "NO_INFORMATION", None, None),
        ("DA-2", "INTAKE_COMPLETE", date(2026, 10, 9), 'a "quoted", text'),
    )


def changes(*entries: tuple) -> pa.Table:
    """Rows of (op, case_no, diversion_status, status_date, note)."""
    return table(*(e[1:] for e in entries)).add_column(
        0, "op", pa.array([e[0] for e in entries], pa.string())
    )


def with_column(facts: ColumnFacts) -> Package:
    return replace(PACKAGE, columns=(*COLUMNS, facts))
