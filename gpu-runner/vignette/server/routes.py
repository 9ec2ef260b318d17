"""Every route: parse, call the service, answer."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from prometheus_client import CONTENT_TYPE_LATEST

from vignette import __version__
from vignette.engine.engine import State
from vignette.engine.images import CONTENT_TYPES
from vignette.engine.loader import LoadedModel
from vignette.errors import InvalidInput
from vignette.server import trace
from vignette.server.asking import cancel_after, chosen_model, preferences, urgency
from vignette.server.models import OWNER, model_to_dict, version_to_dict
from vignette.server.prediction import Order, Prediction
from vignette.server.schema import PredictionBody
from vignette.server.service import PredictionService
from vignette.server.stream import StreamCodes, events

PAGE = 100
MAX_CALLER = 200
# How a request's client reaches this runner.
BaseUrl = Callable[[Request], str]
Prefer = Annotated[str | None, Header()]


def public_routes(service: PredictionService, streams: StreamCodes, base_url: BaseUrl) -> APIRouter:
    """Health and metrics, for orchestrators that hold no token, and event streams, whose URLs are tokens themselves."""
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

    @router.get("/v1/streams/{id}/{code}")
    async def stream(
        request: Request, id: str, code: str, last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        prediction = service.get(id)
        if prediction is None or not streams.valid(id, code):
            raise HTTPException(404, "There is no such stream here; finished predictions are kept for an hour.")
        after = int(last_event_id) if last_event_id and last_event_id.isdecimal() else 0
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(
            events(prediction, base_url(request), after), media_type="text/event-stream", headers=headers
        )

    @router.get("/metrics")
    async def prometheus() -> Response:
        return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return router


def api_routes(service: PredictionService, webhook_secret: str, base_url: BaseUrl) -> APIRouter:
    """Replicate's surface and the files; the bearer token is checked by whoever includes this router."""
    router = APIRouter()
    engine = service.engine

    def loaded(owner: str, name: str) -> LoadedModel:
        engine.check_loaded()
        if owner != OWNER or name not in engine.models:
            raise HTTPException(404, f"There is no model {owner}/{name} here.")
        return engine.models[name]

    def found(id: str) -> Prediction:
        prediction = service.get(id)
        if prediction is None:
            raise HTTPException(404, f"There is no prediction {id} here; finished ones are kept for an hour.")
        return prediction

    async def create(request: Request, id: str, body: PredictionBody, prefer: str | None) -> JSONResponse:
        engine.check_loaded()
        body.input.model = chosen_model(body, engine.models)
        raw_input = (await request.json())["input"]
        headers = request.headers
        order = Order(
            base_url=base_url(request),
            webhook=body.webhook,
            webhook_events_filter=body.webhook_events_filter,
            cancel_after=cancel_after(headers.get("cancel-after")),
            urgency=urgency(headers.get("priority")),
            caller=headers.get("x-vignette-caller", "")[:MAX_CALLER],
            traceparent=trace.accepted(headers.get("traceparent")),
        )
        prediction, new = await service.create(id, body.input, raw_input, order)
        wait, asynchronous = preferences(prefer)
        if wait:
            await _wait(prediction, wait)
        answer = prediction.to_dict(order.base_url)
        if wait and not prediction.done.is_set():
            # The clients' run() takes any other status for the end of waiting.
            answer["status"] = "starting"
        location = {"Location": f"{order.base_url}/v1/predictions/{id}"}
        return JSONResponse(answer, (202 if asynchronous else 201) if new else 200, location)

    @router.post("/v1/predictions", status_code=201)
    async def post_prediction(request: Request, body: PredictionBody, prefer: Prefer = None) -> JSONResponse:
        return await create(request, body.id or _new_id(), body, prefer)

    @router.put("/v1/predictions/{id}", status_code=201)
    async def put_prediction(request: Request, id: str, body: PredictionBody, prefer: Prefer = None) -> JSONResponse:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", id):
            raise InvalidInput("id", "The id may have up to 100 letters, digits, - and _.")
        if body.id not in (None, id):
            raise InvalidInput("id", f"The body's id is {body.id}, the URL's {id}; send the same or none.")
        return await create(request, id, body, prefer)

    @router.post("/v1/models/{owner}/{name}/predictions", status_code=201)
    async def post_model_prediction(
        request: Request, owner: str, name: str, body: PredictionBody, prefer: Prefer = None
    ) -> JSONResponse:
        loaded(owner, name)
        body.model = name
        return await create(request, body.id or _new_id(), body, prefer)

    @router.get("/v1/predictions")
    async def list_predictions(request: Request, cursor: Annotated[int, Query(ge=0)] = 0) -> dict[str, Any]:
        every = service.newest_first()
        here = f"{base_url(request)}/v1/predictions?cursor="
        return {
            "previous": f"{here}{max(0, cursor - PAGE)}" if cursor else None,
            "next": f"{here}{cursor + PAGE}" if cursor + PAGE < len(every) else None,
            "results": [prediction.to_dict(base_url(request)) for prediction in every[cursor : cursor + PAGE]],
        }

    @router.get("/v1/predictions/{id}")
    async def get_prediction(request: Request, id: str) -> dict[str, Any]:
        return found(id).to_dict(base_url(request))

    @router.post("/v1/predictions/{id}/cancel")
    async def cancel_prediction(request: Request, id: str) -> dict[str, Any]:
        prediction = found(id)
        await service.cancel(prediction)
        return prediction.to_dict(base_url(request))

    @router.get("/v1/models")
    async def list_models(request: Request) -> dict[str, Any]:
        engine.check_loaded()
        default = engine.catalogue.default.id
        models = [model_to_dict(m, m.spec.id == default, base_url(request)) for m in engine.models.values()]
        return {"next": None, "previous": None, "results": models}

    @router.get("/v1/models/{owner}/{name}")
    async def get_model(request: Request, owner: str, name: str) -> dict[str, Any]:
        return model_to_dict(loaded(owner, name), name == engine.catalogue.default.id, base_url(request))

    @router.get("/v1/models/{owner}/{name}/versions")
    async def list_versions(owner: str, name: str) -> dict[str, Any]:
        return {"next": None, "previous": None, "results": [version_to_dict(loaded(owner, name))]}

    @router.get("/v1/models/{owner}/{name}/versions/{id}")
    async def get_version(owner: str, name: str, id: str) -> dict[str, Any]:
        model = loaded(owner, name)
        if id != model.version:
            raise HTTPException(404, f"{owner}/{name} has no version {id}; the present one is {model.version}.")
        return version_to_dict(model)

    @router.get("/v1/webhooks/default/secret")
    async def default_secret() -> dict[str, str]:
        return {"key": webhook_secret}

    @router.get("/files/{id}/{name}")
    async def get_file(id: str, name: str) -> FileResponse:
        path = service.file(id, name)
        if path is None:
            raise HTTPException(404, "There is no such file here; outputs are kept for an hour.")
        return FileResponse(path, media_type=CONTENT_TYPES[path.suffix[1:]])

    return router


async def _wait(prediction: Prediction, seconds: float) -> None:
    try:
        await asyncio.wait_for(prediction.done.wait(), seconds)
    except asyncio.TimeoutError:
        return


def _new_id() -> str:
    return secrets.token_hex(13)


def _setup_status(state: State) -> str:
    return {State.STARTING: "starting", State.SETUP_FAILED: "failed"}.get(state, "succeeded")
