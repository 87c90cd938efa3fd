"""Faults on demand for an HTTP server: what the n-th matching request meets instead of its answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fault:
    """Befalls requests number `nth` … `nth + times − 1` whose path begins with `path`.

    `before` runs first (the data change under the reader). With `status` or `body` the answer is made
    up; else it is the real one, passed through `edit`. `headers` replace or add, None removes.
    `delay`: seconds before the first byte. `cut`: only so many bytes of the body, then the connection
    closes. `drip`: seconds between one byte of the body and the next.
    """

    path: str = "/"
    nth: int = 1
    times: int = 1
    status: int | None = None
    body: bytes | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    edit: Callable[[bytes], bytes] | None = None
    before: Callable[[], Any] | None = None
    delay: float = 0
    cut: int | None = None
    drip: float | None = None


class FaultyApp:
    """An ASGI application in front of another; keeps a list of requests (method, path, query)."""

    def __init__(self, app: Any):
        self._app = app
        self._faults: list[Fault] = []
        self._seen: list[int] = []
        self.requests: list[tuple[str, str, str]] = []

    def script(self, faults: list[Fault]) -> None:
        self._faults, self._seen = list(faults), [0] * len(faults)

    def _due(self, path: str) -> Fault | None:
        due = None
        for index, fault in enumerate(self._faults):
            if path.startswith(fault.path):
                self._seen[index] += 1
                if due is None and fault.nth <= self._seen[index] < fault.nth + fault.times:
                    due = fault
        return due

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.requests.append((scope["method"], scope["path"], scope["query_string"].decode()))
        fault = self._due(scope["path"])
        if fault is None:
            await self._app(scope, receive, send)
            return
        if fault.before:
            fault.before()
        await asyncio.sleep(fault.delay)
        status, headers, body = await self._answer(fault, scope, receive)
        headers.update({k.lower(): v for k, v in fault.headers.items()})
        headers["content-length"] = str(len(body))
        raw = [(k.encode(), v.encode()) for k, v in headers.items() if v is not None]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await _send_body(fault, body, send)

    async def _answer(
        self, fault: Fault, scope: Any, receive: Any
    ) -> tuple[int, dict[str, str | None], bytes]:
        if fault.status is not None or fault.body is not None:
            return fault.status or 200, {"content-type": "application/json"}, fault.body or b""
        sent: list[dict[str, Any]] = []

        async def keep(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, keep)
        body = b"".join(message.get("body", b"") for message in sent[1:])
        headers: dict[str, str | None] = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], headers, fault.edit(body) if fault.edit else body


async def _send_body(fault: Fault, body: bytes, send: Any) -> None:
    if fault.drip is not None:
        for at in range(len(body)):
            await send({"type": "http.response.body", "body": body[at : at + 1], "more_body": True})
            await asyncio.sleep(fault.drip)
    elif fault.cut is not None:
        # uvicorn closes the connection of an answer that was left unfinished
        await send({"type": "http.response.body", "body": body[: fault.cut], "more_body": True})
        return
    else:
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
