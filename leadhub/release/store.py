"""Where the releases of one dataset to one partner stand, in the ledger and on the disk.

::

    var/releases/<partner>/<dataset>/<NNNNNN>_<release_id>/
        package/   what the partner gets; after the commit its manifest, signature and sums alone
        inside/    facts.json, accounting.parquet, rows_sealed.parquet (of the latest release alone)

The ledger decides: a folder without `committed` is no release, and may be made anew.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from leadhub.foundation import files, ledger
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.ledger import Entry
from leadhub.release import encoding, package

ROWS = "rows_sealed.parquet"
_FACTS = "facts.json"
#: facts of a release that its ledger entries repeat
_RECORDED = (
    "release_id",
    "night",
    "sequence",
    "manifest_sha256",
    "accounting_sha256",
    "rows",
    "withdrawn",
    "agreement",
    "agreement_version",
    "agreement_sha256",
)


@dataclass(frozen=True)
class Latest:
    """The rows of the last committed release, with sealed ids."""

    sequence: int
    night: str
    rows: pa.Table


@dataclass(frozen=True)
class Store:
    """`var` as in Settings."""

    var: Path
    partner: str
    dataset: str

    @property
    def folder(self) -> Path:
        return self.var / "releases" / self.partner / self.dataset

    @property
    def chain(self) -> Path:
        return self.var / "ledger" / f"{self.partner}.jsonl"

    def release(self, entry: Entry) -> Path:
        return self.folder / f"{entry.sequence:06d}_{entry.release_id}"

    # the ledger -----------------------------------------------------------------------------------

    def entries(self, kind: ledger.Kind) -> list[Entry]:
        found = ledger.entries(self.chain)
        return [e for e in found if e.dataset == self.dataset and e.kind == kind]

    def committed(self) -> Entry | None:
        """The last committed release."""
        found = self.entries("committed")
        return found[-1] if found else None

    def standing(self, release_id: str) -> Entry | None:
        """The committed release of that id, unless another state of its night came after it.

        A consent given, revoked and given again makes an earlier state return: that is a new release.
        """
        by_night = {e.night: e for e in self.entries("committed")}
        return next((e for e in by_night.values() if e.release_id == release_id), None)

    def open_intent(self) -> Entry | None:
        return ledger.settle(self.chain, self.dataset)

    def next_sequence(self) -> int:
        last = self.committed()
        return (last.sequence or 0) + 1 if last else 1

    # the disk -------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def staging(self, name: str) -> Iterator[Path]:
        """An empty folder that becomes the release folder `name` where the block succeeds."""
        aside = self.folder / ".staging"
        try:
            with files.io_errors("staging a release"):
                aside.mkdir(mode=0o700)
                (aside / "inside").mkdir()
                (aside / "package").mkdir()
            yield aside
            files.commit_folder(aside, self.folder / name)
        finally:
            files.remove_tree(aside)

    def discard_uncommitted(self) -> None:
        """Remove every folder that never became a release: a crash, or a state that has passed."""
        kept = {self.release(e) for e in self.entries("committed")}
        for path in self.folder.iterdir():
            if path.is_dir() and path not in kept:
                files.remove_tree(path)

    def put(self, staging: Path, rows: pa.Table, facts: dict[str, Any]) -> None:
        """The sealed rows and the facts of a release, into its staging folder."""
        kept = encoding.parquet(rows)
        files.write_bytes(staging / "inside" / ROWS, kept)
        files.write_json(staging / "inside" / _FACTS, facts | {"rows_sha256": files.sha256_bytes(kept)})

    def facts(self, release: Path) -> dict[str, Any]:
        """Raises: TerminalError `state_invalid` where the release folder is lost."""
        path = release / "inside" / _FACTS
        if not path.exists():
            raise TerminalError(
                "state_invalid",
                f"release [{release.name}] of [{self.partner}/{self.dataset}] is in the ledger and not on "
                "the disk; restore var/releases from its backup",
            )
        return files.read_json(path)

    def entry(self, kind: ledger.Kind, release: Path) -> Entry:
        """What the ledger says of a release folder."""
        facts = self.facts(release)
        return Entry(kind, dataset=self.dataset, **{name: facts[name] for name in _RECORDED})

    def latest(self) -> Latest | None:
        """The last committed rows; None before the first release.

        Raises: TerminalError `state_invalid` where they were changed or lost.
        """
        last = self.committed()
        if last is None:
            return None
        path = self.release(last) / "inside" / ROWS
        data = path.read_bytes() if path.exists() else b""
        if files.sha256_bytes(data) != self.facts(self.release(last))["rows_sha256"]:
            raise TerminalError(
                "state_invalid",
                f"the kept rows of [{self.partner}/{self.dataset}] are not those that were released; "
                "restore var/releases from its backup",
            )
        return Latest(last.sequence or 0, last.night or "", encoding.read_parquet(data))

    def tidy(self) -> None:
        """Remove what the hub need not keep: opened ids of what was delivered, rows before the latest."""
        last = self.committed()
        with files.io_errors("tidying releases"):
            for entry in self.entries("committed"):
                for path in (self.release(entry) / "package").glob("*"):
                    if path.name not in package.PROOF:
                        path.unlink()
                if last and entry.sequence != last.sequence:
                    (self.release(entry) / "inside" / ROWS).unlink(missing_ok=True)
