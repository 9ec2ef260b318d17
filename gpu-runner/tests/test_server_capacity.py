"""A runner that is full or on its way out says so, and when to come back."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.conftest import Gate
from tests.serving import INPUT, Inbox
from tests.webhooks import URL
from vignette.engine.engine import Engine
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio


async def test_a_full_runner_answers_503_with_a_delay(
    client: httpx.AsyncClient, engine: Engine, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "max_queue", 4)  # one more than a caller who gives a name may have
    gate.shut()
    for _ in range(4):
        assert (await client.post("/v1/predictions", json={"input": INPUT})).status_code == 201
    full = await client.post("/v1/predictions", json={"input": INPUT})
    assert full.status_code == 503
    assert int(full.headers["retry-after"]) > 0
    assert (await client.get("/health-check")).json()["status"] == "BUSY"
    assert (await client.get("/readyz")).status_code == 200
    gate.open()


async def test_one_caller_cannot_fill_the_line(
    client: httpx.AsyncClient, engine: Engine, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "max_queue", 4)
    gate.shut()

    async def asked(caller: str) -> httpx.Response:
        return await client.post("/v1/predictions", json={"input": INPUT}, headers={"X-Vignette-Caller": caller})

    mine = [await asked("a") for _ in range(3)]
    assert [one.status_code for one in mine] == [201] * 3
    full = await asked("a")
    assert full.status_code == 503
    assert int(full.headers["retry-after"]) > 0
    assert "3 requests of this caller" in full.json()["detail"]
    assert (await asked("b")).status_code == 201
    await client.post(mine[0].json()["urls"]["cancel"])
    assert (await asked("a")).status_code == 201
    text = (await client.get("/metrics")).text
    assert 'vignette_refused_total{reason="caller_busy"} 1.0' in text
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
