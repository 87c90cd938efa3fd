"""A delivery as a folder: data, change file, dictionary, README, notice, manifest, sums, signature.

::

    <dataset>.csv  <dataset>.parquet                      the rows      (.pgp where encrypted)
    <dataset>_changes.csv  <dataset>_changes.parquet      since the delivery before
    data_dictionary.csv  README.md  NOTICE_42CFR2.txt
    manifest.json  manifest.json.asc  SHA256SUMS

Same package and rows, same plaintext bytes. Everything here is seen by the partner, so everything
here is a function of that partner's own rows and of its agreement: no wall time, no count of what was
withheld, no version of a table, and not the release id, which is made from inputs and restrictions
that the partner may not know of (42 CFR 2.13(c); DESIGN, "Silence tells nothing").
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from leadhub.foundation import files, openpgp
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.vocabulary import ColumnFacts, Protection, Sensitivity
from leadhub.release import documents, encoding
from leadhub.release.documents import DisputeFile

FORMAT = "leadhub-delivery/1"
MANIFEST, SIGNATURE, SUMS = "manifest.json", "manifest.json.asc", "SHA256SUMS"
#: what the hub keeps of a delivery once the partner has it: no row
PROOF = (MANIFEST, SIGNATURE, SUMS)

OP = ColumnFacts(
    name="op",
    type="string",
    nullable=False,
    sensitivity=Sensitivity.FACT,
    protection=Protection.PUBLIC,
    description="What to do with the row of this key",
    codes=tuple(documents.OPERATIONS),
)


@dataclass(frozen=True)
class Package:
    """What an agreement says about one delivery. `publication.stage` sets the sequence numbers.

    `key`: columns that identify a row. `inputs`: name → night of the last data, of those inputs alone
    that this partner may know of. `notice`: a name in `documents.NOTICES`. `scope`: category of information
    → the columns for which a consent must name it. `recipient`: fingerprint of the certificate that an
    encrypted delivery is for, where the agreement names one. `retention_days`: after which the partner must
    have destroyed the delivery; `acknowledge_within_days`: in which it must say that what was withdrawn is
    removed. `withdrawals_only`: keys to remove and no dataset, since the licence allows no more at this
    moment. `aggregate`: rows are counts, and about nobody.
    """

    partner: str
    dataset: str
    title: str
    night: str
    agreement: str
    agreement_version: str
    agreement_sha256: str
    purpose: str
    legal_basis: str
    contact: str
    columns: tuple[ColumnFacts, ...]
    key: tuple[str, ...]
    inputs: Mapping[str, str | None]
    use_limits: tuple[str, ...] = ()
    notice: str | None = None
    scope: Mapping[str, Sequence[str]] | None = None
    dispute: DisputeFile | None = None
    encrypt: bool = False
    recipient: str | None = None
    retention_days: int | None = None
    acknowledge_within_days: int | None = None
    sequence: int = 0
    previous_sequence: int | None = None
    withdrawals_only: bool = False
    aggregate: bool = False

    @property
    def schema_version(self) -> str:
        return schema_version(self.columns)


def schema_version(columns: Sequence[ColumnFacts]) -> str:
    """Changes whenever a column, its type, codes or meaning does."""
    return files.sha256_bytes(files.canonical_json([asdict(c) for c in columns]))[:16]


def folder(dataset: str, sequence: int, night: str) -> str:
    """Name of a delivery in its partner's outbox."""
    return f"{dataset}/{sequence:06d}_{night}"


def build(
    package: Package,
    rows: pa.Table,
    changes: pa.Table | None,
    folder: Path,
    *,
    signing_key: Path,
    recipient_certificate: bytes | None = None,
) -> dict[str, Any]:
    """Write the delivery into `folder`; returns its manifest. What is encrypted is never on disk in plain.

    Raises: TerminalError `identifier_in_release`, `column_not_allowed`, `schema_drift` (rows are not
    what the columns say), `agreement_invalid` (notice), `recipient_key_mismatch`, `key_missing`;
    TransientError.
    """
    documents.check_notice(package.notice, package.columns)
    recipient = _recipient(package, recipient_certificate)
    signed_by = openpgp.fingerprint(openpgp.certificate(signing_key))
    whole = encoding.conform(rows, package.columns)
    changed = None
    if changes is not None:
        changed = encoding.conform(changes, (OP, *package.columns), whole_rows=False)
    listed, delivered = [], {}
    dataset = None if package.withdrawals_only else whole
    for name, table in ((package.dataset, dataset), (f"{package.dataset}_changes", changed)):
        if table is not None:
            for suffix, data in ((".csv", encoding.csv(table)), (".parquet", encoding.parquet(table))):
                _scan(name + suffix, data, table)
                fact = _listed(name + suffix, data) | {"rows": table.num_rows}
                if recipient:
                    data, sealed_name = openpgp.encrypt(data, recipient), f"{name}{suffix}.pgp"
                    fact["encrypted"] = _listed(sealed_name, data)
                delivered[fact.get("encrypted", fact)["name"]] = data
                listed.append(fact)
    count = None if changed is None else changed.num_rows
    texts = {
        "data_dictionary.csv": documents.data_dictionary(package.columns),
        "README.md": documents.readme(package, rows=whole.num_rows, changes=count, signed_by=signed_by),
    }
    if package.notice is not None:
        texts[documents.NOTICE_FILE] = documents.notice(package.notice).text
    listed += [_listed(name, data) for name, data in texts.items()]
    manifest = _manifest(package, whole.num_rows, count, listed) | {
        "encrypted_to": openpgp.fingerprint(recipient) if recipient else None,
        "signed_by": signed_by,
    }
    stated = files.canonical_json(manifest)
    delivered |= texts | {MANIFEST: stated}
    sums = _sums({name: files.sha256_bytes(data) for name, data in delivered.items()})
    delivered |= {SUMS: sums, SIGNATURE: openpgp.sign_detached(stated, signing_key)}
    for name, data in delivered.items():
        files.write_bytes(folder / name, data)
    return manifest


