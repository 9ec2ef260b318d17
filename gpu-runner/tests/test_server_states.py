"""What a runner says of itself before it is ready and after it has broken."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import torch

from tests.serving import INPUT, Inbox, build_service, client_of
from vignette.engine.catalogue import Catalogue
from vignette.engine.engine import Engine, State
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio


@pytest.fixture
async def early(catalogue: Catalogue, inbox: Inbox, tmp_path: Path) -> AsyncIterator[PredictionService]:
    """A process whose models are not loaded yet."""
    service = build_service(Engine(catalogue, torch.device("cpu")), inbox, tmp_path)
    yield service
    await service.close()


async def refused(client: httpx.AsyncClient) -> str:
    """How a new prediction is refused; when to come back is always said."""
    response = await client.post("/v1/predictions", json={"input": INPUT})
    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    return response.json()["detail"]


async def test_while_the_models_load(early: PredictionService) -> None:
    async with client_of(early) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (503, "starting")
        assert int(ready.headers["retry-after"]) > 0
        assert (await client.get("/healthz")).status_code == 200
        health = (await client.get("/health-check")).json()
        assert (health["status"], health["setup"]["status"]) == ("STARTING", "starting")
        assert "still loading" in await refused(client)
        for path in ("/v1/models", "/v1/models/vignette/tiny"):
            assert (await client.get(path)).status_code == 503
        assert (await client.get("/v1/predictions/unknown")).status_code == 404


async def test_models_that_do_not_load(early: PredictionService) -> None:
    early.engine._note(State.SETUP_FAILED, "model_index.json is missing.")
    async with client_of(early) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["detail"]) == (503, "model_index.json is missing.")
        health = (await client.get("/health-check")).json()
        assert (health["status"], health["setup"]["status"]) == ("SETUP_FAILED", "failed")
        assert health["setup"]["logs"] == "model_index.json is missing."
        assert await refused(client)


async def test_a_broken_device_is_no_longer_alive(client: httpx.AsyncClient, engine: Engine) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    engine.give_up("CUDA error: an illegal memory access was encountered")
    alive = await client.get("/healthz")
    assert (alive.status_code, alive.json()) == (503, {"status": "defunct"})
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "defunct")
    assert (await client.get("/health-check")).json()["status"] == "DEFUNCT"
    assert "defunct" in await refused(client)
