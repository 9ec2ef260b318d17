"""What is drawn again after a process has died, in which order and how often."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Gate
from tests.lives import WATCHED, Lives
from tests.serving import INPUT, Inbox
from vignette.server.ledger import MOST_BEGINNINGS, MOST_STARTS

pytestmark = pytest.mark.anyio


async def test_what_a_process_dies_of_is_not_tried_for_ever(lives: Lives, inbox: Inbox) -> None:
    client = await lives.start()
    long = INPUT | {"num_inference_steps": 50, "num_images": 4, "width": 64, "height": 64}
    await client.put("/v1/predictions/gen_1", json=WATCHED | {"input": long})
    for _ in range(MOST_BEGINNINGS):
        assert lives.service
        prediction = lives.service.get("gen_1")
        assert prediction
        while prediction.status != "processing":
            await prediction.changed.wait()
        await lives.service._ledger.drain(0)  # the journal knows that its drawing has begun
        await lives.start()
    ended = await lives.ended("gen_1")
    assert (ended["status"], ended["error_code"]) == ("failed", "runner_lost")
    await inbox.completed.wait()
    assert inbox.bodies[-1]["error_code"] == "runner_lost"


async def test_what_a_process_dies_of_fails_without_its_company(lives: Lives, gate: Gate) -> None:
    lives.engine.max_queue = 4
    client = await lives.start()
    gate.shut()
    for k in range(1, 5):
        await client.put(f"/v1/predictions/gen_{k}", json=WATCHED)
    # It dies while it draws three of the four, and the next one over the second of these.
    client = await lives.start_after(gen_2=1, gen_3=1, gen_4=1)
    assert lives.handed_over == ["gen_2"]
    await client.post("/v1/predictions/gen_2/cancel")
    await asyncio.sleep(0)
    assert lives.handed_over == ["gen_3"]
    await lives.start_after(gen_3=MOST_BEGINNINGS, gen_4=1)
    assert (await lives.ended("gen_3"))["error_code"] == "runner_lost"
    assert lives.handed_over == ["gen_4"]
    gate.open()
    assert (await lives.ended("gen_4"))["status"] == "succeeded"
    assert (await lives.ended("gen_1"))["status"] == "succeeded"


async def test_a_process_that_dies_at_once_each_time_does_not_start_for_ever(
    lives: Lives, gate: Gate, inbox: Inbox
) -> None:
    client = await lives.start()
    gate.shut()
    await client.put("/v1/predictions/gen_1", json=WATCHED)
    for _ in range(MOST_STARTS):
        await lives.start(resume=False)
    assert (await lives.ended("gen_1"))["error_code"] == "runner_lost"
    gate.open()


async def test_a_drain_ends_what_waits_for_a_suspect(lives: Lives, gate: Gate) -> None:
    client = await lives.start()
    gate.shut()
    for k in range(1, 4):
        await client.put(f"/v1/predictions/gen_{k}", json=WATCHED)
    await lives.start_after(gen_1=1, gen_2=1)
    gate.open()
    assert lives.service
    await lives.service.drain(60)
    ends = [(await lives.ended(f"gen_{k}"))["error_code"] for k in range(1, 4)]
    assert ends == [None, "shutting_down", "shutting_down"]


async def test_a_drain_before_the_models_are_loaded_ends_what_was_restored(
    lives: Lives, gate: Gate, inbox: Inbox
) -> None:
    client = await lives.start()
    gate.shut()
    await client.put("/v1/predictions/gen_1", json=WATCHED)
    await lives.start(resume=False)
    gate.open()
    assert lives.service
    await lives.service.drain(0)
    assert [(b["status"], b["error_code"]) for b in inbox.bodies] == [("failed", "shutting_down")]


async def test_a_request_that_no_longer_fits_the_models_says_so(
    lives: Lives, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await lives.start()
    gate.shut()
    await client.put("/v1/predictions/gen_1", json=WATCHED)
    await lives.start(resume=False)
    [model] = lives.engine.catalogue.models
    limits = model.limits.model_copy(update={"max_steps": 4})
    changed = lives.engine.catalogue.model_copy(update={"models": (model.model_copy(update={"limits": limits}),)})
    monkeypatch.setattr(lives.engine, "catalogue", changed)
    assert lives.service
    lives.service.resume()
    ended = await lives.ended("gen_1")
    assert (ended["status"], ended["error_code"]) == ("failed", "invalid_input")
    assert "between 1 and 4" in ended["error"]
    gate.open()
