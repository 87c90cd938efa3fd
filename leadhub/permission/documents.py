"""Documents of the agreements' folder: what every one has, and how each is read for itself.

A file that cannot be read, or says what cannot be, stops what rests on it and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Generic, Self, TypeVar

from pydantic import Field, model_validator

from leadhub.foundation import facts_file
from leadhub.foundation.errors import TerminalError
from leadhub.foundation.facts_file import Facts

_TO_DO = "put it right and try it with `leadhub check`; what rests on it stops, but for withdrawals"


class Approval(Facts):
    """A signature under this version."""

    signatory: str
    signed_on: date


class Signed(Facts):
    """What all three tiers have: a memorandum, a sharing agreement, a licence."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{2,80}$")
    title: str
    version: str
    signatories: list[str] = Field(min_length=2)
    approvals: list[Approval]
    valid_from: date
    valid_until: date

    @model_validator(mode="after")
    def _signed_in_its_time(self) -> Self:
        if self.valid_until < self.valid_from:
            raise ValueError("valid_until lies before valid_from")
        if not {a.signatory for a in self.approvals} <= set(self.signatories):
            raise ValueError("approvals holds somebody who is no signatory")
        return self


Document = TypeVar("Document", bound=Facts)


@dataclass(frozen=True)
class Folder(Generic[Document]):
    """What a folder holds, by file name without `.yaml`: `found` what can be used, `faults` why not."""

    found: Mapping[str, Document]
    faults: Mapping[str, TerminalError]


def read(path: Path, model: type[Document], named: str = "id") -> Document:
    """One document. `named`: the fact that its file is named after.

    Raises: TerminalError `agreement_invalid` naming file, key or line, rule, and what to do.
    """
    try:
        facts = facts_file.read(path, model, "agreement_invalid")
    except TerminalError as error:
        raise TerminalError(error.reason, f"{error.message}; {_TO_DO}") from None
    if getattr(facts, named) != path.stem:
        raise TerminalError(
            "agreement_invalid", f"[{path.name}] must be named after its {named}; rename it; {_TO_DO}"
        )
    return facts


def read_all(folder: Path, model: type[Document]) -> Folder[Document]:
    """Every document of a folder, each for itself."""
    found, faults = {}, {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            found[path.stem] = read(path, model)
        except TerminalError as error:
            faults[path.stem] = error
    return Folder(found, faults)
