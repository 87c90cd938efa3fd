"""One agency's HTTP interface: who we are, how long we wait, how often we try again.

OAuth 2.0 client credentials (RFC 6749 4.4), TLS checked against the system's or the connection's own
trust anchor, redirects not followed, answers bounded in time and size.
"""

from __future__ import annotations

import base64
import ipaddress
import logging
import random
import re
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from urllib.parse import quote_plus

import httpcore
import httpx

from connectors import http_outcomes, strict_json
from connectors.base import Connection
from connectors.http_deadline import DeadlineTransport
from leadhub.foundation.errors import TerminalError, TransientError

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
        if self.headers.get("content-encoding", "identity").lower() != "identity":
            raise strict_json.bad(what, "the body is encoded though identity was asked for")
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


class HttpSession:
    """A connection to one agency for one run; a context manager.

    Raises: TerminalError `settings_invalid`.
    """

    def __init__(self, connection: Connection, budget: Budget):
        # httpx logs whole URLs at INFO, and a cursor may hold the key of a row
        logging.getLogger("httpx").setLevel(logging.WARNING)
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
        raise http_outcomes.refusal(what, reply.status)

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
            raise http_outcomes.refusal(what, 401)
        if reply.status != 200:
            raise http_outcomes.refusal(what, reply.status)
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
                if reply.status not in http_outcomes.TRY_AGAIN:
                    return reply
                failure, asked = (
                    http_outcomes.busy(what, reply.status),
                    http_outcomes.retry_after(reply.headers),
                )
            self._wait(failure, attempt, asked)
        reply = self._once(what, request)
        if reply.status in http_outcomes.TRY_AGAIN:
            raise http_outcomes.busy(what, reply.status)
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
            raise http_outcomes.broken(what, error) from None

    def _body(self, what: str, answer: httpx.Response) -> bytes:
        limit, body = self._budget.response_bytes, bytearray()
        for piece in answer.iter_raw():
            body += piece
            if len(body) > limit:
                raise TerminalError(
                    "too_large", f"{what}: more than {limit} bytes; lower [page_rows] of the feed"
                )
        return bytes(body)
