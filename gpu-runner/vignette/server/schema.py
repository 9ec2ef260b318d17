"""The bodies that clients send, and the OpenAPI document that Replicate's clients ask for."""

from __future__ import annotations

from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from vignette.engine.request import GenerationInput
from vignette.server.service import EVENTS


class PredictionBody(BaseModel):
    """`POST /v1/predictions`. Fields of Replicate's that mean nothing here (`stream`, for one) are ignored."""

    model_config = ConfigDict(extra="ignore")

    id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,100}$", description="An id of the client's own.")
    version: str | None = None
    model: str | None = None
    input: GenerationInput
    webhook: str | None = Field(None, max_length=2000)
    webhook_events_filter: list[Literal["start", "output", "logs", "completed"]] | None = None

    @field_validator("webhook")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            url = httpx.URL(value)
        except (httpx.InvalidURL, UnicodeError):
            raise ValueError("The webhook is no valid URL") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise ValueError("The webhook must be an absolute http or https URL")
        return value


def version_schema(model_version: str) -> dict[str, Any]:
    """An OpenAPI document with the schemas `Input` and `Output`, where Cog puts them."""
    given = GenerationInput.model_json_schema(ref_template="#/components/schemas/{model}")
    given.pop("$defs", None)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Vignette", "version": model_version},
        "paths": {},
        "components": {
            "schemas": {
                "Input": given | {"title": "Input"},
                "Output": {"title": "Output", "type": "array", "items": {"type": "string", "format": "uri"}},
                "WebhookEvent": {"title": "WebhookEvent", "type": "string", "enum": list(EVENTS)},
            }
        },
    }
