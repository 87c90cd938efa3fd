"""Two persons before anything leaves under a new or changed licence, and what they are shown.

One proposes, another approves; both have seen the preview. Their answers stand in the partner's ledger,
which is checked at every release: whoever asks them (Airflow, the command line) only asks. An answer is
about one *subject*: the licence and all above and beside it that decides what leaves, to the byte
(`steps.terms`).
The last subject that was approved counts, and no earlier one: who goes back to an old licence asks again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.ledger import Entry
from leadhub.release import documents
from leadhub.release.package import Package
from leadhub.release.shipment import Content, as_kept, whole

Role = Literal["proposed", "approved", "refused"]
#: of one document, by name
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Terms:
    """What is approved. `documents`: name → facts, of the licence (`licence`) and of everything above and
    beside it that decides what leaves; a fact is JSON, and none is of a row."""

    dataset: str
    agreement: str
    version: str
    documents: Mapping[str, Facts]

    @property
    def subject(self) -> str:
        """SHA-256 of them."""
        return files.sha256_bytes(files.canonical_json(self.documents))

    @property
    def agreement_sha256(self) -> str:
        """As `permission.agreements.digest`."""
        return files.sha256_bytes(files.canonical_json(self.documents["licence"]))


def differences(before: Mapping[str, Facts] | None, now: Mapping[str, Facts]) -> list[str]:
    """`document: fact` of each that differs, sorted; none where nothing was approved before."""
    if before is None:
        return []
    told = [f"{name}: no longer counts" for name in before.keys() - now.keys()]
    told += [f"{name}: new" for name in now.keys() - before.keys()]
    for name in before.keys() & now.keys():
        old, new = before[name], now[name]
        told += [
            f"{name}: {k}"
            for k in old.keys() | new.keys()
            if (k in old, old.get(k)) != (k in new, new.get(k))
        ]
    return sorted(told)


@dataclass(frozen=True)
class Standing:
    """Where a subject stands: `state`, who proposed it, and the preview that they saw."""

    state: Literal["new", "proposed", "approved", "refused"]
    proposed_by: str | None = None
    approved_by: str | None = None
    preview_sha256: str | None = None

    @property
    def approved(self) -> bool:
        return self.state == "approved"


def standing(entries: Iterable[Entry], dataset: str, wanted: str) -> Standing:
    """Of the subject `wanted`, from the partner's ledger."""
    now, said = Standing("new"), list(entries)
    for entry in said:
        if entry.dataset != dataset or entry.subject_sha256 != wanted:
            continue
        if entry.kind == "proposed":
            now = Standing("proposed", entry.by, None, entry.preview_sha256)
        elif entry.kind == "approved":
            now = Standing("approved", now.proposed_by, entry.by, entry.preview_sha256)
        elif entry.kind == "refused":
            now = Standing("refused", now.proposed_by, None, entry.preview_sha256)
    return Standing("new") if now.approved and last_approved(said, dataset) != wanted else now


def last_approved(entries: Iterable[Entry], dataset: str) -> str | None:
    """The subject under which the dataset may leave now, None before the first approval."""
    found = [e.subject_sha256 for e in entries if e.dataset == dataset and e.kind == "approved"]
    return found[-1] if found else None


def check_answer(now: Standing, role: Role, by: str) -> None:
    """May this person say this now?

    Raises: TerminalError `approval_refused`: the same person twice, an approval without a proposal, an
    answer to what is approved already, or nobody's.
    """
    if not by.strip():
        raise TerminalError("approval_refused", "say who answers")
    if now.approved:
        raise TerminalError(
            "approval_refused", "this licence is approved already; nothing is to be answered"
        )
    if role == "approved" and now.state != "proposed":
        raise TerminalError("approval_refused", "nobody has proposed this licence yet; propose it first")
    if role == "approved" and _same(by, now.proposed_by):
        raise TerminalError(
            "approval_refused",
            f"[{by}] proposed this licence, by name or by login, and cannot approve it too; ask a "
            "second person",
        )


#: an answer at the command line: the name that was given, and the machine's login
_AT_LOGIN = re.compile(r"(?P<name>.*) \(login (?P<login>.*)\)", re.DOTALL)


def at_login(name: str, login: str) -> str:
    """How the ledger names who answered at the command line, where a name is given and not proved."""
    return f"{name.strip()} (login {login})"


def _same(one: str, other: str | None) -> bool:
    """One person: of one name, wherever they answered, or at one login, whatever name they gave."""
    if other is None:
        return False
    names, logins = zip(*(_told(by) for by in (one, other)))
    return names[0] == names[1] or (logins[0] is not None and logins[0] == logins[1])


def _told(by: str) -> tuple[str, str | None]:
    found = _AT_LOGIN.fullmatch(by.strip())
    name, login = (found["name"], found["login"]) if found else (by, None)
    return name.strip().casefold(), login


