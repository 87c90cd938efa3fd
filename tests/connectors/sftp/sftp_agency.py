"""An agency with an account on a real SFTP server: what it uploads, and a hub that reads it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh

from connectors.base import Arrival, Connection
from connectors.sftp import SftpConnector
from leadhub.intake.feeds import DropRules, Feed, TableMapping
from leadhub.intake.landing import Landing
from simulation.sftp_server import SftpServer

NIGHT = "2026-11-20"
CANARY = "Quetzalhammer"
CLIENTS = f"client_id,last_name\nC1,{CANARY}\nC2,Li\n".encode()
REFERRALS = b"referral_no,client_id\nR1,C1\n"
TABLES = {"clients": CLIENTS, "refs": REFERRALS}


def ssh_key() -> tuple[str, str]:
    """Private key text, public key line."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    return key.export_private_key().decode(), key.export_public_key().decode()


PRIVATE, PUBLIC = ssh_key()


def feed(**rules: object) -> Feed:
    """Contract tables `clients` and `referrals`; the latter's files are called `refs_…`."""
    cadence = rules.pop("cadence", "nightly")
    suffix = r"\.csv\.pgp" if rules.get("encryption") == "openpgp" else r"\.csv"
    given = {
        "pattern": rf"(?P<table>clients|refs)_(?P<night>\d{{8}})_(?P<sequence>\d{{2}}){suffix}",
        "completeness": "manifest",
        **rules,
    }
    return Feed(
        id="harbor",
        title="Harbor",
        agency="harbor",
        connector="sftp",
        connection="sftp_harbor",
        contract="provider",
        cadence=cadence,
        tables={
            "clients": TableMapping(source="clients", columns={"client_id": "client_id"}),
            "referrals": TableMapping(source="refs", columns={"referral_no": "referral_no"}),
        },
        drop=DropRules(**given),
    )


def connection(server: SftpServer, account: str, private: str, **extra: object) -> Connection:
    given = server.connection(account, private)
    return Connection(given["host"], given["port"], given["login"], extra={**given["extra"], **extra})


def manifest(files: dict[str, bytes], *, night: str = NIGHT, sequence: int = 1, **changes: object) -> dict:
    said = {
        "feed": "harbor",
        "night": night,
        "sequence": sequence,
        "mode": "FULL",
        "generated_at": f"{night}T21:00:00-05:00",
        "supersedes": None,
        "files": [
            {
                "name": name,
                "table": name.split("_")[0],
                "sha256": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "rows": max(0, data.count(b"\n") - 1),
            }
            for name, data in files.items()
        ],
    }
    return {**said, **changes}


@dataclass
class Agency:
    """One account and the hub's view of it."""

    server: SftpServer
    landing: Landing
    account: str
    private: str
    hub: SftpConnector = field(init=False)

    def __post_init__(self) -> None:
        self.serve()

    def serve(self, **rules: object) -> SftpConnector:
        self.hub = SftpConnector(feed(**rules), {}, connection(self.server, self.account, self.private))
        return self.hub

    @property
    def inbox(self) -> Path:
        return self.server.root / self.account / "inbox"

    @property
    def names(self) -> list[str]:
        return sorted(os.listdir(self.inbox))

    def put(self, name: str | bytes, data: bytes, *, minutes_old: float = 0) -> None:
        path = os.path.join(os.fsencode(self.inbox), os.fsencode(name))
        with open(path, "wb") as handle:
            handle.write(data)
        self.age(path, minutes_old)

    def age(self, path: str | bytes | Path, minutes: float) -> None:
        then = time.time() - 60 * minutes
        os.utime(path, (then, then), follow_symlinks=False)

    def age_all(self, minutes: float) -> None:
        for path in self.inbox.iterdir():
            self.age(path, minutes)

    def drop(
        self,
        night: str = NIGHT,
        sequence: int = 1,
        tables: dict[str, bytes] | None = None,
        said: dict | None = None,
        **changes: object,
    ) -> list[str]:
        """A drop with its manifest, uploaded last; the names."""
        stem = f"{night.replace('-', '')}_{sequence:02d}"
        files = {f"{table}_{stem}.csv": data for table, data in (tables or TABLES).items()}
        for name, data in files.items():
            self.put(name, data)
        text = {**manifest(files, night=night, sequence=sequence, **changes), **(said or {})}
        self.put(f"harbor_{stem}.manifest.json", json.dumps(text).encode())
        return [*files, f"harbor_{stem}.manifest.json"]

    def drop_with_sidecars(self, night: str = NIGHT, sequence: int = 1, suffix: str = ".csv.pgp") -> None:
        stem = f"{night.replace('-', '')}_{sequence:02d}"
        for table, data in TABLES.items():
            name = f"{table}_{stem}{suffix}"
            self.put(name, data)
            self.put(f"{name}.sha256", f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode())

    def read(self, night: str = NIGHT) -> list[Arrival]:
        return self.hub.read(self.landing, night, {})

    def take(self, night: str = NIGHT) -> Arrival:
        """Read what must be one arrival, and tidy up after it."""
        (arrival,) = self.read(night)
        self.hub.finish([arrival])
        return arrival

    def opened(self) -> list[str]:
        """Names in the inbox that were opened since the last call."""
        mine = [p.removeprefix("inbox/") for a, p in self.server.opened if a == self.account]
        self.server.opened.clear()
        return mine


def hold(landing: Landing, arrival: Arrival) -> None:
    """What the step does with a held drop."""
    assert arrival.status == "held"
    assert arrival.drop is not None
    landing.path(arrival.drop, "held.json").write_text("{}")


def judge(landing: Landing, arrival: Arrival) -> None:
    """What remains of a drop that was judged."""
    assert arrival.drop is not None
    landing.path(arrival.drop, "accepted").mkdir()


def untouched(agency: Agency) -> bool:
    """Nothing was landed, nothing half-read is left."""
    return not [p for p in agency.landing.root.rglob("*") if p.is_file()]


def waits_then_is_refused(agency: Agency, *words: str) -> None:
    """Pending while fresh, refused for `incomplete_drop` after the grace; its files stay."""
    before = agency.names
    fresh = agency.take()
    agency.age_all(61)
    late = agency.take()
    assert (fresh.status, late.status) == ("pending", "refused")
    assert fresh.reason == late.reason == "incomplete_drop"
    assert all(word in late.message for word in words), late.message
    assert late.drop is None
    assert agency.names == before
    assert untouched(agency)
