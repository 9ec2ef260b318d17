"""What a webhook is told of a prediction."""

from __future__ import annotations

import httpx
import pytest

from tests.conftest import Gate
from tests.serving import INPUT, Inbox, finished
from tests.webhooks import URL, verify
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio


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
