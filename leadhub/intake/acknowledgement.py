"""What an agency gets back for every drop: what came, what was taken, what to correct. Never a value.

Two files in its outbox: an acknowledgement (JSON, for every arrival, taken or not) and, where rows were
refused, a rejection report (CSV, one line a fault, in the agency's own column names).
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from leadhub.foundation import files
from leadhub.intake.feeds import Feed
from leadhub.intake.landing import Drop
from leadhub.intake.validation import Judged

Status = Literal["landed", "duplicate", "held", "refused", "pending"]


class Words(NamedTuple):
    """What a clerk reads."""

    what: str
    to_do: str


_CORRECT = "Correct it at the source; it comes again with the next drop."

#: every row reason, every reason a whole drop may be stopped for, and what a status means without one
WORDS: dict[str, Words] = {
    # rows
    "wrong_field_count": Words(
        "The row has more or fewer cells than the header, or is no data row.",
        "Remove comments and totals; quote cells that contain the delimiter.",
    ),
    "blank_line": Words("The line is blank.", "Remove it."),
    "missing_value": Words("The cell is empty and must not be.", "Fill it in at the source."),
    "unparsable_date": Words(
        "The cell is not a date in the agreed form.", "Write a real calendar day in the agreed form."
    ),
    "unparsable_timestamp": Words(
        "The cell is not a point in time with its offset from UTC.",
        "Write date, time and offset, such as 2026-11-20T03:00:00-05:00.",
    ),
    "unparsable_number": Words("The cell is not a whole number.", "Write digits only, without separators."),
    "unparsable_boolean": Words("The cell is neither yes nor no.", "Write Y or N."),
    "unknown_code": Words(
        "The code is not in the agreed list.",
        "Use an agreed code; if a new one is needed, agree on it first.",
    ),
    "bad_format": Words(
        "The cell does not have the agreed form, or a spreadsheet has altered it.",
        "Compare with the data dictionary; export from the system itself, not through a spreadsheet.",
    ),
    "out_of_range": Words(
        "The number or date is outside what is possible, or stands in for an unknown one.",
        "Write the true value; where there is none, leave the cell empty.",
    ),
    "duplicate_key": Words(
        "Another row of this table has the same key.",
        "Send each record once. Of identical rows one was taken, of differing ones none.",
    ),
    "reference_missing": Words(
        "The row refers to a record that the source does not hold.",
        "Send that record too, or correct the number.",
    ),
    "control_character": Words(
        "The cell holds an invisible control character.", "Remove it; often it was pasted with the text."
    ),
    "too_long": Words("The cell is longer than 64 KiB.", "Shorten it; often a quote was not closed."),
    # drops
    "incomplete_drop": Words(
        "Not every file of the drop has arrived whole.",
        "Upload the missing files, and the manifest or checksum last.",
    ),
    "conflicting_resubmission": Words(
        "A file of this name came before with other content. Both are kept, the new one is not applied.",
        "Tell the hub which one is right, or send a correction under the next sequence number.",
    ),
    "out_of_order": Words(
        "An earlier drop is still missing.", "Send it, or tell the hub that there was none."
    ),
    "schema_drift": Words(
        "The columns are not the agreed ones. Nothing was taken.",
        "Send the agreed columns, or agree on the change with the hub first.",
    ),
    "unreadable_file": Words(
        "A file cannot be read as what it should be. Nothing was taken.",
        "Export it again in the agreed form and send the whole drop.",
    ),
    "too_many_refused": Words(
        "Too many rows were refused. Nothing was taken.",
        "Correct the source by the rejection report and send the whole drop again.",
    ),
    "implausible_batch": Words(
        "The rows are sound one by one, but the night as a whole does not look like this feed.",
        "Check whether the export was complete; tell the hub if it is right as it is.",
    ),
    "decryption_failed": Words(
        "A file could not be decrypted.", "Encrypt it to the hub's current key and send it again."
    ),
    "signature_invalid": Words("A signature does not fit its file.", "Sign and send the drop again."),
    "unsafe_name": Words(
        "A file's name is not allowed.", "Use the agreed names, without folders or links."
    ),
    "too_large": Words("A file is larger than agreed.", "Split it, or agree on a larger limit."),
    "counts_differ": Words(
        "The number of rows is not the one that was stated.", "Send files and manifest of the same export."
    ),
    # a status without a reason
    "landed": Words("The drop has come and its rows were judged.", "Nothing, unless rows were refused."),
    "duplicate": Words("The same content came before; nothing changed.", "Nothing."),
    "held": Words("The drop is kept and not applied until a person at the hub decides.", "Wait."),
    "refused": Words("The drop was not taken.", "The hub's staff will call."),
    "pending": Words("The drop is not complete yet and stays in your folder.", "Finish the upload."),
}


class Until(NamedTuple):
    """What is withheld while a refused row of `quarantine.RESTRICTIONS` is open."""

    named: str
    nameless: str


_NO_CASE = "The hub cannot tell whose case it may seal: call the hub today."
#: by table: such a row may take something back
UNTIL: dict[str, Until] = {
    "consents": Until(
        "Until then no consent of this client counts: the row may be a revocation.",
        "It names no client of yours: until then no consent of any client counts. Correct it today, or "
        "call the hub.",
    ),
    "episodes": Until(
        "Where it may say that the treatment has ended: until then no consent of this client that ends "
        "with the treatment counts.",
        "It names no client of yours, and may say that a treatment has ended: until then no consent of any "
        "client that ends with the treatment counts. Correct it today, or call the hub.",
    ),
    "dispositions": Until("Until then this case is in no delivery: the row may seal it.", _NO_CASE),
    "seal_orders": Until("Until then what it names is in no delivery.", _NO_CASE),
}


def until(table: str, *, nameless: bool) -> str:
    """What a refused row of a table withholds while it is open; empty where nothing."""
    said = UNTIL.get(table)
    return "" if said is None else said.nameless if nameless else said.named


def words(reason: str) -> Words:
    """Plain words for any reason code; a contract's own rules speak through their names."""
    if reason.startswith("rule:"):
        name = reason.removeprefix("rule:").replace("_", " ")
        return Words(f'The cell breaks the rule "{name}".', _CORRECT)
    return WORDS.get(reason) or Words(
        "The drop could not be taken for a reason on the hub's side.", "Nothing; the hub's staff will call."
    )


