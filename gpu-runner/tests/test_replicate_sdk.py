"""Replicate's own Python client against the runner over HTTP, unchanged but for its base URL."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import pytest
import replicate
from PIL import Image
from replicate.exceptions import ModelError, ReplicateError
from replicate.helpers import FileOutput
from replicate.webhook import InvalidSignatureError, Webhooks

from tests.conftest import Gate
from tests.drawing import assert_same, draw, request
from tests.serving import INPUT, TOKEN, Inbox, listening
from tests.webhooks import URL
from vignette.engine.loader import LoadedModel
from vignette.errors import DrawingFailed
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio

MODEL = "vignette/tiny"
DRAWN = {**INPUT, "adapter": None}


@pytest.fixture
async def sdk(service: PredictionService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[replicate.Client]:
    monkeypatch.setenv("REPLICATE_POLL_INTERVAL", "0.01")
    async with listening(service) as port:
        yield replicate.Client(TOKEN, base_url=f"http://127.0.0.1:{port}")


async def blocking(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """The client's blocking half runs in a thread, for the server is on this loop."""
    return await asyncio.to_thread(call, *arguments, **options)


async def read(sdk: replicate.Client, output: object) -> bytes:
    """What the client hands out for an `https:` URL; for `http:` it leaves the URL."""
    return await blocking(FileOutput(str(output), sdk).read)


def pixels(file: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(file)))


async def test_run_by_name_and_by_version(sdk: replicate.Client, model: LoadedModel) -> None:
    same = draw(model, request(prompt="two purple cats")).pictures()
    for reference in (MODEL, f"{MODEL}:{model.version}"):
        [output] = await blocking(sdk.run, reference, input=DRAWN)
        assert_same([pixels(await read(sdk, output))], same)


async def test_run_without_waiting_polls(sdk: replicate.Client) -> None:
    [output] = await blocking(sdk.run, MODEL, input=DRAWN, wait=False)
    assert Image.open(io.BytesIO(await read(sdk, output))).format == "PNG"


async def test_run_waits_beyond_the_answer(sdk: replicate.Client, gate: Gate) -> None:
    gate.shut()
    running = asyncio.create_task(blocking(sdk.run, MODEL, input=DRAWN, wait=1))
    await asyncio.sleep(1.2)  # the answer to `Prefer: wait=1` has said `starting`
    gate.open()
    assert len(await running) == 1


async def test_the_asynchronous_half(sdk: replicate.Client) -> None:
    [output] = await sdk.async_run(MODEL, input=DRAWN)
    assert Image.open(io.BytesIO(await FileOutput(str(output), sdk).aread())).format == "PNG"


async def test_models_and_versions(sdk: replicate.Client, model: LoadedModel) -> None:
    [listed] = await blocking(sdk.models.list)
    assert (listed.owner, listed.name) == ("vignette", "tiny")
    found = await blocking(sdk.models.get, MODEL)
    assert found.latest_version.id == model.version
    [version] = await blocking(found.versions.list)
    assert version.openapi_schema["components"]["schemas"]["Output"]["type"] == "array"


async def test_create_poll_and_wait(sdk: replicate.Client, gate: Gate) -> None:
    gate.shut()
    prediction = await blocking(sdk.predictions.create, model=MODEL, input=DRAWN)
    assert prediction.status in ("starting", "processing")
    await blocking(prediction.reload)
    assert prediction.output is None
    gate.open()
    await blocking(prediction.wait)
    assert prediction.status == "succeeded"
    assert prediction.progress.percentage == 1
    assert prediction.metrics["predict_time"] > 0
    assert prediction.id in [one.id for one in await blocking(sdk.predictions.list)]


async def test_cancel(sdk: replicate.Client, gate: Gate) -> None:
    gate.shut()
    prediction = await blocking(sdk.predictions.create, model=MODEL, input=DRAWN)
    await blocking(prediction.cancel)
    assert prediction.status == "canceled"
    gate.open()
    assert (await blocking(sdk.predictions.get, prediction.id)).status == "canceled"


async def test_webhooks_pass_the_client_s_own_check(sdk: replicate.Client, inbox: Inbox) -> None:
    await blocking(
        sdk.predictions.create, model=MODEL, input=DRAWN, webhook=URL, webhook_events_filter=["start", "completed"]
    )
    await inbox.completed.wait()
    secret = await blocking(sdk.webhooks.default.secret)
    for told in inbox.requests:
        Webhooks.validate(request=told, secret=secret)
    told = inbox.requests[-1]
    forged = {**dict(told.headers), "webhook-id": "msg_other"}
    with pytest.raises(InvalidSignatureError):
        Webhooks.validate(headers=forged, body=told.content.decode(), secret=secret)


async def test_stream(sdk: replicate.Client) -> None:
    def read() -> list[tuple[str, str]]:
        given = DRAWN | {"preview_every": 2}
        return [(event.event.value, str(event.data)) for event in sdk.stream(MODEL, input=given)]

    told = await blocking(read)
    kinds = [kind for kind, _ in told]
    assert kinds[-1] == "done"
    outputs = [data for kind, data in told if kind == "output"]
    assert outputs[0].startswith("data:image/png;base64,")
    assert "/files/" in outputs[-1]
    assert any("100%" in data for kind, data in told if kind == "logs")


async def test_bad_input_and_failures_are_the_client_s_errors(
    sdk: replicate.Client, service: PredictionService, gate: Gate
) -> None:
    with pytest.raises(ReplicateError, match="422") as refused:
        await blocking(sdk.run, MODEL, input=DRAWN | {"width": 33})
    assert "multiple of 8" in str(refused.value.__dict__)
    gate.shut()
    prediction = await blocking(sdk.predictions.create, model=MODEL, input=DRAWN)
    service.engine._fail_all("internal", "It broke.")
    gate.open()
    await blocking(prediction.wait)
    assert (prediction.status, prediction.error) == ("failed", "It broke.")


async def test_run_raises_what_the_runner_says(
    sdk: replicate.Client, service: PredictionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise DrawingFailed("invalid_picture", "The model produced invalid numbers.")

    monkeypatch.setattr("vignette.engine.stages.prepare", broken)
    with pytest.raises(ModelError, match="invalid numbers"):
        await blocking(sdk.run, MODEL, input=DRAWN)


async def test_a_wrong_token_is_refused(sdk: replicate.Client) -> None:
    other = replicate.Client("another-token-entirely", base_url=sdk._base_url)
    with pytest.raises(ReplicateError, match="401"):
        await blocking(other.predictions.list)
    assert TOKEN not in os.environ.get("REPLICATE_API_TOKEN", "")
