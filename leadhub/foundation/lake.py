"""The lake: Delta tables, step receipts, and one manifest per night that says which versions count.

::

    var/lake/tables/<zone>/<name>/             Delta tables (delta-rs)
    var/lake/tokens/<feed>/<sha256>.enc        linkage tokens and tokens of numbers that agencies quote,
                                               encrypted, outside table history
    var/lake/tokens/limits/<sha256>.enc        how often they stood when the linkage model was learnt
    var/lake/tokens/pairs/<sha256>.enc         pairs of the last night, how far each field agrees
    var/lake/tokens/overlap/<sha256>.enc       while two versions of the linkage key are kept: which token
                                               stands for which
    var/lake/receipts/<night>/<scope>/<step>.json
    var/lake/intake/<night>/<feed>/            receipts that may quote a file's name, words for the agency
    var/lake/nights/<night>.json               the commit of a night: one renamed file

A zone is written by one role (`roles`).

Delta commits one table at a time; a night touches thirty. So a version counts only once a night
manifest names it: a night killed at any instant leaves the last manifest, and with it the last good
state. A step always starts from the versions of the last manifest, never from "latest"; run again, it
writes the same rows as a newer version, and the older one is left to `vacuum`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from leadhub.foundation import envelope, files
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import Keys

#: zone → how the names of its tables begin; all other tables are of `casework`
ZONES = {"feeds": ("core_", "quarantine_"), "linkage": ("crosswalk", "linkage_"), "casework": ("",)}
#: steps whose receipts say what a stranger called a file
_INTAKE = frozenset({"land", "validate", "acknowledge"})


def zone_of(table: str) -> str:
    return next(zone for zone, beginnings in ZONES.items() if table.startswith(beginnings))


class Lake:
    """Opened on the folder `var`. Token files are under the storage key of the linkage zone."""

    def __init__(self, var: Path, keys: Keys):
        self.root = var / "lake"
        self._keys = keys

    # tables ---------------------------------------------------------------------------------------

    def _uri(self, name: str) -> Path:
        return self.root / "tables" / zone_of(name) / name

    def write(self, name: str, table: pa.Table) -> int:
        """A whole new version of a table; returns its number. Rows come sorted by the caller."""
        from deltalake import DeltaTable, write_deltalake

        uri = self._uri(name)
        with files.io_errors(f"writing table {name}"):
            files.make_folder(uri.parent)
            write_deltalake(uri, table, mode="overwrite", schema_mode="overwrite", name=name)
            return DeltaTable(uri).version()

    def read(self, name: str, version: int, columns: list[str] | None = None) -> pa.Table:
        """One version. Raises: TerminalError `state_invalid` where the version is gone."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        try:
            dataset = DeltaTable(self._uri(name), version=version).to_pyarrow_dataset()
            return dataset.to_table(columns=columns)
        except (DeltaError, TableNotFoundError, FileNotFoundError):
            files.found(self._uri(name), "*")  # a zone that is shut is no lost version
            raise TerminalError(
                "state_invalid",
                f"table [{name}] has no version {version}; restore var/lake from its backup",
            ) from None

    def vacuum(self, zone: str, keep: dict[str, set[int]]) -> int:
        """Remove the files of every version in a zone that `keep` does not name; how many files went.

        `keep` maps table → versions named by retained night manifests. This is what carries out purges.
        """
        from deltalake import DeltaTable

        removed = 0
        for folder in sorted((self.root / "tables" / zone).glob("*")):
            live: set[str] = set()
            latest = DeltaTable(folder)
            for version in keep.get(folder.name, set()) | {latest.version()}:
                live |= {Path(p).name for p in DeltaTable(folder, version=version).file_uris()}
            for path in folder.glob("*.parquet"):
                if path.name not in live:
                    path.unlink()
                    removed += 1
        return removed

    # linkage tokens -------------------------------------------------------------------------------

    def write_tokens(self, folder: str, tokens: pa.Table) -> str:
        """Tokens at rest under their own key, outside any history; returns the file's name."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, tokens.schema) as stream:
            stream.write_table(tokens)
        plain = sink.getvalue()
        name = f"{folder}/{files.sha256_bytes(plain)[:32]}.enc"
        with files.writing(self.root / "tokens" / name, files.SHARED) as handle:
            writer = envelope.EnvelopeWriter(handle, self._keys.derive("storage:linkage"))
            writer.write(plain)
            writer.close()
        return name

    def read_tokens(self, name: str) -> pa.Table:
        sealed = (self.root / "tokens" / name).read_bytes()
        keys = self._keys.every("storage:linkage")
        return pa.ipc.open_stream(envelope.decrypt_with_any(sealed, keys)).read_all()

    def drop_tokens(self, folders: Iterable[str], keep: set[str]) -> int:
        """Remove token files in `folders` that no retained manifest names; returns how many went."""
        root = self.root / "tokens"
        found = (path for name in folders for path in (root / name).glob("*.enc"))
        gone = [p for p in found if str(p.relative_to(root)) not in keep]
        for path in gone:
            path.unlink()
        return len(gone)

    def forget_tokens(self, names: Iterable[str]) -> None:
        """Remove token files at once, by name: nothing is to be found of an older key."""
        for name in names:
            (self.root / "tokens" / name).unlink(missing_ok=True)

    # receipts and nights --------------------------------------------------------------------------

    def intake(self, night: str, feed: str) -> Path:
        """Where receipts and words lie that may quote the name of an agency's file."""
        return self.root / "intake" / night / feed

    def _receipt(self, night: str, scope: str, step: str) -> Path:
        if step in _INTAKE:
            return self.intake(night, scope) / f"{step}.json"
        return self.root / "receipts" / night / scope / f"{step}.json"

    def receipt(self, night: str, scope: str, step: str) -> dict[str, Any] | None:
        """What a finished step said, or None while it has not finished."""
        path = self._receipt(night, scope, step)
        return files.read_json(path) if path.exists() else None

    def put_receipt(self, night: str, scope: str, step: str, value: dict[str, Any]) -> dict[str, Any]:
        files.write_json(self._receipt(night, scope, step), value)
        return value

    def forget_receipts(self, night: str, scope: str) -> None:
        """Let the steps of a scope run again: after a steward released a held drop, for instance."""
        files.remove_tree(self.root / "receipts" / night / scope)
        files.remove_tree(self.intake(night, scope))

    def nights_begun(self) -> list[str]:
        """Nights of which any step has said something, as far as this user may hear it."""
        return sorted({p.name for kind in ("receipts", "intake") for p in (self.root / kind).glob("*")})

    def commit_night(self, night: str, manifest: dict[str, Any]) -> dict[str, Any]:
        """The commit: from this rename on, the versions it names are the state."""
        files.write_json(self.root / "nights" / f"{night}.json", manifest)
        return manifest

    def night(self, night: str) -> dict[str, Any] | None:
        path = self.root / "nights" / f"{night}.json"
        return files.read_json(path) if path.exists() else None

    def nights(self) -> list[str]:
        return [p.stem for p in files.found(self.root / "nights", "*.json")]

    def base(self, night: str) -> dict[str, Any]:
        """The manifest that `night` builds on: the last committed one before it, or an empty one.

        Raises: TerminalError `out_of_order` where a later night is committed already: late data joins
        the next night, never an earlier one.
        """
        committed = self.nights()
        if committed and committed[-1] > night:
            raise TerminalError(
                "out_of_order",
                f"night {night} comes before the committed night {committed[-1]}; "
                "its data join the next night",
            )
        earlier = [n for n in committed if n < night]
        if earlier:
            return files.read_json(self.root / "nights" / f"{earlier[-1]}.json")
        return {"night": None, "feeds": {}, "tables": {}, "tokens": {}, "person_counter": 0}
