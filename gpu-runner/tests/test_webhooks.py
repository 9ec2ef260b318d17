"""Callbacks are signed, ordered, and the last one arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import pytest

from tests.webhooks import SECRET, URL, verify
from vignette.server.journal import Journal, Message
from vignette.server.outbox import ATTEMPTS, LONGEST_DELAY, Outbox
from vignette.server.webhooks import Updates, WebhookSender, signed_headers

pytestmark = pytest.mark.anyio

MESSAGE = Message("msg_1", "gen_1", URL, b"{}")
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Receiver:
    """Answers with the given statuses (an exception is raised), then with 204."""

    def __init__(self, *answers: int | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []
        self.sleeps: list[float] = []
        self.now = 1_700_000_000.0
        self.outcomes: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if self.answers else 204
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer, headers={"Location": "https://elsewhere.example/"})

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def sender(self) -> WebhookSender:
        client = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return WebhookSender(SECRET, client, clock=lambda: self.now)

    def outbox(self, journal: Journal) -> Outbox:
        return Outbox(self.sender(), journal, clock=lambda: self.now, sleep=self.sleep, on_outcome=self.outcomes.append)

    async def deliver(self, journal: Journal, message: Message = MESSAGE) -> None:
        await journal.accept("gen_1", "{}")
        await journal.end("gen_1", "{}", message)
        outbox = self.outbox(journal)
        outbox.send(message)
        assert await outbox.drain(60) == 0


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    journal = Journal(tmp_path / "journal.sqlite")
    yield journal
    await journal.close()


def test_the_specifications_example() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, "Verifying signatures": the published test vector.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_one_id_and_fresh_timestamps_until_it_is_taken(journal: Journal) -> None:
    receiver = Receiver(500, httpx.ConnectError("refused"), 429, httpx.ReadTimeout("never answers"), 503)
    await receiver.deliver(journal)
    assert len(receiver.requests) == 6
    assert {r.headers["webhook-id"] for r in receiver.requests} == {"msg_1"}
    for r in receiver.requests:
        verify(r.headers, r.content)
    assert receiver.sleeps == sorted(receiver.sleeps)
    assert receiver.outcomes == ["delivered"]
    assert journal.messages() == []


@pytest.mark.parametrize("status", [300, 302, 304, 400, 401, 403, 404, 405, 408, 409, 413, 422, 429, 500, 501, 503])
async def test_whatever_is_not_2xx_is_sent_again(journal: Journal, status: int) -> None:
    receiver = Receiver(status, status)
    await receiver.deliver(journal)
    assert [str(r.url) for r in receiver.requests] == [URL] * 3  # and a redirect is not followed
    assert receiver.outcomes == ["delivered"]


async def test_gone_is_final(journal: Journal, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver(410)
    await receiver.deliver(journal)
    assert len(receiver.requests) == 1
    assert receiver.outcomes == ["lost"]
    assert journal.messages() == []
    assert "A callback was answered with 410 and is given up." in caplog.text


async def test_a_receiver_that_refuses_is_named_once_a_message(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    await Receiver(401, 401, httpx.ConnectError("refused")).deliver(journal)
    [line] = caplog.records
    assert line.getMessage() == "A callback was answered with 401 and is sent again."
    assert line.__dict__["prediction"] == "gen_1"


class Body(httpx.AsyncByteStream):
    """Pieces, and then silence for ever."""

    def __init__(self, pieces: float) -> None:
        self.pieces = pieces
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = 0
        while sent < self.pieces:
            sent += 1
            yield b"x" * 1024
            await asyncio.sleep(0)
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closed = True


@pytest.mark.parametrize("status", [200, 404, 500])
@pytest.mark.parametrize("pieces", [1, float("inf")])
async def test_an_answer_s_body_may_never_end(status: int, pieces: float) -> None:
    body = Body(pieces)
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(status, stream=body)))
    # An endless stream is cut by its length, long before this patience; silence ends with it.
    sender = WebhookSender(SECRET, client, patience=3600 if pieces > 1 else 0.01)
    assert await sender.post(URL, b"{}", "msg_1") == status
    assert body.closed


async def test_it_gives_up_in_the_end(journal: Journal) -> None:
    receiver = Receiver(*[500] * 100)
    await receiver.deliver(journal)
    assert len(receiver.requests) == ATTEMPTS
    assert max(receiver.sleeps) <= LONGEST_DELAY
    assert 1200 < sum(receiver.sleeps) < 3600  # about as long as outputs are kept
    assert journal.messages() == []


async def test_what_was_not_taken_is_delivered_by_the_next_process(tmp_path: Path) -> None:
    receiver = Receiver(*[503] * 5)
    first = Journal(tmp_path / "journal.sqlite")
    await first.accept("gen_1", "{}")
    await first.end("gen_1", "{}", MESSAGE)
    stopped = receiver.outbox(first)

    async def sleep(seconds: float) -> None:
        if len(receiver.requests) == 3:
            await asyncio.Event().wait()  # and here the process is stopped

    stopped._sleep = sleep
    stopped.send(MESSAGE)
    assert await stopped.drain(0.2) == 1
    await first.close()

    second = Journal(tmp_path / "journal.sqlite")
    [left] = second.messages()
    assert (left.id, left.attempts, left.body) == ("msg_1", 3, b"{}")
    outbox = receiver.outbox(second)
    outbox.resume()
    assert await outbox.drain(60) == 0
    assert {r.headers["webhook-id"] for r in receiver.requests} == {"msg_1"}
    assert receiver.outcomes == ["delivered"]
    assert second.messages() == []
    await second.close()


async def test_a_clock_set_back_delays_no_callback_for_ever(journal: Journal) -> None:
    receiver = Receiver()
    await receiver.deliver(journal, Message("msg_1", "gen_1", URL, b"{}", due_at=receiver.now + 1e9))
    assert receiver.sleeps == [LONGEST_DELAY]
    assert receiver.outcomes == ["delivered"]


async def test_a_withdrawn_message_is_not_sent_again(journal: Journal) -> None:
    receiver = Receiver(*[503] * 100)
    outbox = receiver.outbox(journal)
    outbox.send(MESSAGE)
    outbox.withdraw("gen_2")
    assert outbox.undelivered == 1
    outbox.withdraw("gen_1")
    assert await outbox.drain(60) == 0
    assert receiver.outcomes == []


async def test_a_trace_goes_on_with_a_span_of_its_own(journal: Journal) -> None:
    receiver = Receiver(500)
    await receiver.deliver(journal, Message("msg_1", "gen_1", URL, b"{}", TRACEPARENT))
    sent = [r.headers["traceparent"].split("-") for r in receiver.requests]
    assert {tuple(parts[:2] + parts[3:]) for parts in sent} == {("00", TRACEPARENT.split("-")[1], "01")}
    assert len({parts[2] for parts in sent} | {TRACEPARENT.split("-")[2]}) == 3


class Slow(WebhookSender):
    """Holds every message until it is released or canceled."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.release = asyncio.Event()
        self.begun = asyncio.Event()

    async def post(self, url: str, body: bytes, message_id: str, traceparent: str | None = None) -> int | None:
        self.sent.append(body)
        self.begun.set()
        await self.release.wait()
        return 204


def body(text: str) -> Callable[[], bytes]:
    return text.encode


async def test_updates_carry_the_newest_state() -> None:
    sender = Slow()
    updates = Updates(sender, URL, interval=0)
    updates.notify(body("1"))
    await sender.begun.wait()
    sender.begun.clear()
    for state in ("2", "3", "4"):
        updates.notify(body(state))
    sender.release.set()
    await sender.begun.wait()
    updates.stop()
    assert sender.sent == [b"1", b"4"]


async def test_the_end_does_not_wait_for_a_slow_update() -> None:
    sender = Slow()
    updates = Updates(sender, URL, interval=3600)
    updates.notify(body("1"))
    await sender.begun.wait()
    updates.notify(body("2"))
    updates.stop()
    sender.release.set()
    await asyncio.gather(updates._task, return_exceptions=True)
    assert sender.sent == [b"1"]
