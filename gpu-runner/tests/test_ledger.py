"""What a process that was killed leaves to the next one."""

from __future__ import annotations

import json
import logging
import sqlite3

import pytest

from tests.conftest import Gate
from tests.lives import WATCHED, Lives
from tests.serving import INPUT, Inbox, finished
from tests.test_webhooks import TRACEPARENT
from tests.webhooks import URL
from vignette.server import logs
from vignette.server.journal import Journal

pytestmark = pytest.mark.anyio


async def test_what_was_under_way_is_drawn_again(lives: Lives, gate: Gate, inbox: Inbox) -> None:
    client = await lives.start()
    gate.shut()
    made = (await client.put("/v1/predictions/gen_1", json=WATCHED)).json()
    client = await lives.start(resume=False)
    known = (await client.get("/v1/predictions/gen_1")).json()  # before the models are loaded
    # The answer to the PUT may tell of a first step already; of that nothing is left.
    assert known == made | {"status": "starting", "started_at": None, "metrics": {}, "logs": ""}
    assert lives.service
    lives.service.resume()
    gate.open()
    now = await lives.ended("gen_1")
    assert (now["status"], now["created_at"]) == ("succeeded", made["created_at"])
    assert now["metrics"]["seed"] == 3
    await inbox.completed.wait()
    assert [body["status"] for body in inbox.bodies] == ["succeeded"]


async def test_a_random_seed_stays_the_one_that_was_drawn_lots_for(lives: Lives, gate: Gate) -> None:
    client = await lives.start()
    gate.shut()
    await client.put("/v1/predictions/gen_1", json={"input": {"prompt": "a cat"}})
    assert lives.service
    prediction = lives.service.get("gen_1")
    assert prediction
    seed = prediction.request.seed
    await lives.start()
    gate.open()
    assert (await lives.ended("gen_1"))["metrics"]["seed"] == seed


async def test_what_ended_is_remembered_with_its_files(lives: Lives) -> None:
    client = await lives.start()
    done = await finished(client)
    file = (await client.get(done["output"][0])).content
    client = await lives.start()
    assert (await client.get(f"/v1/predictions/{done['id']}")).json() == done
    assert (await client.get(done["output"][0])).content == file
    again = await client.put(f"/v1/predictions/{done['id']}", json={"input": INPUT})
    assert (again.status_code, again.json()) == (200, done)
    # The next process may listen elsewhere.
    elsewhere = await client.get(f"http://moved:1/v1/predictions/{done['id']}")
    assert elsewhere.json()["output"] == [done["output"][0].replace("http://runner/", "http://moved:1/")]


async def test_a_cancel_that_was_answered_outlives_the_process(lives: Lives, gate: Gate) -> None:
    client = await lives.start()
    gate.shut()
    made = (await client.put("/v1/predictions/gen_1", json=WATCHED)).json()
    canceled = (await client.post(made["urls"]["cancel"])).json()
    client = await lives.start()
    gate.open()
    assert (await client.get(made["urls"]["get"])).json() == canceled
    assert canceled["status"] == "canceled"


async def test_a_callback_that_nobody_took_is_told_by_the_next_process(lives: Lives, inbox: Inbox) -> None:
    inbox.away = True
    client = await lives.start()
    done = await finished(client, webhook=URL, webhook_events_filter=["completed"])
    inbox.away = False
    await lives.start()
    await inbox.completed.wait()
    assert [body["id"] for body in inbox.bodies] == [done["id"]]


async def test_what_the_runner_gave_up_can_be_asked_for_again(lives: Lives, gate: Gate, inbox: Inbox) -> None:
    inbox.away = True
    client = await lives.start()
    gate.shut()
    await client.put("/v1/predictions/gen_1", json=WATCHED)
    assert lives.service
    lives.engine._fail_all("shutting_down", "The runner was shut down before this was done; ask again.")
    assert (await lives.ended("gen_1"))["status"] == "failed"
    client = await lives.start()
    inbox.away = False
    again = await client.put("/v1/predictions/gen_1", json=WATCHED)
    assert (again.status_code, again.json()["error"]) == (201, None)
    gate.open()
    assert (await lives.ended("gen_1"))["status"] == "succeeded"
    await inbox.completed.wait()
    assert [body["status"] for body in inbox.bodies] == ["succeeded"]  # of the failure nobody is told any more


async def test_a_journal_that_takes_nothing_accepts_nothing(
    lives: Lives, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await lives.start()

    def full(self: Journal, batch: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(Journal, "_commit", full)
    refused = await client.put("/v1/predictions/gen_1", json=WATCHED)
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0
    assert (await client.get("/v1/predictions/gen_1")).status_code == 404
    assert lives.engine.unfinished == 0
    monkeypatch.undo()
    assert (await client.put("/v1/predictions/gen_1", json=WATCHED)).status_code == 201
    await lives.ended("gen_1")
    assert len(inbox.bodies) <= 1


async def test_files_without_a_prediction_are_removed(lives: Lives) -> None:
    stray = lives.state / "outputs" / "gen_0"
    stray.mkdir(parents=True)
    (stray / "0.png").write_bytes(b"half a picture")
    await lives.start()
    assert not stray.exists()


async def test_what_is_logged_of_a_prediction_after_a_restart_has_its_request(
    lives: Lives, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "vignette")
    caplog.handler.setFormatter(logs.JsonFormatter())
    client = await lives.start()
    gate.shut()
    ids = {"X-Request-Id": "mine-1", "traceparent": TRACEPARENT}
    await client.put("/v1/predictions/gen_1", json=WATCHED, headers=ids)
    await lives.kill()
    caplog.clear()
    await lives.start()
    gate.open()
    await lives.ended("gen_1")
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    [ended] = [line for line in lines if line["message"] == "Ended gen_1: succeeded."]
    assert (ended["request_id"], ended["trace_id"]) == ("mine-1", TRACEPARENT.split("-")[1])
