"""The FastAPI application: middleware, error handlers and routes in reading order."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request

from vignette.server.http import BearerToken, BodyLimit, RequestIds, add_error_handlers
from vignette.server.routes import api_routes, public_routes
from vignette.server.service import PredictionService
from vignette.server.stream import StreamCodes


def build_app(
    service: PredictionService,
    streams: StreamCodes,
    *,
    token: str,
    webhook_secret: str,
    public_url: str | None = None,
) -> FastAPI:
    """`token` is the bearer token of every route but health and metrics."""
    app = FastAPI(title="Vignette runner", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestIds)
    add_error_handlers(app, service.metrics)

    def base_url(request: Request) -> str:
        return public_url or str(request.base_url).rstrip("/")

    app.include_router(public_routes(service, streams, base_url))
    app.include_router(api_routes(service, webhook_secret, base_url), dependencies=[Depends(BearerToken(token))])
    return app