def preview(
    package: Package,
    content: Content,
    held: pa.Table | None,
    before: Mapping[str, Facts] | None,
    *,
    terms: Mapping[str, Facts],
    stated: Sequence[str],
) -> dict[str, Any]:
    """What would leave now, and how it differs from the last delivery; counts alone, no value of a row.

    `held`: the rows that the partner has; `before`: the documents that were approved last; `terms`: those
    of now.
    """
    agreement = terms["licence"]
    rows = as_kept(content.rows)
    shipped = whole(package, content, held, stated=stated)
    known = [] if held is None else held.column_names
    names = [c.name for c in package.columns]
    steps = [] if shipped.changes is None else shipped.changes["op"].to_pylist()
    return {
        "agreement": package.agreement,
        "version": package.agreement_version,
        "partner": package.partner,
        "dataset": package.dataset,
        "purpose": package.purpose,
        "legal_basis": package.legal_basis,
        "night": package.night,
        "cohort": agreement["cohort"],
        "identifiability": agreement["identifiability"],
        "encrypted": package.encrypt,
        "notice": package.notice,
        "columns": [
            {"name": c.name, "protection": c.protection.value, "new": c.name not in known}
            for c in package.columns
        ],
        "columns_gone": [c for c in known if c not in names],
        "rows": rows.num_rows,
        "persons": len(set(content.grounds["person_id"].to_pylist())),
        "counts_shown": _counts_shown(package, rows),
        "resting_on_consent": len(content.grounds) - content.grounds["consent_id"].null_count,
        "rows_before": None if held is None else held.num_rows,
        "changes": None
        if shipped.changes is None
        else {op: steps.count(op) for op in documents.OPERATIONS},
        "facts_changed": differences(before, terms),
    }


def _counts_shown(package: Package, rows: pa.Table) -> int | None:
    """Cells with a count; None where rows are of persons."""
    counts = [c.name for c in package.columns if c.name not in package.key]
    return rows.num_rows - sum(rows[c].null_count for c in counts) if package.aggregate else None


def digest(shown: Mapping[str, Any]) -> str:
    """SHA-256 of a preview, for the ledger."""
    return files.sha256_bytes(files.canonical_json(dict(shown)))


def markdown(shown: Mapping[str, Any], now: Standing) -> str:
    """The preview as two people read it."""
    named = {
        "identified_by_own_id": "named by the partner's own ids",
        "aggregate": "counted, and in no row",
    }.get(shown["identifiability"], f"in a {shown['identifiability']}")
    lines = [
        f"**{shown['agreement']}**, version {shown['version']}, to **{shown['partner']}**",
        "",
        f"Purpose {shown['purpose']}; {shown['legal_basis']}. Rows: {shown['cohort']}.",
        f"Persons are {named}; {'encrypted' if shown['encrypted'] else 'not encrypted'}; "
        f"notice {shown['notice'] or 'none'}.",
        "",
        _content(shown),
        f"- {_difference(shown)}",
    ]
    if shown["facts_changed"]:
        lines.append(f"- changed since the last approval: {'; '.join(shown['facts_changed'])}")
    if now.proposed_by:
        lines.append(f"- proposed by **{now.proposed_by}**; somebody else must approve")
    lines += ["", "| column | protection | |", "|---|---|---|"]
    first = shown["rows_before"] is None
    for column in shown["columns"]:
        new = "new" if column["new"] and not first else ""
        lines.append(f"| {column['name']} | {column['protection']} | {new} |")
    lines += [f"| {name} | | no longer sent |" for name in shown["columns_gone"]]
    return "\n".join(lines)


def _content(shown: Mapping[str, Any]) -> str:
    if shown["counts_shown"] is not None:
        return f"- **{shown['rows']:,} counts**, of which {shown['counts_shown']:,} are shown"
    return (
        f"- **{shown['rows']:,} rows** about {shown['persons']:,} persons; "
        f"{shown['resting_on_consent']:,} rest on a person's consent"
    )


def _difference(shown: Mapping[str, Any]) -> str:
    if shown["rows_before"] is None:
        return "the first delivery under this licence: the partner has nothing yet"
    before = f"the partner has {shown['rows_before']:,} rows"
    if shown["changes"] is None:
        return f"{before}; the columns change, so it loads the whole dataset anew"
    told = {"withdraw": "withdrawn", "update": "updated", "insert": "added"}
    return before + "; " + ", ".join(f"{shown['changes'][op]:,} {word}" for op, word in told.items())


def entry(terms: Terms, role: Role, by: str, preview_sha256: str | None) -> Entry:
    """What the ledger keeps of an answer."""
    return Entry(
        role,
        dataset=terms.dataset,
        agreement=terms.agreement,
        agreement_version=terms.version,
        agreement_sha256=terms.agreement_sha256,
        by=by.strip(),
        subject_sha256=terms.subject,
        preview_sha256=preview_sha256,
    )
