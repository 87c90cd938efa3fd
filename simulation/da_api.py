"""The District Attorney's case system: a real HTTP server with states, tokens, and faults on demand.

The interface is described in `da_openapi.yaml`, which the server also serves. Each `load` makes a new
state; readers that began on an earlier one go on reading it, as in a database with snapshots.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import polars as pl
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from simulation.da_faults import Fault, FaultyApp
from simulation.da_states import Collection, States, iso

DOCUMENT = Path(__file__).with_name("da_openapi.yaml")
#: rows a page holds at most
MAX_ROWS, MAX_KEYS = 50_000, 200_000


@dataclass(frozen=True)
class Push:
    """One change file that was taken."""

    idempotency_key: str
    body: bytes
    received_at: str


class _Refused(Exception):
    def __init__(self, status: int, error: str, **headers: str):
        super().__init__(error)
        self.status, self.error, self.headers = status, error, headers


class DaServer:
    """The server, in a thread. `port` 0 takes a free one; `tls` is (certificate file, key file).

    `changed_column` is the column that holds when a row was last changed, at the source's own clock.
    `requests` lists (method, path, query) as they came; `received` the change files that were taken.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        changed_column: str = "updated_at",
        client_secret: str | None = None,
        token_seconds: float = 300,
        tls: tuple[Path, Path] | None = None,
    ):
        self._asked_port, self._tls = port, tls
        self._token_seconds = token_seconds
        self._client_id = "leadhub"
        self._client_secret = client_secret or secrets.token_urlsafe(24)
        self._tokens: dict[str, float] = {}
        self._states = States(changed_column)
        self._answers: dict[str, tuple[str, bytes]] = {}
        self.received: list[Push] = []
        self._app = FaultyApp(Starlette(routes=self.routes()))
        self.requests = self._app.requests

    # --- what tests and the demonstration do -------------------------------------------------

    def load(
        self,
        resources: Mapping[str, pl.DataFrame],
        keys: Mapping[str, list[str]],
        *,
        at: datetime | None = None,
    ) -> str:
        """Replace all data: resource → rows, resource → key columns. Gives the new state's `as_of`.

        `at` is the moment of the state at the source's clock; by default that of the latest change in
        it, so that simulated nights need not be today.
        """
        return self._states.load(resources, keys, at)

    def script(self, faults: list[Fault]) -> None:
        """Replace the faults; each counts the requests that match it from now on."""
        self._app.script(faults)

    def forget_pushes(self) -> None:
        self.received.clear()
        self._answers.clear()

    def expire_tokens(self) -> None:
        self._tokens.clear()

    def connection(self) -> dict[str, Any]:
        """Airflow's JSON form of a connection."""
        return {
            "conn_type": "http",
            "host": "127.0.0.1",
            "port": self.port,
            "login": self._client_id,
            "password": self._client_secret,
            "extra": {"scheme": "https" if self._tls else "http"},
        }

    def start(self) -> DaServer:
        self._socket = socket.create_server(("127.0.0.1", self._asked_port))
        self.port = self._socket.getsockname()[1]
        config = uvicorn.Config(
            self._app,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            timeout_graceful_shutdown=1,
            ssl_certfile=self._tls[0] if self._tls else None,
            ssl_keyfile=self._tls[1] if self._tls else None,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="da-api", daemon=True
        )
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the District Attorney's server did not start")
            time.sleep(0.01)
        return self

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()

    def __enter__(self) -> DaServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- the interface -----------------------------------------------------------------------

    def routes(self) -> list[Route]:
        return [
            Route("/oauth/token", self._token, methods=["POST"]),
            Route("/openapi.yaml", self._document),
            Route("/v1/snapshot", self._guarded(self._snapshot)),
            Route("/v1/diversion-status/changes", self._guarded(self._changes), methods=["POST"]),
            Route("/v1/{resource}", self._guarded(self._rows)),
            Route("/v1/{resource}/keys", self._guarded(self._keys)),
        ]

    def _guarded(self, handler: Callable[[Request, bytes], Response]) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            scheme, _, token = request.headers.get("authorization", "").partition(" ")
            if scheme.lower() != "bearer" or self._tokens.get(token, 0) < time.monotonic():
                return _problem(401, "invalid_token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            try:
                return handler(request, await request.body())
            except _Refused as refused:
                return _problem(refused.status, refused.error, refused.headers)

        return endpoint

    async def _token(self, request: Request) -> Response:
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(pair, validate=True).decode().partition(":")
        except ValueError:
            given = ("", "", "")
        expected = (self._client_id, self._client_secret)
        if scheme.lower() != "basic" or (unquote_plus(given[0]), unquote_plus(given[2])) != expected:
            return _problem(401, "invalid_client", {"WWW-Authenticate": "Basic"})
        if await request.body() != b"grant_type=client_credentials":
            return _problem(400, "unsupported_grant_type", {})
        token = secrets.token_urlsafe(32)
        self._tokens[token] = time.monotonic() + self._token_seconds
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": int(self._token_seconds)}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def _document(self, _: Request) -> Response:
        return Response(DOCUMENT.read_bytes(), media_type="application/yaml")

    def _snapshot(self, _: Request, __: bytes) -> Response:
        return JSONResponse({"as_of": self._states.latest})

    def _rows(self, request: Request, _: bytes) -> Response:
        return self._page(request, MAX_ROWS, lambda collection: collection.rows)

    def _keys(self, request: Request, _: bytes) -> Response:
        return self._page(request, MAX_KEYS, lambda collection: collection.keys)

    def _page(self, request: Request, most: int, lines_of: Callable[[Collection], list[bytes]]) -> Response:
        query = request.query_params
        limit = _limit(query.get("limit", "1000"), most)
        if "cursor" in query:
            as_of, since, offset = _from_cursor(query["cursor"])
        else:
            as_of = query.get("as_of", self._states.latest)
            since, offset = query.get("updated_since"), 0
        state = self._states.get(as_of)
        if state is None:
            raise _Refused(410, "snapshot_gone")
        collection = state.get(request.path_params["resource"])
        if collection is None:
            raise _Refused(404, "no_such_resource")
        if offset == 0 and collection.etag in request.headers.get("if-none-match", "").split(", "):
            return Response(status_code=304, headers={"ETag": collection.etag})
        lines = lines_of(collection)
        if since is not None:
            wanted = collection.changed.is_null() | (collection.changed >= _moment(since))
            lines = [lines[i] for i in wanted.arg_true()]
        end = offset + limit
        cursor = _to_cursor(as_of, since, end) if end < len(lines) else None
        tail = json.dumps(
            {"next": cursor, "total": len(lines), "as_of": as_of}, separators=(",", ":")
        ).encode()
        body = b'{"data":[' + b",".join(lines[offset:end]) + b"]," + tail[1:]
        return Response(body, media_type="application/json", headers={"ETag": collection.etag})

    def _changes(self, request: Request, body: bytes) -> Response:
        key = request.headers.get("idempotency-key")
        if not key:
            raise _Refused(400, "idempotency_key_missing")
        try:
            json.loads(body)
        except ValueError:
            raise _Refused(422, "not_json") from None
        receipt = hashlib.sha256(body).hexdigest()
        if key in self._answers:
            earlier, answer = self._answers[key]
            if earlier != receipt:
                raise _Refused(409, "idempotency_key_reused")
            return _json(answer, {"Idempotency-Replayed": "true"})
        received_at = iso(datetime.now(UTC))
        answer = json.dumps({"receipt": receipt, "received_at": received_at}).encode()
        self._answers[key] = (receipt, answer)
        self.received.append(Push(key, body, received_at))
        return _json(answer, {})


def _json(body: bytes, headers: Mapping[str, str]) -> Response:
    return Response(body, media_type="application/json", headers=dict(headers))


def _problem(status: int, error: str, headers: Mapping[str, str]) -> Response:
    return JSONResponse({"error": error}, status_code=status, headers=dict(headers))


def _limit(text: str, most: int) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise _Refused(400, "bad_limit")
    return min(int(text), most)


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Refused(400, "bad_updated_since") from None
    if moment.tzinfo is None:
        raise _Refused(400, "bad_updated_since")
    return moment.astimezone(UTC)


def _to_cursor(as_of: str, since: str | None, offset: int) -> str:
    return base64.urlsafe_b64encode(json.dumps([as_of, since, offset]).encode()).decode()


def _from_cursor(text: str) -> tuple[str, str | None, int]:
    try:
        as_of, since, offset = json.loads(base64.urlsafe_b64decode(text))
    except ValueError:
        raise _Refused(400, "bad_cursor") from None
    return as_of, since, offset
