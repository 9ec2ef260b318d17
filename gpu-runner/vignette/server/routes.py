"""Every route: parse, call the service, answer."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST

from vignette import __version__
from vignette.engine.engine import State
from vignette.engine.images import CONTENT_TYPES
from vignette.engine.loader import LoadedModel
from vignette.errors import InvalidInput
from vignette.server.metrics import Metrics
from vignette.server.models import OWNER, model_to_dict, version_to_dict
from vignette.server.prediction import Prediction
from vignette.server.schema import PredictionBody
from vignette.server.service import PredictionService

PAGE = 100
MAX_WAIT = 60
Prefer = Annotated[str | None, Header()]


def public_routes(service: PredictionService, metrics: Metrics) -> APIRouter:
    """Health and metrics, for orchestrators that hold no token."""
    router = APIRouter()
    engine = service.engine

    @router.get("/health-check")
    async def health_check() -> dict[str, Any]:
        busy = engine.state is State.DRAINING or engine.unfinished >= engine.max_queue
        names = {State.DRAINING: "BUSY", State.STOPPED: "DEFUNCT"}
        status = names.get(engine.state, engine.state.name)
        return {
            "status": "BUSY" if busy else status,
            "setup": {"status": _setup_status(engine.state), "logs": engine.setup_error or ""},
            "version": {"vignette": __version__},
        }

    @router.get("/healthz")
    async def healthz() -> JSONResponse:
        alive = engine.state is not State.DEFUNCT
        return JSONResponse({"status": "ok" if alive else "defunct"}, 200 if alive else 503)

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        if engine.state is State.READY:
            return JSONResponse({"status": "ready"})
        return JSONResponse(
            {"status": engine.state.value, "detail": engine.setup_error or "The runner takes no work now."},
            503,
            {"Retry-After": "2"},
        )

    @router.get("/metrics")
    async def prometheus() -> Response:
        return Response(metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return router


def api_routes(service: PredictionService, webhook_secret: str, public_url: str | None) -> APIRouter:
    """Replicate's surface and the files; the bearer token is checked by whoever includes this router."""
    router = APIRouter()
    engine = service.engine

    def base_url(request: Request) -> str:
        return public_url or str(request.base_url).rstrip("/")

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
        prediction, new = service.create(
            id,
            body.input,
            raw_input,
            base_url=base_url(request),
            webhook=body.webhook,
            events=list(body.webhook_events_filter) if body.webhook_events_filter is not None else None,
        )
        headers = {"Location": f"{base_url(request)}/v1/predictions/{id}"}
        wait, asynchronous = preferences(prefer)
        if wait:
            await _wait(prediction, wait)
        answer = prediction.to_dict()
        if wait and not prediction.terminal:
            # The clients' run() takes any other status for the end of waiting.
            answer["status"] = "starting"
        return JSONResponse(answer, (202 if asynchronous else 201) if new else 200, headers)

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
            "results": [prediction.to_dict() for prediction in every[cursor : cursor + PAGE]],
        }

    @router.get("/v1/predictions/{id}")
    async def get_prediction(id: str) -> dict[str, Any]:
        return found(id).to_dict()

    @router.post("/v1/predictions/{id}/cancel")
    async def cancel_prediction(id: str) -> dict[str, Any]:
        prediction = found(id)
        service.cancel(prediction)
        return prediction.to_dict()

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


def chosen_model(body: PredictionBody, models: dict[str, LoadedModel]) -> str | None:
    """
    The one model that a request names, in `model`, `version` or the input; None asks for the default.

    `version` may be a version's id, `owner/name` or `owner/name:id`, as Replicate's clients send it.

    Raises:
        InvalidInput: Two of the places name different models, or the version is not the one loaded.
    """
    names = {name.removeprefix(f"{OWNER}/") for name in (body.model, body.input.model) if name is not None}
    if body.version is not None:
        name, _, id = body.version.rpartition(":") if "/" in body.version and ":" in body.version else ("", "", "")
        if not name and "/" in body.version:
            name = body.version
        elif not name:
            id = body.version
            name = next((m for m, loaded in models.items() if loaded.version == id), "")
        name = name.removeprefix(f"{OWNER}/")
        if not name or (id and name in models and models[name].version != id):
            raise InvalidInput(
                "version", f"This runner has no version {body.version!r}; GET /v1/models lists what it has."
            )
        names.add(name)
    if len(names) > 1:
        raise InvalidInput("model", f"The request names different models: {sorted(names)}.")
    return next(iter(names), None)


def preferences(prefer: str | None) -> tuple[float, bool]:
    """Seconds to wait (0: not at all) and whether `respond-async` was asked for (RFC 7240)."""
    wait, asynchronous = 0.0, False
    for part in (prefer or "").split(","):
        name, _, value = part.strip().partition("=")
        if name.lower() == "respond-async":
            asynchronous = True
        elif name.lower() == "wait":
            wait = min(MAX_WAIT, max(1.0, float(value))) if value.isdigit() else MAX_WAIT
    return wait, asynchronous


async def _wait(prediction: Prediction, seconds: float) -> None:
    try:
        await asyncio.wait_for(prediction.done.wait(), seconds)
    except asyncio.TimeoutError:
        return


def _new_id() -> str:
    return secrets.token_hex(13)


def _setup_status(state: State) -> str:
    return {State.STARTING: "starting", State.SETUP_FAILED: "failed"}.get(state, "succeeded")
