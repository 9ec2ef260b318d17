"""The FastAPI application: middleware, error handlers and routes in reading order."""

from __future__ import annotations

from fastapi import Depends, FastAPI, Request

from vignette.server.codes import UrlCodes
from vignette.server.http import BearerToken, BodyLimit, RequestIds, add_error_handlers
from vignette.server.open_routes import coded_routes, public_routes
from vignette.server.routes import api_routes
from vignette.server.service import PredictionService


def build_app(
    service: PredictionService,
    codes: UrlCodes,
    *,
    token: str,
    webhook_secret: str,
    public_url: str | None = None,
) -> FastAPI:
    """`token` is the bearer token of every route but health and metrics, `codes` open streams and files without it."""
    app = FastAPI(title="Vignette runner", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestIds)
    add_error_handlers(app, service.metrics)

    def base_url(request: Request) -> str:
        return public_url or str(request.base_url).rstrip("/")

    bearer = BearerToken(token)
    app.include_router(public_routes(service))
    app.include_router(coded_routes(service, codes, bearer, base_url))
    app.include_router(api_routes(service, webhook_secret, base_url), dependencies=[Depends(bearer)])
    return app
