"""What every route shares: the bearer token, the request's ids, the size limit, and how errors look."""

from __future__ import annotations

import hmac
import logging
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vignette.engine.request import GenerationInput
from vignette.errors import InvalidHeader, InvalidInput, Unavailable
from vignette.server import trace
from vignette.server.logs import request_ids
from vignette.server.metrics import Metrics

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1 << 20
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
# A stream's path ends in what opens it, which no log may have; a file's code is in the query, which none has anyway.
STREAM_CODE = re.compile(r"^(/v1/streams/[^/]+/).+", re.DOTALL)
# How a request's client reaches this runner.
BaseUrl = Callable[[Request], str]


class BearerToken:
    """A dependency that lets only requests with the runner's token pass; compared in constant time."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    async def __call__(self, request: Request) -> None:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), self._token):
            raise HTTPException(
                401, "This runner wants 'Authorization: Bearer <RUNNER_TOKEN>'.", {"WWW-Authenticate": "Bearer"}
            )


class RequestIds:
    """
    ASGI middleware: every request has an id, its own or a new one, which the answer's `X-Request-Id` and the log repeat,
    and the log has its trace's id too. What changes something is logged.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope)
        id = given.get("x-request-id", "")
        ids = {"request_id": id if REQUEST_ID.fullmatch(id) else f"req_{secrets.token_hex(12)}"}
        traceparent = trace.accepted(given.get("traceparent"))
        if traceparent is not None:
            ids["trace_id"] = trace.trace_id(traceparent)
        token, began, status = request_ids.set(ids), time.perf_counter(), 500

        async def marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = ids["request_id"]
            await send(message)

        try:
            await self._app(scope, receive, marked)
        finally:
            if scope["method"] not in ("GET", "HEAD"):
                path = STREAM_CODE.sub(r"\1…", scope["path"])
                facts = {"method": scope["method"], "path": path, "status": status}
                milliseconds = round((time.perf_counter() - began) * 1000, 1)
                log.info("%s %s: %d", *facts.values(), extra={**facts, "milliseconds": milliseconds})
            request_ids.reset(token)


class BodyLimit:
    """ASGI middleware: a body beyond 1 MiB is answered with 413 before it is read to its end."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > MAX_BODY_BYTES:
            await _too_large()(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MAX_BODY_BYTES:
                raise HTTPException(413, _TOO_LARGE)
            return message

        await self._app(scope, counted, send)


_TOO_LARGE = f"The body is larger than {MAX_BODY_BYTES} bytes."


def _too_large() -> JSONResponse:
    return JSONResponse({"detail": _TOO_LARGE}, 413, {"Connection": "close"})


def problem(field: str, message: str, kind: str = "value_error") -> dict[str, Any]:
    """FastAPI's body for invalid input, as Cog answers it too."""
    return {"detail": [{"loc": ["body", "input", field], "msg": message, "type": kind}]}


def add_error_handlers(app: FastAPI, metrics: Metrics) -> None:
    @app.exception_handler(InvalidInput)
    async def invalid(_: Request, error: InvalidInput) -> JSONResponse:
        return JSONResponse(problem(error.field, error.message), 422)

    @app.exception_handler(InvalidHeader)
    async def invalid_header(_: Request, error: InvalidHeader) -> JSONResponse:
        detail = {"loc": ["header", error.field], "msg": error.message, "type": "value_error"}
        return JSONResponse({"detail": [detail]}, 422)

    @app.exception_handler(Unavailable)
    async def unavailable(_: Request, error: Unavailable) -> JSONResponse:
        metrics.refused(error.reason)
        # Never 429: the replicate client would send the request again at once, six times.
        return JSONResponse({"detail": error.message}, 503, {"Retry-After": str(error.retry_after)})

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> JSONResponse:
        # FastAPI's own answer repeats the input, which may be a whole prompt.
        details = [{"loc": _loc(e["loc"]), "msg": _sentence(e), "type": e["type"]} for e in error.errors()]
        return JSONResponse({"detail": details}, 422)


def _loc(loc: tuple[int | str, ...]) -> list[int | str]:
    if len(loc) == 2 and isinstance(loc[1], int):  # broken JSON, where FastAPI gives the character's position
        return ["body"]
    return [part if isinstance(part, int) else part.encode(errors="replace").decode() for part in loc]


def _sentence(error: dict[str, Any]) -> str:
    field = error["loc"][-1]
    if error["type"] == "extra_forbidden":
        return f"There is no such field; the input knows: {', '.join(GenerationInput.model_fields)}."
    if error["type"] == "missing":
        return f"{field} is required."
    if error["type"] == "json_invalid":
        return f"The body is not valid JSON: {error.get('ctx', {}).get('error', 'it cannot be read')}."
    return f"{error['msg'].removeprefix('Value error, ')}."
