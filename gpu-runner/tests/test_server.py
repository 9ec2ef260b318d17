"""Replicate's protocol, through the application itself."""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Gate
from tests.drawing import assert_same, draw, request
from tests.serving import INPUT, TOKEN, Inbox, build_service, client_of, finished
from tests.webhooks import SECRET, URL, verify
from vignette.engine.engine import Engine
from vignette.engine.loader import LoadedModel
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio


async def test_a_prediction_from_post_to_pixels(client: httpx.AsyncClient, model: LoadedModel) -> None:
    prediction = await finished(client, INPUT | {"num_images": 2, "adapter": None, "num_inference_steps": 5})
    assert prediction["status"] == "succeeded"
    assert prediction["error"] is None
    assert prediction["output"] == [f"http://runner/files/{prediction['id']}/{k}.png" for k in range(2)]
    pixels = []
    for url in prediction["output"]:
        response = await client.get(url)
        assert response.headers["content-type"] == "image/png"
        pixels.append(np.asarray(Image.open(io.BytesIO(response.content))))
    same = request(prompt="two purple cats", seed=3, num_images=2, num_inference_steps=5)
    assert_same(pixels, draw(model, same).pictures())
    metrics = prediction["metrics"]
    assert metrics["steps"] == 5
    assert metrics["seed"] == 3
    assert metrics["batch_mean"] == 2
    assert metrics["flagged"] == [False, False]
    assert metrics["adapter"] is None
    assert metrics["predict_time"] > 0
    assert metrics["queue_time"] >= 0


async def test_every_key_of_replicates_is_there(client: httpx.AsyncClient) -> None:
    prediction = await finished(client)
    keys = [
        "id",
        "model",
        "version",
        "input",
        "output",
        "logs",
        "error",
        "status",
        "source",
        "data_removed",
        "metrics",
        "urls",
    ]
    keys += ["created_at", "started_at", "completed_at", "webhook", "webhook_events_filter"]
    assert set(keys) <= set(prediction)
    assert prediction["model"] == "vignette/tiny"
    assert prediction["input"] == INPUT
    assert prediction["urls"]["get"] == f"http://runner/v1/predictions/{prediction['id']}"
    assert (await client.get(prediction["urls"]["get"])).json() == prediction
    assert prediction["metrics"]["adapter"] == {"id": "sur", "scale": 1.0}


async def test_logs_are_lines_that_the_sdk_reads(client: httpx.AsyncClient) -> None:
    logs = (await finished(client, INPUT | {"prompt": "a long story " * 100}))["logs"]
    assert logs.endswith("\n")
    assert "\r" not in logs
    # The pattern of parseProgressFromLogs in the replicate npm package, lib/util.js.
    found = [re.match(r"^\s*(\d+)%\s*\|.+?\|\s*(\d+)/(\d+)", line) for line in logs.splitlines()]
    assert found[0] is None  # what did not fit into the text encoder
    assert "unread" in logs.splitlines()[0]
    assert [m.groups() for m in found[1:] if m] == [(str(20 * k), str(k), "5") for k in range(1, 6)]


async def test_put_is_idempotent(client: httpx.AsyncClient, gate: Gate) -> None:
    gate.shut()
    body = {"input": INPUT, "model": "vignette/tiny"}
    asynchronous = {"Prefer": "respond-async"}
    first = await client.put("/v1/predictions/gen_1", json=body, headers=asynchronous)
    again = await client.put("/v1/predictions/gen_1", json=body, headers=asynchronous)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["created_at"] == again.json()["created_at"]
    assert first.json()["status"] in ("starting", "processing")
    other = await client.put("/v1/predictions/gen_1", json={"input": INPUT | {"seed": 4}})
    assert other.status_code == 422
    assert "another input" in other.json()["detail"][0]["msg"]
    gate.open()
    done = await client.put("/v1/predictions/gen_1", json=body, headers={"Prefer": "wait"})
    assert done.json()["status"] == "succeeded"
    assert (await client.put("/v1/predictions/gen_1", json=body)).json() == done.json()
    listed = (await client.get("/v1/predictions")).json()["results"]
    assert [p["id"] for p in listed] == ["gen_1"]


