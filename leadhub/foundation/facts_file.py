"""Facts in YAML: read with pydantic, unknown keys refused, errors that name file and key."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from leadhub.foundation.errors import TerminalError


class Facts(BaseModel):
    """Base of what is read from YAML: immutable, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Model = TypeVar("Model", bound=Facts)
#: every task reads all facts: libyaml, where it is there, takes a tenth of the time
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path, model: type[Model], reason: str) -> Model:
    """One YAML file as `model`.

    Raises: TerminalError with `reason` that names file, key and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise TerminalError(reason, f"[{path.name}] is missing") from None
    except OSError as error:
        why = error.strerror or "an error of the disk"
        raise TerminalError(reason, f"[{path.name}] cannot be opened: {why}") from None
    except UnicodeDecodeError:
        raise TerminalError(reason, f"[{path.name}] is not in UTF-8") from None
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise TerminalError(reason, f"[{path.name}] is not YAML{where}") from None
    except ValueError as error:  # a date or time that no calendar has
        raise TerminalError(reason, f"[{path.name}] holds a date that does not exist: {error}") from None
    try:
        return model.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(
            f"[{'.'.join(map(str, e['loc'])) or 'file'}] {e['msg']}" for e in error.errors()
        )
        raise TerminalError(reason, f"[{path.name}]: {problems}") from None
