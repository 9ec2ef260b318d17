"""What wants no bearer token: health and metrics, and what a URL's own code opens."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST

from vignette import __version__
from vignette.engine.engine import State
from vignette.engine.images import CONTENT_TYPES
from vignette.server.codes import UrlCodes, same
from vignette.server.http import BaseUrl, BearerToken
from vignette.server.service import PredictionService
from vignette.server.stream import events


def public_routes(service: PredictionService) -> APIRouter:
    """For orchestrators, which hold no token."""
    router = APIRouter()
    engine = service.engine

    @router.get("/health-check")
    async def health_check() -> dict[str, Any]:
        # Cog knows no DRAINING: what matters to its callers is that nothing is taken.
        names = {State.DRAINING: State.BUSY, State.STOPPED: State.DEFUNCT}
        return {
            "status": names.get(engine.state, engine.state).name,
            "setup": {"status": _setup_status(engine.state), "logs": engine.setup_error or ""},
            "version": {"vignette": __version__},
        }

    @router.get("/healthz")
    async def healthz() -> JSONResponse:
        alive = engine.state is not State.DEFUNCT
        return JSONResponse({"status": "ok" if alive else "defunct"}, 200 if alive else 503)

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        # A full runner stays ready: the queue in front of it waits for it, and another replica is no less full.
        if engine.state in (State.READY, State.BUSY):
            return JSONResponse({"status": engine.state.value})
        return JSONResponse(
            {"status": engine.state.value, "detail": engine.setup_error or "The runner takes no work now."},
            503,
            {"Retry-After": "2"},
        )

    @router.get("/metrics")
    async def prometheus() -> Response:
        return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return router


def coded_routes(service: PredictionService, codes: UrlCodes, bearer: BearerToken, base_url: BaseUrl) -> APIRouter:
    """For Replicate's clients, which fetch streams, and outputs behind https, without their token."""
    router = APIRouter()

    @router.get("/v1/streams/{id}/{code}")
    async def stream(
        request: Request, id: str, code: str, last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        prediction = service.get(id)
        if prediction is None or not same(codes.stream(id), code):
            raise HTTPException(404, "There is no such stream here; finished predictions are kept for an hour.")
        after = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            events(prediction, base_url(request), after), media_type="text/event-stream", headers=headers
        )

    @router.get("/files/{id}/{name}")
    async def get_file(request: Request, id: str, name: str, code: str = "") -> FileResponse:
        prediction = service.get(id)
        if prediction is None or not same(codes.file(id, name, prediction.created_at), code):
            await bearer(request)
        path = service.file(id, name)
        if path is None:
            raise HTTPException(404, "There is no such file here; outputs are kept for an hour.")
        # A cache that many share must not hand it to who has no code.
        return FileResponse(path, media_type=CONTENT_TYPES[path.suffix[1:]], headers={"Cache-Control": "private"})

    return router


def _setup_status(state: State) -> str:
    return {State.STARTING: "starting", State.SETUP_FAILED: "failed"}.get(state, "succeeded")
