"""Which licences there are, by name: whoever asks this must see also those whose file cannot be read."""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path

#: of an id: the partner, the dataset
PART = r"^[a-z][a-z0-9_]{2,40}$"


@dataclass(frozen=True, order=True)
class LicenceId:
    """Of whom and what a licence is, as its id and the name of its file say."""

    partner: str
    dataset: str

    @property
    def id(self) -> str:
        return f"{self.partner}__{self.dataset}"


def named(agreement_id: str) -> LicenceId | None:
    """What an id says; None where it cannot be one."""
    partner, joint, dataset = agreement_id.partition("__")
    fits = joint and re.fullmatch(PART, partner) and re.fullmatch(PART, dataset) and "__" not in dataset
    return LicenceId(partner, dataset) if fits else None


def known(folder: Path, approved: Path) -> list[LicenceId]:
    """Every licence: of which there is a file, whether it can be read or not, or that two people have
    approved (`approved`: a folder each), so that none is lost by an edit. In order of partners."""
    names = {path.stem for path in folder.glob("*.yaml")}
    # where users have roles, whoever may not look there goes by the files alone
    with contextlib.suppress(FileNotFoundError, PermissionError):
        names |= {path.name for path in approved.iterdir()}
    return sorted(licence for name in names if (licence := named(name)) is not None)
