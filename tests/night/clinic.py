"""A night as the case managers of Harbor might have sent it, and what police and prosecutor then hold."""

import csv
import io
import json
from datetime import date

from leadhub.foundation import openpgp
from simulation.agencies import files

CLINIC = "harbor_case_management"
TOLD = ("district_attorney", "police")
TABLES = ("clients", "consents", "intakes", "episodes")


def sent(nights) -> dict[str, list[dict[str, str]]]:
    """What they sent for night 1, in their own words: table → rows."""
    inbox = nights.before / "sftp" / CLINIC / "inbox"
    found = {}
    for table in TABLES:
        [path] = inbox.glob(f"{table}_*.csv")
        rows = csv.DictReader(io.StringIO(path.read_bytes().decode()))
        # a clerk's slip of a cell too many stands under no name
        found[table] = [{k: v for k, v in row.items() if k is not None} for row in rows]
    return found


def covered(tables) -> set[str]:
    """Clients with any line for a partner who is told: of the others nothing may be seen."""
    return {r["client_id"] for r in tables["consents"] if r["recipient"] in TOLD}


def send(nights, tables, number: int = 2, sequence: int = 1) -> None:
    """A whole extract for a night."""
    members = {}
    for table, rows in tables.items():
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(sent(nights)[table][0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        members[table] = (out.getvalue().encode(), len(rows))
    drop = files.with_manifest(CLINIC, CLINIC, date.fromisoformat(nights.night(number)), sequence, members)
    for name, data in drop.files:
        (nights.var / "sftp" / CLINIC / "inbox" / name).write_bytes(data)


def received(nights) -> dict[str, object]:
    """Everything in the outboxes of those who are told: names, sizes and, opened, every byte. Hashes and
    signatures of what is encrypted anew each time are left out, and hashes of the ledger."""
    found: dict[str, object] = {}
    for partner in TOLD:
        secret = nights.stage.agencies / partner / "openpgp.pgp"
        outbox = nights.var / "sftp" / partner / "outbox"
        for path in sorted(p for p in outbox.rglob("*") if p.is_file()):
            name, data = str(path.relative_to(outbox.parent.parent)), path.read_bytes()
            if path.name == "manifest.json":
                said = json.loads(data)
                for file in said["files"]:
                    file.get("encrypted", {}).pop("sha256", None)
                found[name] = said
            elif path.parent.name == "checkpoints":
                found[name] = json.loads(json.loads(data)["statement"])["seq"]
            elif path.suffix == ".pgp":
                found[name] = len(data), openpgp.decrypt(data, secret)
            elif path.parent.name not in ("acknowledgements", "rejections"):
                found[name] = len(data) if path.name in ("SHA256SUMS", "manifest.json.asc") else data
    return found
