"""JSON as RFC 8259 means it, and nothing beside: what Python's parser lets through is refused."""

from __future__ import annotations

import json
import math
from typing import Any

from leadhub.foundation.errors import TransientError


def bad(what: str, why: str) -> TransientError:
    return TransientError("bad_response", f"{what}: {why}; nothing was taken, try again later")


class _Refused(ValueError):
    pass


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise _Refused("a name stands twice in one object")
    return value


def _constant(_: str) -> float:
    raise _Refused("NaN or Infinity is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise _Refused("a number is out of range")
    return value


def loads(body: bytes, what: str) -> Any:
    """UTF-8 without BOM, one value, no name twice in an object, no NaN, no number beyond a double.

    Raises: TransientError `bad_response`, without any text of the body.
    """
    try:
        text = body.decode("utf-8")
        return json.loads(text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
    except _Refused as error:
        raise bad(what, str(error)) from None
    except UnicodeDecodeError:
        raise bad(what, "the body is not UTF-8") from None
    except (ValueError, RecursionError):
        raise bad(what, "the body is not one whole JSON value") from None
