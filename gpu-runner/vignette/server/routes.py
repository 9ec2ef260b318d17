"""Replicate's surface: parse, call the service, answer."""

from __future__ import annotations

import asyncio
import re
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request
from fastapi.responses import JSONResponse

from vignette.engine.loader import LoadedModel
from vignette.errors import InvalidInput
from vignette.server import trace
from vignette.server.asking import cancel_after, chosen_model, preferences, urgency
from vignette.server.http import BaseUrl
from vignette.server.logs import request_ids
from vignette.server.models import OWNER, model_to_dict, version_to_dict
from vignette.server.prediction import Order, Prediction
from vignette.server.schema import PredictionBody
from vignette.server.service import PredictionService

PAGE = 100
MAX_CALLER = 200
Prefer = Annotated[str | None, Header()]


def api_routes(service: PredictionService, webhook_secret: str, base_url: BaseUrl) -> APIRouter:
    """The bearer token is checked by whoever includes this router."""
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
            request_id=request_ids.get().get("request_id"),
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

    return router


async def _wait(prediction: Prediction, seconds: float) -> None:
    try:
        await asyncio.wait_for(prediction.done.wait(), seconds)
    except asyncio.TimeoutError:
        return


def _new_id() -> str:
    return secrets.token_hex(13)
