"""Settings: where state lives and how the site works. From the environment, `LEADHUB_<NAME>`."""

from __future__ import annotations

import os
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from leadhub.foundation.errors import TerminalError
from leadhub.foundation.keys import KeyState
from leadhub.foundation.wrapping import Kind, Wrapping

REPOSITORY = Path(__file__).resolve().parents[2]
#: Airflow's pool of one slot for the tasks that close a feed: two assets of one partition that come at once
#: make two half-filled runs, and the night never starts (apache/airflow issue 71070)
CLOSING_POOL = "closing"


class Settings(BaseModel):
    """One site's settings; immutable. Paths may be overridden one by one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: runtime state; git-ignored in the embedded default
    var: Path = REPOSITORY / "var"
    feeds: Path = REPOSITORY / "feeds"
    agreements: Path = REPOSITORY / "agreements"
    expectations: Path = REPOSITORY / "expectations"
    time_zone: str = "America/New_York"
    #: the first night that Airflow starts by itself; earlier ones run where somebody asks for them
    first_night: date = date(2026, 1, 1)
    #: days a person has to complete intake; a site parameter (7, 14 and 30 are in use)
    intake_window_days: int = Field(default=30, ge=1, le=365)
    #: what linkage stores of a record (docs/linkage.md); chosen once, before the first night
    linkage_tier: Literal["tokens", "fields"] = "tokens"
    #: days for which records keep tokens of the older linkage key that cannot be made anew (`keys retire`)
    linkage_overlap_days: int = Field(default=30, ge=1, le=365)
    #: who signs the README of a delivery and answers disputes
    steward_contact: str = "data-stewards@leadhub.example"
    #: where alerts go: an address (through Airflow connection `alert_smtp`) …
    alert_email: str | None = None
    #: … and an Airflow connection id of a webhook
    alert_webhook: str | None = None
    #: refuse to start unless OpenSSL's FIPS provider is active
    require_fips: bool = False
    #: what runs a step as the user of its `{role}` (`steps.acting`); empty: this process runs it
    role_command: str = ""
    root_key_file: Path | None = None
    #: what wraps the root key (`wrapping`); its file says by itself what unwraps it
    key_provider: Kind = "file"
    passphrase_file: Path | None = None
    vault_addr: str = ""
    vault_mount: str = "transit"
    vault_key: str = ""
    vault_token_file: Path | None = None
    kms_addr: str = "https://cloudkms.googleapis.com"
    kms_key: str = ""
    kms_token_file: Path | None = None
    signing_key_file: Path | None = None
    decryption_key_file: Path | None = None

    @property
    def root_key(self) -> Path:
        return self.root_key_file or self.var / "keys" / "root.key"

    @property
    def wrapping(self) -> Wrapping:
        named = {f.name: getattr(self, f.name) for f in fields(Wrapping) if f.name != "kind"}
        return Wrapping(kind=self.key_provider, **named)

    @property
    def approved(self) -> Path:
        """What two people have approved, a folder a licence (`steps.approvals`)."""
        return self.var / "ledger" / "approved"

    @property
    def key_state(self) -> KeyState:
        """Which root key, and which versions of what, this state was made with."""
        return KeyState(self.var / "lake" / "key_check.json", self.var / "seals" / "rotated")

    @property
    def signing_key(self) -> Path:
        return self.signing_key_file or self.var / "keys" / "signing.pgp"

    @property
    def decryption_key(self) -> Path:
        return self.decryption_key_file or self.var / "keys" / "decryption.pgp"


def load(environment: dict[str, str] | None = None) -> Settings:
    """Settings from `LEADHUB_VAR`, `LEADHUB_TIME_ZONE`, … (names not known here are ignored).

    Raises: TerminalError `settings_invalid` naming the variable.
    """
    given = os.environ if environment is None else environment
    values = {
        name: given[f"LEADHUB_{name.upper()}"]
        for name in Settings.model_fields
        if given.get(f"LEADHUB_{name.upper()}")
    }
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        names = ", ".join(f"LEADHUB_{'.'.join(map(str, e['loc'])).upper()}" for e in error.errors())
        raise TerminalError("settings_invalid", f"{names} is not valid; see docs/architecture.md") from None