async def test_waiting_for_what_does_not_end_says_starting(
    client: httpx.AsyncClient, service: PredictionService, gate: Gate
) -> None:
    gate.shut()
    response = await client.post("/v1/predictions", json={"input": INPUT}, headers={"Prefer": "wait=1"})
    assert response.status_code == 201
    assert response.json()["status"] == "starting"
    gate.open()
    prediction = service.get(response.json()["id"])
    assert prediction
    await prediction.done.wait()
    assert (await client.get(response.json()["urls"]["get"])).json()["status"] == "succeeded"


async def test_cancel_in_every_state(client: httpx.AsyncClient, gate: Gate) -> None:
    gate.shut()
    running = (await client.post("/v1/predictions", json={"input": INPUT})).json()
    canceled = (await client.post(running["urls"]["cancel"])).json()
    assert canceled["status"] == "canceled"
    assert canceled["completed_at"]
    assert (await client.post(running["urls"]["cancel"])).json() == canceled
    gate.open()
    done = await finished(client)
    response = await client.post(done["urls"]["cancel"])
    assert (response.status_code, response.json()) == (200, done)
    assert (await client.get(running["urls"]["get"])).json() == canceled
    assert (await client.post("/v1/predictions/unknown/cancel")).status_code == 404


async def test_callbacks_are_signed_and_end_with_the_end(client: httpx.AsyncClient, inbox: Inbox) -> None:
    await finished(client, webhook=URL, webhook_events_filter=["start", "logs", "completed"])
    await inbox.completed.wait()
    for r in inbox.requests:
        assert str(r.url) == URL
        verify(r.headers, r.content)
    statuses = [body["status"] for body in inbox.bodies]
    assert statuses[-1] == "succeeded"
    assert set(statuses[:-1]) <= {"processing"}
    assert inbox.bodies[-1]["output"]
    lengths = [len(body["logs"]) for body in inbox.bodies]
    assert lengths == sorted(lengths)


async def test_only_the_events_asked_for(client: httpx.AsyncClient, inbox: Inbox) -> None:
    await finished(client, webhook=URL, webhook_events_filter=["completed"])
    await inbox.completed.wait()
    assert [body["status"] for body in inbox.bodies] == ["succeeded"]


async def test_a_canceled_prediction_is_called_back_once(
    client: httpx.AsyncClient, service: PredictionService, inbox: Inbox, gate: Gate
) -> None:
    gate.shut()
    body = {"input": INPUT, "webhook": URL, "webhook_events_filter": ["completed"]}
    prediction = (await client.post("/v1/predictions", json=body)).json()
    await client.post(prediction["urls"]["cancel"])
    gate.open()
    await service.drain(60)
    assert [body["status"] for body in inbox.bodies] == ["canceled"]


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


async def test_the_body_and_the_url_have_to_agree(client: httpx.AsyncClient) -> None:
    response = await client.put("/v1/predictions/gen_1", json={"id": "gen_2", "input": INPUT})
    assert response.status_code == 422
    response = await client.post("/v1/predictions", json={"model": "tiny", "input": INPUT | {"model": "other"}})
    assert response.status_code == 422
    assert "different models" in response.json()["detail"][0]["msg"]


async def test_a_full_runner_answers_503_with_a_delay(client: httpx.AsyncClient, engine: Engine, gate: Gate) -> None:
    gate.shut()
    for _ in range(engine.max_queue):
        assert (await client.post("/v1/predictions", json={"input": INPUT})).status_code == 201
    full = await client.post("/v1/predictions", json={"input": INPUT})
    assert full.status_code == 503
    assert int(full.headers["retry-after"]) > 0
    assert (await client.get("/health-check")).json()["status"] == "BUSY"
    assert (await client.get("/readyz")).status_code == 200
    gate.open()


async def test_a_draining_runner_finishes_and_takes_nothing_new(
    client: httpx.AsyncClient, service: PredictionService, engine: Engine, gate: Gate
) -> None:
    gate.shut()
    prediction = (await client.post("/v1/predictions", json={"input": INPUT})).json()
    drain = asyncio.create_task(service.drain(60))
    await asyncio.sleep(0)
    response = await client.post("/v1/predictions", json={"input": INPUT})
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/healthz")).status_code == 200
    gate.open()
    await drain
    assert (await client.get(prediction["urls"]["get"])).json()["status"] == "succeeded"


async def test_what_a_drain_cannot_finish_says_so(
    client: httpx.AsyncClient, service: PredictionService, gate: Gate, inbox: Inbox
) -> None:
    gate.shut()
    prediction = (await client.post("/v1/predictions", json={"input": INPUT, "webhook": URL})).json()
    await service.drain(0)
    now = (await client.get(prediction["urls"]["get"])).json()
    assert (now["status"], now["error_code"]) == ("failed", "shutting_down")
    assert "ask again" in now["error"]
    assert inbox.bodies[-1]["status"] == "failed"


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