def acknowledgement_name(night: str, drop_id: str) -> str:
    return f"{night}_{drop_id}.ack.json"


def rejection_name(night: str, drop_id: str) -> str:
    return f"{night}_{drop_id}.rejections.csv"


def arrival_id(names: Sequence[str]) -> str:
    """Stands for a drop id where nothing was landed: a hash of the names that came."""
    return hashlib.sha256("\n".join(sorted(names)).encode(errors="surrogateescape")).hexdigest()[:20]


def acknowledgement(
    *,
    feed: str,
    night: str,
    status: Status,
    names: Sequence[str],
    drop: Drop | None = None,
    judged: Mapping[str, Judged] | None = None,
    reason: str | None = None,
    detail: str = "",
    cleared: int = 0,
    nameless: Collection[tuple[str, int]] = (),
) -> bytes:
    """Canonical JSON for the outbox: the same arrival, the same bytes.

    `names` are the files as the agency sent them, `detail` a message of ours (no values), `cleared` how
    many earlier refusals this drop put right. Without `judged` no row counts are stated. `nameless`: table
    and row of what may take something back and names nobody; told first.
    """
    tables = {t: _counts(j) for t, j in sorted((judged or {}).items())}
    said = words(reason or status)
    refused = sum(t["refused"] for t in tables.values())
    to_do = said.to_do
    if reason is None and refused:
        report = rejection_name(night, drop.drop_id) if drop else "the rejection report"
        to_do = f"Correct the refused rows at the source: see {report}."
    urgent = [
        {"table": table, "row": row, "why": until(table, nameless=True)} for table, row in sorted(nameless)
    ]
    if urgent:
        to_do = f"AT ONCE: see `urgent`. {to_do}"
    return files.canonical_json(
        {
            "feed": feed,
            "night": night,
            "status": status,
            "drop_id": drop.drop_id if drop else None,
            "mode": drop.mode if drop else None,
            "sequence": drop.sequence if drop else None,
            "received_at": drop.landed_at if drop else None,
            "names": [_visible(n) for n in sorted(names)],
            "rows": {k: sum(t[k] for t in tables.values()) for k in ("received", "accepted", "refused")}
            if judged is not None
            else None,
            "tables": tables,
            "cleared": cleared,
            "reason": reason,
            "what_happened": said.what,
            "what_to_do": to_do,
            "urgent": urgent,
            "detail": _visible(detail),
        }
    )


class Rejection(NamedTuple):
    """One fault, in the agency's own names; `column` is empty where the row as a whole is wrong."""

    table: str
    source: str
    row: int
    column: str
    rule: str
    words: Words


def rejections(feed: Feed, judged: Mapping[str, Judged]) -> Iterator[Rejection]:
    """Every fault by table and row. `row` is the spreadsheet row for CSV files, else the ordinal."""
    for table, result in sorted(judged.items()):
        mapping = feed.tables[table]
        for row, column, reason in zip(*(c.to_pylist() for c in result.refused.columns)):
            shown = mapping.columns.get(column, column) if column else ""
            yield Rejection(table, mapping.source, row, shown, reason, words(reason))


def rejection_report(
    feed: Feed, drop: Drop, judged: Mapping[str, Judged], nameless: Collection[tuple[str, int]] = ()
) -> bytes:
    """CSV (RFC 4180, UTF-8), one line a fault. `nameless`: as in `acknowledgement`."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink)
    writer.writerow(["file", "table", "row", "column", "rule", "what to do"])
    names = {table: " + ".join(m.name for m in drop.of("rows", table)) for table in judged}
    for fault in rejections(feed, judged):
        withheld = until(fault.table, nameless=(fault.table, fault.row) in nameless)
        to_do = f"{fault.words.what} {fault.words.to_do} {withheld}".rstrip()
        file = names[fault.table] or fault.source
        line = [file, fault.source, fault.row, fault.column, fault.rule, to_do]
        writer.writerow([_inert(v) for v in line])
    return sink.getvalue().encode()


def _counts(judged: Judged) -> dict[str, Any]:
    reasons = Counter(judged.refused["reason"].to_pylist())
    return {
        "received": judged.read,
        "accepted": judged.accepted.num_rows,
        "refused": judged.refused_rows,
        "reasons": dict(sorted(reasons.items())),
    }


def _visible(text: str) -> str:
    """A sender chooses file names: what would act on a terminal or hide in a line is shown as `?`."""
    return re.sub(r"[^\x20-\x7e\u00a1-\u02ff]", "?", text)[:500]


def _inert(value: object) -> str:
    """No spreadsheet may run what we write."""
    text = _visible(str(value))
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
