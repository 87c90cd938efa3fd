"""One partner, its outbox as a folder, and a night published into it. Also run as a process that is killed:

python -m tests.release.publishing VAR NIGHT STATE
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa

from leadhub.foundation import files, ledger, openpgp
from leadhub.release import encoding, package
from leadhub.release.channel import Channel
from leadhub.release.package import Package
from leadhub.release.publication import Identity, Publication, Receipt
from leadhub.release.shipment import Content
from tests.release.dataset import PACKAGE, table

#: (case, status): the persons are p1:<case>, the consents c:<case>
State = Sequence[tuple[str, str]]
STATES: dict[str, State] = {
    "one": (("DA-1", "NO_INFORMATION"), ("DA-2", "INTAKE_COMPLETE"), ("DA-3", "ENROLLED")),
    "two": (("DA-1", "ENROLLED"), ("DA-2", "NO_INFORMATION"), ("DA-4", "ENROLLED")),
}
NIGHT, NEXT = "2026-11-20", "2026-11-21"
ONE, TWO = STATES["one"], STATES["two"]


def sealed(case: str) -> str:
    return "s1:" + case[::-1].lower()


def opened(rows: pa.Table) -> pa.Table:
    cases = [c.removeprefix("s1:")[::-1].upper() for c in rows["case_no"].to_pylist()]
    index = rows.schema.get_field_index("case_no")
    return rows.set_column(index, "case_no", pa.array(cases, pa.string()))


def identity(facts: Package, inputs: str = "", restrictions: str = "") -> Identity:
    return Identity(facts.night, facts.agreement_sha256, {"da_cases": inputs}, restrictions)


def silent(status: str) -> bool:
    return status == "NO_INFORMATION"


def content(state: State) -> Content:
    grounds = pa.table(
        {
            "person_id": [f"p1:{case}" for case, _ in state],
            "row_key": [sealed(case) for case, _ in state],
            "legal_basis": [
                "MOU 4" if status == "NO_INFORMATION" else "42 CFR 2.31" for _, status in state
            ],
            "consent_id": [None if status == "NO_INFORMATION" else f"c:{case}" for case, status in state],
        }
    )
    return Content(table(*((sealed(case), status, None, None) for case, status in state)), grounds)


@dataclass(frozen=True)
class Office:
    """A partner under `root`: var/, outbox/, deliveries.log (one line a call of `deliver`), keys."""

    root: Path

    @property
    def var(self) -> Path:
        return self.root / "var"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox"

    @property
    def chain(self) -> Path:
        return self.var / "ledger" / f"{PACKAGE.partner}.jsonl"

    @property
    def releases(self) -> Path:
        return self.var / "releases" / PACKAGE.partner / PACKAGE.dataset

    def kinds(self) -> list[tuple[str, int | None]]:
        return [(e.kind, e.sequence) for e in ledger.entries(self.chain)]

    def deliveries(self) -> list[str]:
        log = self.root / "deliveries.log"
        return log.read_text().split() if log.exists() else []

    def publication(self) -> Publication:
        def deliver(folder: Path, remote: str) -> None:
            aside = self.outbox / f".{Path(remote).name}"
            shutil.rmtree(aside, ignore_errors=True)
            shutil.copytree(folder, aside)
            (self.outbox / remote).parent.mkdir(parents=True, exist_ok=True)
            os.rename(aside, self.outbox / remote)
            with (self.root / "deliveries.log").open("a") as log:
                log.write(f"{remote}\n")

        def read(remote: str) -> bytes | None:
            path = self.outbox / remote
            return path.read_bytes() if path.exists() else None

        key = self.root / "keys" / "signing.pgp"
        return Publication(self.var, PACKAGE.partner, PACKAGE.dataset, key, Channel(deliver, read))

    def stage(
        self,
        night: str,
        state: State,
        *,
        restrictions: str = "r0",
        inputs: str = "i0",
        facts: Package = PACKAGE,
        certificate: bytes | None = None,
    ) -> Receipt:
        facts = replace(facts, night=night, inputs={"your case system": night})
        return self.publication().stage(
            facts,
            identity(facts, inputs, restrictions),
            lambda: content(state),
            open_ids=opened,
            stated=["diversion_status"],
            recipient_certificate=certificate,
        )

    def deliver(self, receipt: Receipt) -> Receipt:
        publication = self.publication()
        return publication.deliver(receipt["release_id"], agreement_sha256=PACKAGE.agreement_sha256)

    def publish(self, night: str, state: State, **given) -> Receipt:
        return self.deliver(self.stage(night, state, **given))


def office(root: Path) -> Office:
    if not (root / "keys" / "signing.pgp").exists():
        openpgp.generate(root / "keys" / "signing.pgp", "hub <hub@leadhub.example>")
    (root / "outbox").mkdir(exist_ok=True)
    return Office(root)


def new_office(root: Path, keys: Path) -> Office:
    shutil.copytree(keys, root / "keys")
    return office(root)


def delivered(partner: Office) -> list[str]:
    return sorted(p.name for p in (partner.outbox / PACKAGE.dataset).glob("*"))


def manifest(partner: Office, name: str) -> dict:
    return files.read_json(partner.outbox / PACKAGE.dataset / name / package.MANIFEST)


def told(partner: Office, name: str, table: str = "diversion_status"):
    path = partner.outbox / PACKAGE.dataset / name / f"{table}.parquet"
    return encoding.read_parquet(path.read_bytes())


def all_bytes(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())


if __name__ == "__main__":
    office(Path(sys.argv[1])).publish(sys.argv[2], STATES[sys.argv[3]], restrictions=sys.argv[3])