async def test_models_tell_the_edge_all_it_needs(client: httpx.AsyncClient, model: LoadedModel) -> None:
    listed = (await client.get("/v1/models")).json()["results"]
    assert len(listed) == 1
    entry = listed[0]
    assert (entry["owner"], entry["name"]) == ("vignette", "tiny")
    extra = entry["vignette"]
    assert extra["default"] is True
    assert extra["adapters"] == [{"id": "sur", "default": True, "description": ""}]
    assert extra["defaults"]["num_inference_steps"] == 4
    assert set(extra["limits"]) == {
        *("min_width", "max_width", "min_height", "max_height", "multiple_of", "max_steps", "max_images"),
        *("max_prompt_chars", "max_prompt_chunks"),
    }
    assert "DDIMScheduler" in extra["schedulers"]
    assert (await client.get("/v1/models/vignette/tiny")).json() == entry
    version = (await client.get(f"/v1/models/vignette/tiny/versions/{model.version}")).json()
    assert version == entry["latest_version"]
    assert set(version) == {"id", "created_at", "cog_version", "openapi_schema"}
    assert version["openapi_schema"]["components"]["schemas"]["Output"]["type"] == "array"
    assert (await client.get("/v1/models/vignette/tiny/versions")).json()["results"] == [version]
    for path in ("/v1/models/vignette/other", "/v1/models/else/tiny", "/v1/models/vignette/tiny/versions/0"):
        assert (await client.get(path)).status_code == 404


@pytest.mark.parametrize("form", ["{id}", "vignette/tiny", "vignette/tiny:{id}"])
async def test_a_version_may_be_named_as_the_clients_do(
    client: httpx.AsyncClient, model: LoadedModel, form: str
) -> None:
    prediction = await finished(client, version=form.format(id=model.version), stream=False)
    assert prediction["version"] == model.version


async def test_predictions_by_model(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/models/vignette/tiny/predictions", json={"input": INPUT})
    assert response.status_code == 201
    assert (await client.post("/v1/models/vignette/other/predictions", json={"input": INPUT})).status_code == 404


async def test_other_formats_and_missing_files(client: httpx.AsyncClient) -> None:
    done = await finished(client, INPUT | {"output_format": "webp"})
    response = await client.get(done["output"][0])
    assert response.headers["content-type"] == "image/webp"
    assert Image.open(io.BytesIO(response.content)).format == "WEBP"
    for name in ("1.webp", "0.png", "..%2f..%2fetc%2fpasswd", "0.webp%00"):
        assert (await client.get(f"/files/{done['id']}/{name}")).status_code == 404
    assert (await client.get("/files/unknown/0.png")).status_code == 404


async def test_what_is_forgotten_is_gone(engine: Engine, inbox: Inbox, tmp_path: Path) -> None:
    service = build_service(engine, inbox, tmp_path, retention=0)
    async with client_of(service) as client:
        response = await client.put("/v1/predictions/x", json={"input": INPUT}, headers={"Prefer": "wait"})
        await asyncio.sleep(0)
        assert (await client.get("/v1/predictions/x")).status_code == 404
        assert (await client.get(response.json()["output"][0])).status_code == 404
    await service.close()


async def test_pages(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vignette.server.routes.PAGE", 2)
    made = [(await finished(client))["id"] for _ in range(3)]
    first = (await client.get("/v1/predictions")).json()
    second = (await client.get(first["next"])).json()
    assert [p["id"] for p in first["results"] + second["results"]] == made[::-1]
    assert first["previous"] is None
    assert second["next"] is None


async def test_metrics_count(client: httpx.AsyncClient) -> None:
    await finished(client)
    text = (await client.get("/metrics")).text
    assert 'vignette_predictions_total{status="succeeded"} 1.0' in text
    assert "vignette_unfinished 0.0" in text
    assert "two purple cats" not in text


async def test_wrong_methods(client: httpx.AsyncClient) -> None:
    assert (await client.delete("/v1/predictions")).status_code == 405
    assert (await client.get("/nothing")).status_code == 404


async def test_the_default_secret(client: httpx.AsyncClient) -> None:
    assert (await client.get("/v1/webhooks/default/secret")).json() == {"key": SECRET}
