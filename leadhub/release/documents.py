"""The texts that go with a delivery: README, data dictionary, and the notice that the law prescribes.

Nothing here depends on a row, beyond how many there are: a reader learns of the dataset, never of a
person who is or is not in it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leadhub.foundation import files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import ColumnFacts, Protection

if TYPE_CHECKING:
    from leadhub.release.package import Package

NOTICE_FILE = "NOTICE_42CFR2.txt"
_NOTICES = Path(__file__).with_name("notices")
_README = Path(__file__).with_name("readme.md.jinja")
#: name → SHA-256 of the text as it was adopted. A new wording is a new name, never an edit.
NOTICES = {
    # 42 CFR 2.32(a)(1), as amended by 89 FR 12472 (16 February 2024)
    "42cfr2_statement_1_2024": "16107115d8a7704b737392ba6fa5afff86f6218f0e13fb1b59c7693384f718df",
    # 42 CFR 2.32(a)(2), as amended by 89 FR 12472
    "42cfr2_statement_2_2024": "ad39b505030a2f76a987940eeda1d251333f8ac848f28a4cef7389f413013fcc",
}

#: what the codes of status and decision columns say
MEANINGS: dict[str, str] = {
    "ALL": "The sum over every code of this column.",
    "REFERRED": "The officer referred the person to the programme.",
    "INELIGIBLE_RETURNED": "LEAD was not offered, for any reason.",
    "PARTICIPANT_DECLINED": "The person was offered diversion and declined it.",
    "NO_INFORMATION": "Nobody may say or can say anything. This is not bad news and not good news.",
    "INTAKE_PENDING": "The provider says, with consent, that intake is still to come.",
    "INTAKE_COMPLETE": "The provider says, with consent, that intake was completed.",
    "INTAKE_WINDOW_LAPSED": "The provider says, with consent, that the window ended without an intake.",
    "ENROLLED": "The provider says, with consent, that the person takes part in the programme.",
    "NO_LONGER_ENROLLED": "The provider says, with consent, that the person takes part no more.",
    "PENDING_REVIEW": "The District Attorney has not decided yet.",
    "FILED": "The District Attorney filed charges.",
    "DECLINED": "The District Attorney declined to file charges.",
    "HELD_IN_ABEYANCE": "The District Attorney holds the charges back.",
    "DIVERTED_LEAD": "The District Attorney diverted the case to this programme.",
    "DIVERTED_OTHER": "The District Attorney diverted the case to another programme.",
    "DISMISSED": "The case was dismissed.",
    "ACD": "The case was adjourned in contemplation of dismissal.",
    "REFERRED_OTHER_JURISDICTION": "The case went to another jurisdiction.",
}

#: what a line of a change file does, in the order in which they come. One kind of withdrawal, whatever
#: the reason.
OPERATIONS: dict[str, str] = {
    "withdraw": "remove the row of that key; the other columns are empty.",
    "update": "replace the row of that key.",
    "insert": "add the row; the key may have been withdrawn just before.",
}


@dataclass(frozen=True)
class Notice:
    """A prescribed text, byte for byte."""

    name: str
    text: bytes
    sha256: str


def notice(name: str) -> Notice:
    """Raises: TerminalError `agreement_invalid` where the text is unknown or was edited."""
    adopted = NOTICES.get(name)
    if adopted is None:
        raise TerminalError(
            "agreement_invalid", f"there is no notice [{name}]; name one of {sorted(NOTICES)}"
        )
    text = (_NOTICES / f"{name}.txt").read_bytes()
    if files.sha256_bytes(text) != adopted:
        raise TerminalError(
            "agreement_invalid", f"the text of notice [{name}] is not the one adopted; restore {name}.txt"
        )
    return Notice(name, text, adopted)


def check_notice(name: str | None, columns: Sequence[ColumnFacts]) -> None:
    """Any dataset that could carry Part 2 data carries the notice, whoever is in it (42 CFR 2.32).

    Raises: TerminalError `agreement_invalid`.
    """
    protected = [c.name for c in columns if c.protection == Protection.PART2]
    if protected and name is None:
        raise TerminalError(
            "agreement_invalid",
            f"columns {protected} may carry Part 2 data; the agreement must name a notice",
        )


def data_dictionary(columns: Sequence[ColumnFacts]) -> bytes:
    """One line a column: name, type, whether it may be empty, codes (`A|B`), protection, description."""
    sink = io.StringIO(newline="")
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(["column", "type", "may_be_empty", "codes", "protection", "description"])
    for c in columns:
        empty = "yes" if c.nullable else "no"
        writer.writerow([c.name, c.type, empty, "|".join(c.codes or ()), c.protection.value, c.description])
    return sink.getvalue().encode()


@dataclass(frozen=True)
class DisputeFile:
    """How this partner says that a row is wrong: a file dropped into its inbox.

    `name` and `completion` are file names with placeholders; `completion` is what is uploaded last.
    """

    name: str
    completion: str
    columns: tuple[ColumnFacts, ...]


def readme(package: Package, *, rows: int, changes: int | None, signed_by: str) -> bytes:
    """The recipient's README in Markdown, from `readme.md.jinja`. Counts are of this partner's own rows."""
    import jinja2

    # Markdown of agreement and contract texts, no value of a row: nothing to escape
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)  # noqa: S701
    codes = dict.fromkeys(code for c in package.columns for code in c.codes or ())
    text = environment.from_string(_README.read_text(encoding="utf-8")).render(
        package=package,
        rows=rows,
        changes=changes,
        signed_by=signed_by,
        key=", ".join(f"`{name}`" for name in package.key),
        meanings={code: MEANINGS[code] for code in codes if code in MEANINGS},
        operations=OPERATIONS,
        notice_file=NOTICE_FILE,
    )
    return text.encode()
