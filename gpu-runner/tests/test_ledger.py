"""What a process that was killed leaves to the next one, and what ends by time alone."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Gate
from tests.serving import INPUT, Inbox, build_service, client_of, finished
from tests.webhooks import URL
from vignette.engine.engine import Engine
from vignette.errors import ConfigError
from vignette.server.journal import Journal
from vignette.server.ledger import MOST_BEGINNINGS, MOST_STARTS
from vignette.server.service import PredictionService

pytestmark = pytest.mark.anyio

WATCHED = {"input": INPUT, "webhook": URL, "webhook_events_filter": ["completed"]}


class Lives:
    """One process after the other on one state folder. The engine stays: loading it anew would show nothing."""

    def __init__(self, engine: Engine, inbox: Inbox, state: Path) -> None:
        self.engine, self.inbox, self.state = engine, inbox, state
        self.service: PredictionService | None = None

    async def start(self, *, resume: bool = True, **options: Any) -> httpx.AsyncClient:
        """The next process, whose predecessor dies of SIGKILL: nothing of it is ended or told."""
        await self.kill()
        self.service = build_service(self.engine, self.inbox, self.state, **options)
        self.service.restore()
        if resume:
            self.service.resume()
        return client_of(self.service)

    async def kill(self) -> None:
        if self.service is not None:
            for ticket in self.service._tickets.values():
                ticket.cancel()
            await self.service.close()
            self.service = None

    async def ended(self, id: str) -> dict[str, Any]:
        assert self.service
        prediction = self.service.get(id)
        assert prediction
        await asyncio.wait_for(prediction.done.wait(), 60)
        return prediction.to_dict()


@pytest.fixture
async def lives(engine: Engine, inbox: Inbox, tmp_path: Path) -> AsyncIterator[Lives]:
    lives = Lives(engine, inbox, tmp_path / "state")
    yield lives
    await lives.kill()


async def test_what_was_under_way_is_drawn_again(lives: Lives, gate: Gate, inbox: Inbox) -> None:
    client = await lives.start()
    gate.shut()
    made = (await client.put("/v1/predictions/gen_1", json=WATCHED)).json()
    client = await lives.start(resume=False)
    known = (await client.get("/v1/predictions/gen_1")).json()  # before the models are loaded
    assert known == made | {"status": "starting", "started_at": None, "metrics": {}}
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
    assert elsewhere.json()["output"] == [f"http://moved:1/files/{done['id']}/0.png"]


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


def with_a_new_field(record: str) -> str:
    return record.replace('"request": {', '"request": {"colour": "red", ')


def without_the_seed(record: str) -> str:
    kept = json.loads(record)
    del kept["request"]["seed"]
    return json.dumps(kept)


def damaged(record: str) -> str:
    return record[: len(record) // 2]


@pytest.mark.parametrize("change", [with_a_new_field, without_the_seed, damaged, lambda record: "[]"])
async def test_what_another_version_wrote_is_not_silently_gone(
    lives: Lives, gate: Gate, inbox: Inbox, change: Callable[[str], str]
) -> None:
    client = await lives.start()
    gate.shut()
    made = (await client.put("/v1/predictions/gen_1", json=WATCHED)).json()
    await lives.kill()
    rewrite(lives.state, change)
    client = await lives.start()
    gate.open()
    ended = await lives.ended("gen_1")
    assert (ended["status"], ended["error_code"]) == ("failed", "runner_lost")
    assert "does not read" in ended["error"]
    assert (await client.get(made["urls"]["get"])).status_code == 200
    if change in (with_a_new_field, without_the_seed):  # else nobody knows any more whom to tell
        await inbox.completed.wait()
        [told] = inbox.bodies
        assert (told["id"], told["input"], told["error_code"]) == ("gen_1", INPUT, "runner_lost")
        assert told["created_at"] == made["created_at"]
    await lives.start()
    assert (await lives.ended("gen_1"))["error_code"] == "runner_lost"  # and it can be read by now


async def test_what_has_ended_and_cannot_be_read_stays_as_it_is(lives: Lives, inbox: Inbox) -> None:
    client = await lives.start()
    done = await finished(client, webhook=URL, webhook_events_filter=["completed"])
    await inbox.completed.wait()
    await lives.kill()
    rewrite(lives.state, damaged)
    client = await lives.start()
    assert (await client.get(f"/v1/predictions/{done['id']}")).status_code == 404
    assert lives.service
    [entry] = lives.service._ledger._journal.entries()
    with pytest.raises(ValueError, match="Expecting|Unterminated"):
        json.loads(entry.record)
    assert [body["status"] for body in inbox.bodies] == ["succeeded"]


def rewrite(state: Path, change: Callable[[str], str]) -> None:
    """The one record, as if another version had written it."""
    with closing(sqlite3.connect(state / "journal.sqlite")) as db:
        [(record,)] = db.execute("SELECT record FROM prediction")
        db.execute("UPDATE prediction SET record = ?", (change(record),))
        db.commit()


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


class Clocks:
    def __init__(self) -> None:
        self.wall, self.steady = 1_700_000_000.0, 5.0

    def options(self) -> dict[str, Any]:
        return {"clock": lambda: self.wall, "timer": lambda: self.steady}


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


async def test_a_journal_belongs_to_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vignette.server.journal.LOCK_SECONDS", 0.05)
    first = Journal(tmp_path / "journal.sqlite")
    with pytest.raises(ConfigError, match="belongs to a runner that is running"):
        Journal(tmp_path / "journal.sqlite")
    await first.close()
    await Journal(tmp_path / "journal.sqlite").close()


def test_a_damaged_journal_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    file = tmp_path / "journal.sqlite"
    file.write_bytes(b"this is no database, but long enough to be taken for one" * 100)
    with pytest.raises(ConfigError, match="is damaged"):
        Journal(file)
    assert file.read_bytes().startswith(b"this is no database")


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="--state"):
        Journal(tmp_path / "file" / "journal.sqlite")


async def test_a_crowd_shares_its_syncs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    commit = Journal._commit
    monkeypatch.setattr(Journal, "_commit", lambda self, batch: (sizes.append(len(batch)), commit(self, batch)))
    journal = Journal(tmp_path / "journal.sqlite")
    await asyncio.gather(*(journal.accept(f"gen_{k}", "{}") for k in range(32)))
    assert len(journal.entries()) == 32
    assert len(sizes) <= 2
    await journal.close()
