"""What the names in an inbox say. Nothing is opened here, and nothing is opened that is refused here.

A name is *ours* where it fits the feed's pattern, its manifest or a sidecar. It *looks like ours* where
it holds the stem of one of the feed's tables without being ours: refused, so that the agency hears of its
slip. Other harmless names are none of this feed's business: an account may carry several feeds. Unsafe
names and anything that is not a plain file are refused whosesoever they are.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Literal

from connectors.sftp_session import Entry
from leadhub.foundation.errors import TerminalError
from leadhub.intake.feeds import DropRules, Feed

Kind = Literal["data", "manifest", "sidecar"]

#: what a portable file system takes (POSIX NAME_MAX)
_MAX_NAME = 255
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ ()-]*", re.ASCII)
_PARTIAL = re.compile(r"\.(part|tmp|temp|filepart|crdownload|swp)$|~$", re.IGNORECASE)
_MANIFEST = re.compile(
    r"(?P<feed>[a-z][a-z0-9_]*)_(?P<night>\d{8})_(?P<sequence>\d{2})\.manifest\.json", re.ASCII
)
_PACKED = re.compile(r"\.(zip|gz|tgz|bz2|xz|7z|zst|rar|tar)$", re.IGNORECASE)


@dataclass(frozen=True)
class Offered:
    """A file of the feed. `table` is the contract's, None for a manifest; `number` = YYYYMMDDNN."""

    name: str
    kind: Kind
    table: str | None
    day: date
    sequence: int
    entry: Entry

    @property
    def number(self) -> int:
        return int(f"{self.day:%Y%m%d}{self.sequence:02d}")


@dataclass(frozen=True)
class Refusal:
    """`name` is safe to show; `message` does not repeat it. `partial`: an upload that may still go on."""

    name: str
    reason: str
    message: str
    entry: Entry
    partial: bool = False


class _Refused(Exception):
    def __init__(self, reason: str, message: str, *, partial: bool = False):
        super().__init__(reason)
        self.reason, self.message, self.partial = reason, message, partial


class Names:
    """Reads the names of one feed. Raises: TerminalError `feed_invalid` where its pattern is unusable."""

    def __init__(self, feed: Feed, rules: DropRules):
        self._feed, self._rules = feed, rules
        self._tables = {mapping.source: table for table, mapping in feed.tables.items()}
        try:
            self._pattern = re.compile(rules.pattern, re.ASCII)
        except re.error:
            raise self._invalid("is not a regular expression") from None
        if not {"table", "night", "sequence"} <= self._pattern.groupindex.keys():
            raise self._invalid("needs the groups [table], [night] and [sequence]")
        stems = "|".join(re.escape(s) for s in sorted({*self._tables, feed.id}))
        self._alike = re.compile(rf"(?<![a-z0-9])({stems})(?![a-z])", re.IGNORECASE | re.ASCII)

    def _invalid(self, why: str) -> TerminalError:
        return TerminalError("feed_invalid", f"[{self._feed.id}.yaml]: [drop.pattern] {why}")

    def sort(self, entries: list[Entry], *, last_day: date) -> tuple[list[Offered], list[Refusal]]:
        """Files of the feed and what is refused, by name. A date after `last_day` is in the future."""
        folded = Counter(e.name.decode("utf-8", "replace").casefold() for e in entries)
        offered, refused = [], []
        for entry in entries:
            try:
                found = self._read(entry, folded, last_day)
            except _Refused as error:
                shown = visible(entry.name)
                refused.append(Refusal(shown, error.reason, error.message, entry, error.partial))
            else:
                if found is not None:
                    offered.append(found)
        return offered, refused

    def _read(self, entry: Entry, folded: Counter[str], last_day: date) -> Offered | None:
        name = _checked(entry)
        ours = self._ours(name)
        if ours is None:
            if self._alike.search(name) and not _MANIFEST.fullmatch(name):
                raise self._stranger(name)
            return None
        if folded[name.casefold()] > 1:
            raise _Refused("unsafe_name", "two names differ in upper and lower case only")
        kind, table, night, sequence = ours
        try:
            day = date(int(night[:4]), int(night[4:6]), int(night[6:]))
        except ValueError:
            raise _Refused("unsafe_name", "the date in the name is not a calendar day, YYYYMMDD") from None
        if day > last_day:
            raise _Refused("unsafe_name", "the date in the name is in the future")
        if not 1 <= int(sequence) <= 99:
            raise _Refused("unsafe_name", "the sequence in the name is not between 01 and 99")
        return Offered(name, kind, table, day, int(sequence), entry)

    def _ours(self, name: str) -> tuple[Kind, str | None, str, str] | None:
        if self._rules.completeness == "manifest":
            manifest = _MANIFEST.fullmatch(name)
            if manifest and manifest["feed"] == self._feed.id:
                return "manifest", None, manifest["night"], manifest["sequence"]
        kind: Kind = "data"
        if self._rules.completeness == "sha256" and name.endswith(".sha256"):
            kind, name = "sidecar", name.removesuffix(".sha256")
        found = self._pattern.fullmatch(name)
        wanted = ".csv" if self._rules.encryption == "none" else ".csv.pgp"
        if found is None or not name.endswith(wanted) or found["table"] not in self._tables:
            return None
        night, sequence = found["night"], found["sequence"]
        if not (re.fullmatch(r"\d{8}", night) and re.fullmatch(r"\d{1,4}", sequence)):
            raise self._invalid("lets [night] be other than YYYYMMDD or [sequence] other than digits")
        return kind, self._tables[found["table"]], night, sequence

    def _stranger(self, name: str) -> _Refused:
        if _PACKED.search(name):
            return _Refused("unreadable_file", "packed files are not taken; send the files as they are")
        if self._rules.encryption == "openpgp" and name.endswith(".csv"):
            return _Refused(
                "unreadable_file", "this feed's files come encrypted (.csv.pgp), this one does not"
            )
        return _Refused("unsafe_name", "the name is like this feed's, but not as agreed")


def _checked(entry: Entry) -> str:
    """The name of a plain file with a plain name. Raises: _Refused for the first thing wrong with it."""
    if not entry.is_file:
        raise _Refused("unsafe_name", "it is a link, a folder or a device, not a plain file")
    if len(entry.name) > _MAX_NAME:
        raise _Refused("unsafe_name", f"the name is longer than {_MAX_NAME} bytes")
    try:
        name = entry.name.decode("utf-8")
    except UnicodeDecodeError:
        raise _Refused("unsafe_name", "the name is not UTF-8") from None
    if "/" in name or "\\" in name:
        raise _Refused("unsafe_name", "the name holds a path")
    if any(not c.isprintable() for c in name):
        raise _Refused("unsafe_name", "the name holds an invisible character")
    if _PARTIAL.search(name):
        raise _Refused("incomplete_drop", "the upload was not finished: rename it when it is", partial=True)
    if name[:1] in (".", "~", "-"):
        raise _Refused("unsafe_name", "the name is hidden, or begins with - or ~")
    if not _PLAIN.fullmatch(name):
        raise _Refused("unsafe_name", "the name has other characters than letters, digits and . _ -")
    return name


def visible(name: bytes) -> str:
    """A sender's bytes as printable ASCII, at most 120 characters: other bytes become \\xNN."""
    shown = "".join(chr(b) if 0x20 <= b < 0x7F else f"\\x{b:02x}" for b in name)
    return shown if len(shown) <= 120 else f"{shown[:117]}..."
