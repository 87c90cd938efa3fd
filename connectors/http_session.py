"""One agency's HTTP interface: who we are, how long we wait, how often we try again.

OAuth 2.0 client credentials (RFC 6749 4.4), TLS checked against the system's or the connection's own
trust anchor, redirects not followed, answers bounded in time and size.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import math
import random
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from urllib.parse import quote_plus

import httpcore
import httpx

from connectors import strict_json
from connectors.base import Connection
from connectors.http_deadline import DeadlineTransport
from leadhub.foundation import clock
from leadhub.foundation.errors import LeadhubError, TerminalError, TransientError

_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_NOT_TAKEN = frozenset({400, 404, 405, 406, 411, 415, 422, 426})
_TOKEN = re.compile(r"[\x21-\x7e]{1,8192}")
_TOKEN_PATH = "/oauth/token"  # noqa: S105 — a path, no secret
_DRAW = random.SystemRandom()


@dataclass(frozen=True)
class Budget:
    """What one run may spend on one agency. Times are in seconds.

    `attempts` counts tries of one request. `waiting` bounds all pauses of a run together, those that the
    agency asks for (Retry-After) included. `request` is the deadline of one request from first to last
    byte, whatever each read takes.
    """

    attempts: int = 6
    backoff: float = 0.5
    backoff_limit: float = 30.0
    waiting: float = 300.0
    connect: float = 10.0
    read: float = 30.0
    request: float = 180.0
    response_bytes: int = 64 << 20


DEFAULT = Budget()


@dataclass(frozen=True)
class Reply:
    """Status, headers and the whole body. `repr` shows no body."""

    status: int
    headers: httpx.Headers = field(repr=False)
    body: bytes = field(repr=False)

    def json(self, what: str) -> object:
        """The body as strict JSON. Raises: TransientError `bad_response`."""
        kind, _, parameters = self.headers.get("content-type", "").lower().partition(";")
        if kind.strip() != "application/json" or not re.fullmatch(
            r'\s*(charset="?utf-8"?)?\s*', parameters
        ):
            raise strict_json.bad(what, "the content type is not application/json in UTF-8")
        return strict_json.loads(self.body, what)


def _base_url(connection: Connection) -> httpx.URL:
    """https, or http to this very machine. Raises: TerminalError `settings_invalid`."""
    scheme = connection.extra.get("scheme", "https")
    if scheme not in ("https", "http"):
        raise TerminalError("settings_invalid", "extra [scheme] of the connection is https or http")
    if scheme == "http" and not _is_loopback(connection.host):
        raise TerminalError(
            "settings_invalid", f"[{connection.host}] is another machine: set extra [scheme] to https"
        )
    return httpx.URL(scheme=scheme, host=connection.host, port=connection.port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _trust(connection: Connection) -> ssl.SSLContext:
    """The system's trust anchors, or only those in extra [ca_file]."""
    ca_file = connection.extra.get("ca_file")
    try:
        context = ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()
    except OSError:
        raise TerminalError("settings_invalid", "extra [ca_file] is no readable PEM file") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


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
    except (ValueError, TypeError):
        return None