def _recipient(package: Package, certificate: bytes | None) -> bytes | None:
    if not package.encrypt:
        return None
    if certificate is None:
        raise TerminalError(
            "recipient_key_mismatch",
            f"agreement [{package.agreement}] asks for encryption; install the certificate of its partner",
        )
    agreed = package.recipient
    if agreed is not None and openpgp.fingerprint(certificate) != agreed.replace(" ", "").upper():
        raise TerminalError(
            "recipient_key_mismatch",
            f"the certificate of [{package.partner}] is not the one of agreement [{package.agreement}]",
        )
    return certificate


def _listed(name: str, data: bytes) -> dict[str, Any]:
    return {"name": name, "sha256": files.sha256_bytes(data), "bytes": len(data)}


def _scan(name: str, data: bytes, table: pa.Table) -> None:
    """G7: the file itself, read back, has these columns and rows and no other."""
    if name.endswith(".parquet"):
        read = encoding.read_parquet(data)
        header, count = read.column_names, read.num_rows
    else:
        reader = csv.reader(io.StringIO(data.decode(), newline=""), strict=True)
        header, count = next(reader), sum(1 for _ in reader)
    if header != table.column_names:
        raise TerminalError("column_not_allowed", f"[{name}] was written with other columns than allowed")
    if count != table.num_rows:
        raise TerminalError("counts_differ", f"[{name}] was written with other rows than given")


def _manifest(
    package: Package, rows: int, changes: int | None, listed: list[dict[str, Any]]
) -> dict[str, Any]:
    notice = None
    if package.notice is not None:
        adopted = documents.notice(package.notice)
        notice = {"name": adopted.name, "sha256": adopted.sha256, "file": documents.NOTICE_FILE}
    return {
        "format": FORMAT,
        "partner": package.partner,
        "dataset": package.dataset,
        "title": package.title,
        "night": package.night,
        "sequence": package.sequence,
        "previous_sequence": package.previous_sequence,
        "agreement": {
            "id": package.agreement,
            "version": package.agreement_version,
            "sha256": package.agreement_sha256,
        },
        "purpose": package.purpose,
        "legal_basis": package.legal_basis,
        "retention_days": package.retention_days,
        "acknowledge_within_days": package.acknowledge_within_days,
        "schema": {
            "version": package.schema_version,
            "columns": [c.name for c in package.columns],
            "key": list(package.key),
        },
        "withdrawals_only": package.withdrawals_only,
        "rows": rows,
        "changes": changes,
        "inputs": dict(package.inputs),
        "notice": notice,
        "consent_scope": {c: list(columns) for c, columns in (package.scope or {}).items()},
        "csv": {
            "formula_prefix": encoding.FORMULA_PREFIX,
            "formula_prefix_columns": [c.name for c in package.columns if c.type == "string"],
            "formula_starts": list(encoding.FORMULA_STARTS),
            "missing_value": "empty field",
        },
        "files": listed,
    }


def verify(folder: Path, certificate: bytes) -> dict[str, Any]:
    """Read a delivery back as its recipient would; returns the manifest.

    Raises: TerminalError `signature_invalid` where the signature, a sum or the list of files does not fit.
    """
    present = {p.name for p in folder.glob("*")}
    if not present.issuperset(PROOF):
        raise _unfit(folder.name, "lacks its manifest, signature or sums")
    stated = (folder / MANIFEST).read_bytes()
    openpgp.verify_detached(stated, (folder / SIGNATURE).read_bytes(), certificate)
    manifest = json.loads(stated)
    expected = {f["name"]: f for f in (f.get("encrypted", f) for f in manifest["files"])}
    if present != expected.keys() | set(PROOF):
        raise _unfit(folder.name, "does not hold the files of its manifest")
    sums = {MANIFEST: files.sha256_bytes(stated)}
    for name, fact in expected.items():
        sums[name] = files.sha256_file(folder / name)
        if sums[name] != fact["sha256"] or (folder / name).stat().st_size != fact["bytes"]:
            raise _unfit(name, "is not what the manifest says")
    if (folder / SUMS).read_bytes() != _sums(sums):
        raise _unfit(SUMS, "is not what the manifest says")
    return manifest


def _unfit(name: str, why: str) -> TerminalError:
    return TerminalError("signature_invalid", f"[{name}] {why}; stage the delivery again")


def _sums(sums: Mapping[str, str]) -> bytes:
    """As `sha256sum` writes and checks them."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()


def same_content(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Two manifests of the same plaintext: ciphertext differs each time it is made."""

    def plain(manifest: dict[str, Any]) -> dict[str, Any]:
        listed = [{k: v for k, v in f.items() if k != "encrypted"} for f in manifest["files"]]
        return manifest | {"files": listed}

    return plain(one) == plain(other)
