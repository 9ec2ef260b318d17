"""What ends by time alone, and what a clock that jumps does not change."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import Gate
from tests.lives import WATCHED, Clocks, Lives
from tests.serving import finished
from vignette.server.record import MOST_AGE

pytestmark = pytest.mark.anyio


async def test_an_hour_is_over_after_a_restart_too(lives: Lives) -> None:
    clocks = Clocks()
    client = await lives.start(**clocks.options())
    done = await finished(client)
    clocks.wall += 3599
    client = await lives.start(**clocks.options())
    assert (await client.get(done["output"][0])).status_code == 200
    clocks.wall += 2
    client = await lives.start(**clocks.options())
    await asyncio.sleep(0)  # its timer is due
    await asyncio.sleep(0)
    assert (await client.get(f"/v1/predictions/{done['id']}")).status_code == 404
    assert (await client.get(done["output"][0])).status_code == 404
    assert lives.service
    await lives.service._ledger.drain(0)
    assert lives.service._ledger._journal.entries() == []


async def test_a_clock_that_jumps_changes_no_duration(lives: Lives, gate: Gate) -> None:
    clocks = Clocks()
    client = await lives.start(**clocks.options())
    gate.shut()
    made = (await client.put("/v1/predictions/gen_1", json=WATCHED)).json()
    clocks.wall -= 86_400
    clocks.steady += 2
    gate.open()
    done = await lives.ended("gen_1")
    assert done["completed_at"] < made["created_at"]
    metrics = done["metrics"]
    assert metrics["total_time"] == 2
    assert min(metrics["predict_time"], metrics["queue_time"]) >= 0
    client = await lives.start(**clocks.options())  # "ended in the future" is no reason to keep it longer
    timer = lives.service._ledger._timers["gen_1"] if lives.service else None
    assert timer
    assert timer.when() - asyncio.get_running_loop().time() <= 3600
    clocks.wall -= 86_400
    client = await lives.start(**clocks.options())
    assert (await client.get("/v1/predictions/gen_1")).json() == done
    timer = lives.service._ledger._timers["gen_1"] if lives.service else None
    assert timer
    assert timer.when() - asyncio.get_running_loop().time() <= 3600


async def test_a_clock_set_forward_between_two_processes_ends_nothing(lives: Lives, gate: Gate) -> None:
    clocks = Clocks()
    client = await lives.start(**clocks.options())
    gate.shut()
    await client.put("/v1/predictions/gen_1", json=WATCHED)
    await client.put("/v1/predictions/gen_2", json=WATCHED, headers={"Cancel-After": "9m"})
    clocks.wall += 86_400
    await lives.start(**clocks.options())
    assert lives.service
    timers = lives.service._ledger._timers
    left = timers["gen_1"].when() - asyncio.get_running_loop().time()
    assert 0 <= 3600 - MOST_AGE - left < 60
    # Whoever set a limit below that gets nothing late, at the price of a mistake here.
    assert (await lives.ended("gen_2"))["error_code"] == "deadline_exceeded"
    gate.open()
    assert (await lives.ended("gen_1"))["status"] == "succeeded"
