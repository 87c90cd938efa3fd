"""What an HTTP failure means: which error, and how long the agency asks us to wait."""

from __future__ import annotations

import math
import re
import ssl
from email.utils import parsedate_to_datetime

import httpx

from connectors.strict_json import bad
from leadhub.foundation import clock
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError

TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_TAKEN = frozenset({400, 404, 405, 406, 411, 415, 422, 426})


def retry_after(headers: httpx.Headers) -> float | None:
    """Seconds the agency asks us to wait (RFC 9110 10.2.3); None where it does not say.

    A date is read against the agency's own Date header, so that clocks need not agree.
    """
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]+", text):
        return float(text) if len(text) < 10 else math.inf
    try:
        until = parsedate_to_datetime(text)
        sent = headers.get("date")
        return max(0.0, (until - (parsedate_to_datetime(sent) if sent else clock.now())).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def broken(what: str, error: BaseException) -> LeadhubError:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TerminalError(
                "host_key_changed",
                f"{what}: the TLS certificate is not trusted; nothing was sent. Ask the agency, "
                "then set extra [ca_file] of the connection",
            )
        cause = cause.__cause__ or cause.__context__
    return TransientError(
        "source_unreachable", f"{what}: the connection failed or broke off; try again later"
    )


def busy(what: str, status: int) -> TransientError:
    if status == 429:
        return TransientError("rate_limited", f"{what}: the agency asks us to slow down; try again later")
    return TransientError("source_unreachable", f"{what}: HTTP status {status}; try again later")


def refusal(what: str, status: int) -> LeadhubError:
    if status in (401, 403):
        return TerminalError(
            "credentials_refused",
            f"{what}: HTTP status {status}; check login and password of the connection with the agency",
        )
    if status == 409:
        return TerminalError(
            "conflicting_resubmission", f"{what}: the same key came with another body before"
        )
    if status == 413:
        return TerminalError("too_large", f"{what}: the agency's system takes no body of this size")
    if status in _NOT_TAKEN:
        return TerminalError(
            "schema_drift",
            f"{what}: HTTP status {status}; the interface has changed, compare the feed with its document",
        )
    if status == 410:
        return bad(what, "the snapshot is no longer kept; the next try begins a new one")
    return bad(what, f"HTTP status {status} was not expected (redirects are not followed)")
