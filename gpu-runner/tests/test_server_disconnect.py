"""Clients that go away: what they have asked for is drawn, and nothing is held for them."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.conftest import Gate
from tests.serving import CODES, INPUT, TOKEN, listening
from vignette.server.prediction import Prediction
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio


async def connect(port: int, method: str, path: str, body: bytes = b"", *headers: str) -> asyncio.StreamWriter:
    """A request by hand, of which nothing is read."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {path} HTTP/1.1", "Host: runner", f"Authorization: Bearer {TOKEN}", *headers]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}", "", ""]
    writer.write("\r\n".join(lines).encode() + body)
    await writer.drain()
    return writer


async def first_prediction(service: PredictionService) -> Prediction:
    while not service.newest_first():  # noqa: ASYNC110  # the server sets no event for it
        await asyncio.sleep(0.01)
    return service.newest_first()[0]


async def test_who_waits_and_goes_away_gets_the_picture_later(service: PredictionService, gate: Gate) -> None:
    gate.shut()
    async with listening(service) as port:
        body = json.dumps({"input": INPUT}).encode()
        writer = await connect(port, "POST", "/v1/predictions", body, "Prefer: wait=60")
        prediction = await first_prediction(service)
        writer.transport.abort()
        gate.open()
        await asyncio.wait_for(prediction.done.wait(), 60)
    assert prediction.status == "succeeded"
    assert service.engine.unfinished == 0


async def test_a_body_that_never_comes_holds_nothing(service: PredictionService) -> None:
    async with listening(service) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /v1/predictions HTTP/1.1\r\nHost: runner\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.transport.abort()
        await asyncio.sleep(0)
    assert service.newest_first() == []


async def test_a_reader_of_a_stream_that_goes_away(service: PredictionService, gate: Gate) -> None:
    gate.shut()
    async with listening(service) as port:
        writer = await connect(port, "POST", "/v1/predictions", json.dumps({"input": INPUT}).encode())
        prediction = await first_prediction(service)
        reader = await connect(port, "GET", f"/v1/streams/{prediction.id}/{CODES.stream(prediction.id)}")
        reader.transport.abort()
        gate.open()
        await asyncio.wait_for(prediction.done.wait(), 60)
        writer.transport.abort()
    assert prediction.status == "succeeded"
