"""Predictions of Replicate's protocol, from the first answer to their files."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from tests.conftest import Gate
from tests.drawing import assert_same, draw, request
from tests.serving import INPUT, Inbox, build_service, client_of, finished
from vignette.engine.engine import Engine
from vignette.engine.loader import LoadedModel
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio


async def test_a_prediction_from_post_to_pixels(client: httpx.AsyncClient, model: LoadedModel) -> None:
    prediction = await finished(client, INPUT | {"num_images": 2, "adapter": None, "num_inference_steps": 5})
    assert prediction["status"] == "succeeded"
    assert prediction["error"] is None
    where = [url.partition("?code=")[0] for url in prediction["output"]]
    assert where == [f"http://runner/files/{prediction['id']}/{k}.png" for k in range(2)]
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


async def test_the_body_and_the_url_have_to_agree(client: httpx.AsyncClient) -> None:
    response = await client.put("/v1/predictions/gen_1", json={"id": "gen_2", "input": INPUT})
    assert response.status_code == 422
    response = await client.post("/v1/predictions", json={"model": "tiny", "input": INPUT | {"model": "other"}})
    assert response.status_code == 422
    assert "different models" in response.json()["detail"][0]["msg"]


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
