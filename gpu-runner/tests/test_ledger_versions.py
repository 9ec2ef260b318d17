"""Records in the journal that another version wrote, or a broken disk."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.conftest import Gate
from tests.lives import WATCHED, Lives, rewrite
from tests.serving import INPUT, Inbox, finished
from tests.webhooks import URL

pytestmark = pytest.mark.anyio


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


async def test_a_journal_from_before_requests_were_kept_is_read(lives: Lives, gate: Gate) -> None:
    def before(record: str) -> str:
        kept = json.loads(record)
        del kept["order"]["request_id"]
        return json.dumps(kept)

    client = await lives.start()
    gate.shut()
    await client.put("/v1/predictions/gen_1", json=WATCHED)
    await lives.kill()
    rewrite(lives.state, before)
    await lives.start()
    gate.open()
    assert (await lives.ended("gen_1"))["status"] == "succeeded"