class HttpSession:
    """A connection to one agency for one run; a context manager.

    Raises: TerminalError `settings_invalid`.
    """

    def __init__(self, connection: Connection, budget: Budget):
        # httpx logs whole URLs at INFO and httpcore headers at DEBUG: cursors and tokens stay out of logs
        logging.getLogger("httpx").setLevel(logging.WARNING)
        logging.getLogger("httpcore").setLevel(logging.WARNING)
        self._connection, self._budget = connection, budget
        self._transport = DeadlineTransport(_trust(connection))
        self._client = httpx.Client(
            base_url=_base_url(connection),
            transport=self._transport,
            timeout=httpx.Timeout(budget.read, connect=budget.connect),
            headers={"accept": "application/json", "accept-encoding": "identity"},
            trust_env=False,
        )
        self._token: str | None = None
        self._waited = 0.0

    def __enter__(self) -> HttpSession:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        what: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> Reply:
        """The agency's 200 (or 304, where `headers` ask If-None-Match) to a request that may be repeated.

        `what` names the request in messages. A token that is refused is renewed once per request.
        Raises: TransientError `source_unreachable`, `source_timeout`, `rate_limited`, `bad_response`;
        TerminalError `credentials_refused`, `host_key_changed`, `schema_drift`, `too_large`,
        `conflicting_resubmission`.
        """
        reply = Reply(401, httpx.Headers(), b"")
        for _ in range(2):
            if self._token is None:
                self._token = self._new_token()
            request = self._client.build_request(
                method,
                path,
                params=query,
                headers={**(headers or {}), "authorization": f"Bearer {self._token}"},
                content=content,
            )
            reply = self._persist(what, request)
            if reply.status != 401:
                break
            self._token = None
        conditional = headers is not None and "if-none-match" in headers
        if reply.status == 200 or (reply.status == 304 and conditional):
            return reply
        raise _refusal(what, reply.status)

    def _new_token(self) -> str:
        what = "the token request"
        pair = f"{quote_plus(self._connection.login)}:{quote_plus(self._connection.password)}"
        request = self._client.build_request(
            "POST",
            _TOKEN_PATH,
            data={"grant_type": "client_credentials"},
            headers={"authorization": "Basic " + base64.b64encode(pair.encode()).decode()},
        )
        reply = self._persist(what, request)
        if reply.status in (400, 401, 403):
            raise _refusal(what, 401)
        if reply.status != 200:
            raise _refusal(what, reply.status)
        answer = reply.json(what)
        token = answer.get("access_token") if isinstance(answer, dict) else None
        kind = answer.get("token_type") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise strict_json.bad(what, "no usable [access_token]")
        if not isinstance(kind, str) or kind.lower() != "bearer":
            raise strict_json.bad(what, "[token_type] is not Bearer")
        return token

    def _persist(self, what: str, request: httpx.Request) -> Reply:
        """One request, tried again while that may help."""
        for attempt in range(1, self._budget.attempts):
            asked = None
            try:
                reply = self._once(what, request)
            except TransientError as error:
                failure = error
            else:
                if reply.status not in _TRY_AGAIN:
                    return reply
                failure, asked = _busy(what, reply.status), retry_after(reply.headers)
            self._wait(failure, attempt, asked)
        reply = self._once(what, request)
        if reply.status in _TRY_AGAIN:
            raise _busy(what, reply.status)
        return reply

    def _wait(self, failure: TransientError, attempt: int, asked: float | None) -> None:
        """Pause as long as asked, else exponential backoff with full jitter; or give up."""
        ceiling = min(self._budget.backoff_limit, self._budget.backoff * 2 ** (attempt - 1))
        seconds = _DRAW.uniform(0, ceiling) if asked is None else asked
        if self._waited + seconds > self._budget.waiting:
            raise failure from None
        self._waited += seconds
        time.sleep(seconds)

    def _once(self, what: str, request: httpx.Request) -> Reply:
        self._transport.deadline.start(self._budget.request)
        try:
            answer = self._client.send(request, stream=True)
            try:
                return Reply(answer.status_code, answer.headers, self._body(what, answer))
            finally:
                answer.close()
        except (httpcore.TimeoutException, httpx.TimeoutException):
            raise TransientError(
                "source_timeout", f"{what}: no whole answer in time; try again later"
            ) from None
        except (
            httpcore.NetworkError,
            httpcore.ProtocolError,
            httpcore.ConnectionNotAvailable,
            httpx.TransportError,
        ) as error:
            raise _broken(what, error) from None

    def _body(self, what: str, answer: httpx.Response) -> bytes:
        if answer.headers.get("content-encoding", "identity").lower() != "identity":
            raise strict_json.bad(what, "the body is encoded though identity was asked for")
        limit, body = self._budget.response_bytes, bytearray()
        for piece in answer.iter_raw():
            body += piece
            if len(body) > limit:
                raise TerminalError(
                    "too_large", f"{what}: more than {limit} bytes; lower [page_rows] of the feed"
                )
        return bytes(body)


def _broken(what: str, error: BaseException) -> LeadhubError:
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


def _busy(what: str, status: int) -> TransientError:
    if status == 429:
        return TransientError("rate_limited", f"{what}: the agency asks us to slow down; try again later")
    return TransientError("source_unreachable", f"{what}: HTTP status {status}; try again later")


def _refusal(what: str, status: int) -> LeadhubError:
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
        return strict_json.bad(what, "the snapshot is no longer kept; the next try begins a new one")
    return strict_json.bad(what, f"HTTP status {status} was not expected (redirects are not followed)")
