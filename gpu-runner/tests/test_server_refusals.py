"""Bad requests: each refusal names the field and the remedy."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.serving import INPUT, TOKEN, finished
from vignette.engine.engine import Engine

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("change", "field", "says"),
    [
        ({"prompt": ""}, "prompt", "empty"),
        ({"prompt": 7}, "prompt", "string"),
        ({"prompt": "a" * 100_000}, "prompt", "2000"),
        ({"prompt": "\ud800"}, "prompt", "Unicode"),
        ({"surprise": 1}, "surprise", "no such field; the input knows: prompt"),
        ({"width": "128"}, "width", "integer"),
        ({"width": 33}, "width", "multiple of 8"),
        ({"num_inference_steps": -1}, "num_inference_steps", "greater than or equal to 1"),
        ({"guidance_scale": 1e400}, "guidance_scale", "finite"),
        ({"model": "other"}, "model", "tiny"),
        ({"model": "\ud800"}, "model", "tiny"),
        ({"adapter": "other"}, "adapter", "sur"),
        ({"scheduler": "Other"}, "scheduler", "DDIMScheduler"),
        ({"scheduler": "LCMScheduler", "num_inference_steps": 11}, "num_inference_steps", "nearest it can is 10"),
    ],
)
async def test_invalid_input_names_field_and_remedy(
    client: httpx.AsyncClient,
    engine: Engine,
    change: dict[str, Any],
    field: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(engine.models["tiny"].scheduler_config, "original_inference_steps", 10)
    response = await client.post(
        "/v1/predictions", content=json.dumps({"input": INPUT | change}), headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 422, response.text
    detail = response.json()["detail"][0]
    assert detail["loc"] == ["body", "input", field]
    assert says in detail["msg"]
    assert detail["type"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"input"', 422),
        (b"[]", 422),
        (b"{}", 422),
        (b'{"input": null}', 422),
        (b'{"input": {}}', 422),
        (b"\xff\xfe", 422),
        (b"[" * 100_000, 400),
        (b'{"input": {"prompt": "' + b"a" * (1 << 20) + b'"}}', 413),
    ],
)
async def test_broken_bodies(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    response = await client.post("/v1/predictions", content=body, headers={"Content-Type": "application/json"})
    assert response.status_code == status
    assert response.json()["detail"]
    assert "Traceback" not in response.text


async def test_a_body_without_length_is_limited_too(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536

    response = await client.post("/v1/predictions", content=endless(), headers={"Content-Type": "application/json"})
    assert response.status_code == 413


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"id": "no spaces"}, "id"),
        ({"webhook": "ftp://edge/"}, "webhook"),
        ({"webhook": "/relative"}, "webhook"),
        ({"webhook_events_filter": ["finished"]}, "webhook_events_filter"),
        ({"version": "0" * 64}, "version"),
        ({"model": "vignette/other"}, "model"),
    ],
)
async def test_invalid_envelopes(client: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    response = await client.post("/v1/predictions", json={"input": INPUT} | body)
    assert response.status_code == 422
    assert field in response.json()["detail"][0]["loc"]


@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer", TOKEN, f"Basic {TOKEN}", "Bearer \xff"])
async def test_every_route_wants_the_token(client: httpx.AsyncClient, header: str | None) -> None:
    done = await finished(client)
    headers = {"Authorization": header.encode("latin-1")} if header is not None else {}
    for method, path in (
        ("POST", "/v1/predictions"),
        ("PUT", "/v1/predictions/gen_9"),
        ("GET", "/v1/predictions"),
        ("GET", f"/v1/predictions/{done['id']}"),
        ("GET", "/v1/models"),
        ("GET", "/v1/webhooks/default/secret"),
        ("GET", f"/files/{done['id']}/0.png"),
    ):
        del client.headers["authorization"]
        response = await client.request(method, path, json={"input": INPUT}, headers=headers)
        client.headers["authorization"] = f"Bearer {TOKEN}"
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"] == "Bearer"
    for path in ("/health-check", "/healthz", "/readyz", "/metrics"):
        assert (await client.get(path, headers={"Authorization": ""})).status_code == 200


async def test_wrong_methods(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/v1/predictions")).status_code == 405
    assert (await client.get("/nothing")).status_code == 404
