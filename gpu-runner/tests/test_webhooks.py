"""Callbacks are signed, ordered, and the last one arrives."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Callable

import httpx
import pytest

from vignette.server.webhooks import ATTEMPTS, LONGEST_DELAY, Delivery, WebhookSender, signed_headers

pytestmark = pytest.mark.anyio

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
URL = "https://edge.example/internal/runner/gen_1"


def verify(headers: httpx.Headers, body: bytes) -> None:
    """As the specification's receivers do it."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(KEY, content, hashlib.sha256).digest()).decode()
    assert f"v1,{expected}" in headers["webhook-signature"].split(" ")


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
        return WebhookSender(SECRET, client, clock=lambda: self.now, sleep=self.sleep, on_outcome=self.outcomes.append)


def test_the_specifications_example() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, "Verifying signatures": the published test vector.
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = signed_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', 1614265330)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_one_id_and_fresh_timestamps_until_it_is_taken() -> None:
    receiver = Receiver(500, httpx.ConnectError("refused"), 429, 503)
    assert await receiver.sender().post(URL, b"{}", attempts=ATTEMPTS)
    assert len(receiver.requests) == 5
    assert len({r.headers["webhook-id"] for r in receiver.requests}) == 1
    for r in receiver.requests:
        verify(r.headers, r.content)
    assert receiver.sleeps == sorted(receiver.sleeps)
    assert receiver.outcomes == ["delivered"]


async def test_a_refusal_is_final() -> None:
    receiver = Receiver(401)
    assert not await receiver.sender().post(URL, b"{}", attempts=ATTEMPTS)
    assert len(receiver.requests) == 1
    assert receiver.outcomes == ["lost"]


async def test_redirects_are_not_followed() -> None:
    receiver = Receiver(302)
    assert not await receiver.sender().post(URL, b"{}", attempts=ATTEMPTS)
    assert [str(r.url) for r in receiver.requests] == [URL]


async def test_it_gives_up_in_the_end() -> None:
    receiver = Receiver(*[500] * 100)
    assert not await receiver.sender().post(URL, b"{}", attempts=ATTEMPTS)
    assert len(receiver.requests) == ATTEMPTS
    assert max(receiver.sleeps) <= LONGEST_DELAY


class Slow(WebhookSender):
    """Holds every intermediate message until it is released or canceled."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.release = asyncio.Event()
        self.begun = asyncio.Event()

    async def post(self, url: str, body: bytes, *, attempts: int = 1) -> bool:
        self.sent.append(body)
        self.begun.set()
        if attempts == 1:
            await self.release.wait()
        return True


def body(text: str) -> Callable[[], bytes]:
    return text.encode


async def test_intermediate_messages_carry_the_newest_state() -> None:
    sender = Slow()
    delivery = Delivery(sender, URL, interval=0)
    delivery.notify(body("1"))
    await sender.begun.wait()
    sender.begun.clear()
    for state in ("2", "3", "4"):
        delivery.notify(body(state))
    sender.release.set()
    await sender.begun.wait()
    delivery.finish(b"end")
    await delivery.task
    assert sender.sent == [b"1", b"4", b"end"]


async def test_the_end_overtakes_a_slow_message() -> None:
    sender = Slow()
    delivery = Delivery(sender, URL, interval=3600)
    delivery.notify(body("1"))
    await sender.begun.wait()
    delivery.finish(b"end")
    await delivery.task
    assert sender.sent == [b"1", b"end"]


async def test_nobody_is_told_an_end_they_did_not_ask_for() -> None:
    sender = Slow()
    delivery = Delivery(sender, URL, interval=0)
    delivery.finish(None)
    await delivery.task
    assert sender.sent == []
