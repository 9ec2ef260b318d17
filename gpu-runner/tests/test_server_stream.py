"""`urls.stream`: a prediction as server-sent events."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.conftest import Gate
from tests.serving import CODES, INPUT, finished
from vignette.server.service import PredictionService
from vignette.server.stream import events

pytestmark = pytest.mark.anyio


def parsed(text: str) -> list[tuple[str, str, str]]:
    """Events as (name, data, id), as a client's parser has them."""
    found = []
    for block in text.split("\n\n")[:-1]:
        fields: dict[str, list[str]] = {}
        for line in block.split("\n"):
            if not line.startswith(":"):
                name, _, value = line.partition(": ")
                fields.setdefault(name, []).append(value)
        if fields:
            found.append((fields["event"][0], "\n".join(fields["data"]), fields["id"][0]))
    return found


async def streamed(client: httpx.AsyncClient, url: str, **headers: str) -> list[tuple[str, str, str]]:
    """The whole stream, read without the bearer token, as Replicate's clients do."""
    response = await client.get(url, headers={"Authorization": "", "Accept": "text/event-stream", **headers})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"].startswith("text/event-stream")
    return parsed(response.text)


async def test_logs_then_pictures_then_done(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/predictions", json={"input": INPUT | {"num_images": 2}})).json()
    told = await streamed(client, made["urls"]["stream"])
    done = (await client.get(made["urls"]["get"])).json()
    assert "".join(data for name, data, _ in told if name == "logs") == done["logs"]
    assert [data for name, data, _ in told if name == "output"] == done["output"]
    assert told[-1][:2] == ("done", "{}")


async def test_previews_come_before_the_picture(client: httpx.AsyncClient) -> None:
    made = (await client.post("/v1/predictions", json={"input": INPUT | {"preview_every": 1}})).json()
    outputs = [data for name, data, _ in await streamed(client, made["urls"]["stream"]) if name == "output"]
    assert outputs[-1].startswith("http://runner/files/")
    assert outputs[:-1]
    for url in outputs[:-1]:
        kind, _, data = url.partition(",")
        assert kind == "data:image/png;base64"
        assert Image.open(io.BytesIO(base64.b64decode(data))).size == (16, 16)


async def test_a_client_that_comes_back_goes_on_where_it_was(client: httpx.AsyncClient) -> None:
    done = await finished(client)
    every = await streamed(client, done["urls"]["stream"])
    middle = done["logs"].index("\n") + 1
    rest = await streamed(client, done["urls"]["stream"], **{"Last-Event-ID": str(middle)})
    assert rest[0] == ("logs", done["logs"][middle:], every[0][2])
    assert rest[1:] == every[1:]
    assert await streamed(client, done["urls"]["stream"], **{"Last-Event-ID": "nonsense"}) == every


async def test_a_cancel_ends_the_stream(client: httpx.AsyncClient, gate: Gate) -> None:
    gate.shut()
    made = (await client.post("/v1/predictions", json={"input": INPUT})).json()
    stream = asyncio.create_task(streamed(client, made["urls"]["stream"]))
    await asyncio.sleep(0)
    await client.post(made["urls"]["cancel"])
    gate.open()
    assert json.loads((await stream)[-1][1]) == {"reason": "canceled"}


async def test_a_failure_is_an_error_and_then_the_end(
    client: httpx.AsyncClient, service: PredictionService, gate: Gate
) -> None:
    gate.shut()
    made = (await client.post("/v1/predictions", json={"input": INPUT})).json()
    service.engine._fail_all("internal", "It broke.")
    told = await streamed(client, made["urls"]["stream"])
    gate.open()
    # The first step may have been taken before it broke.
    ends = [event[:2] for event in told if event[0] != "logs"]
    assert ends == [("error", "It broke."), ("done", '{"reason": "error"}')]


async def test_silence_is_broken_by_comments_and_a_reader_that_leaves_is_forgotten(
    client: httpx.AsyncClient, service: PredictionService, gate: Gate
) -> None:
    gate.shut()
    made = (await client.post("/v1/predictions", json={"input": INPUT})).json()
    prediction = service.get(made["id"])
    assert prediction
    reader: Any = events(prediction, "http://runner", heartbeat=0.01)
    told = [await anext(reader)]
    while told[-1] != ": waiting\n\n":  # what the engine logs before the gate's first step may still come
        told.append(await anext(reader))
    assert all(event.startswith("event: logs\n") for event in told[:-1])
    await reader.aclose()
    gate.open()
    await prediction.done.wait()
    assert prediction.status == "succeeded"


async def test_a_stream_needs_its_own_url(client: httpx.AsyncClient) -> None:
    done = await finished(client)
    other = await finished(client)
    code = CODES.stream(other["id"])
    for path in (f"/v1/streams/{done['id']}/{code}", f"/v1/streams/{done['id']}/", "/v1/streams/unknown/0"):
        assert (await client.get(path)).status_code == 404
