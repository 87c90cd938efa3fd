"""The county's agencies as real servers on loopback, their keys, and the site's connections to them.

Everything an installation would get from its agencies (host keys, certificates, credentials) is made
here once and kept under `var`, so that a second start finds the same agencies.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from leadhub.foundation import files, keys, openpgp
from leadhub.foundation.settings import Settings
from simulation.county import County
from simulation.da_api import DaServer
from simulation.police_db import PoliceDatabase
from simulation.sftp_server import SftpServer

ACCOUNTS = ("police", "district_attorney", "harbor_case_management", "riverside_treatment")
#: partners that send nothing
READERS = ("policy_coordinating_group",)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _ssh_key(path: Path) -> tuple[str, str]:
    """Private key text and public key line, made at the first call."""
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        private = made.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
        public = made.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )
        files.write_bytes(path, private)
        files.write_bytes(path.with_suffix(".pub"), public + b"\n")
    return path.read_text(), path.with_suffix(".pub").read_text().strip()


class Stage:
    """Servers and keys of one county. Use as a context manager."""

    def __init__(self, var: Path, *, persons: int, seed: int, night: date):
        self.var, self.night = var, night
        self.settings = Settings(var=var)
        self.agencies = var / "agencies"
        self.county = County.make(persons=persons, seed=seed, night=night)
        self.database = PoliceDatabase(self.agencies / "police_records")
        self.da = DaServer()
        self.sftp = SftpServer(var / "sftp")

    # keys -----------------------------------------------------------------------------------------

    def _keys(self) -> None:
        keys.load(self.settings.root_key, self.settings.wrapping, create=True)
        for path, owner in (
            (self.settings.signing_key, "leadhub releases <releases@leadhub.example>"),
            (self.settings.decryption_key, "leadhub drops <drops@leadhub.example>"),
        ):
            if not path.exists():
                openpgp.generate(path, owner)
        for account in (*ACCOUNTS, *READERS):
            secret = self.agencies / account / "openpgp.pgp"
            if not secret.exists():
                openpgp.generate(secret, f"{account} <{account}@county.example>")
                installed = self.settings.var / "keys" / "partners" / f"{account}.asc"
                files.write_bytes(installed, openpgp.certificate(secret))

    def __enter__(self) -> Stage:
        self._keys()
        self.database.start()
        self.da.start()
        self.sftp.start()
        _, hub_public = _ssh_key(self.settings.var / "keys" / "hub_ssh")
        for account in (*ACCOUNTS, *READERS):
            _, own = _ssh_key(self.agencies / account / "ssh")
            self.sftp.add_account(account, [own, hub_public])
        return self

    def __exit__(self, *_: object) -> None:
        self.sftp.stop()
        self.da.stop()
        self.database.stop()

    # the site's view ------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        """LEADHUB_* settings and AIRFLOW_CONN_* connections of the site."""
        private, _ = _ssh_key(self.settings.var / "keys" / "hub_ssh")
        connections = {
            "police_records": self.database.connection(),
            "da_api": self.da.connection(),
            **{f"sftp_{a}": self.sftp.connection(a, private) for a in (*ACCOUNTS, *READERS)},
        }
        return {
            "LEADHUB_VAR": str(self.var),
            # the demo asks for its two nights; the schedule begins with the next
            "LEADHUB_FIRST_NIGHT": (self.night + timedelta(days=2)).isoformat(),
            "GX_ANALYTICS_ENABLED": "false",
            **{f"AIRFLOW_CONN_{n.upper()}": json.dumps(c) for n, c in connections.items()},
        }

    def prepare(self, number: int, progress: Callable[[str], None] = lambda _: None) -> None:
        """The agencies do their day's work: rows change at the sources, drops are uploaded."""
        progress(f"the agencies' day before night {number}")
        sources = self.county.sources(number, encrypt=self._encrypt)
        self.database.apply(sources.police, sources.police_keys)
        self.da.load(sources.da, sources.da_keys)
        for drop in sources.drops:
            inbox = self.var / "sftp" / drop.account / "inbox"
            for name, data in drop.files:
                aside = inbox / f".{name}.part"
                aside.write_bytes(data)
                os.replace(aside, inbox / name)

    def _encrypt(self, data: bytes) -> bytes:
        return openpgp.encrypt(data, openpgp.certificate(self.settings.decryption_key))
