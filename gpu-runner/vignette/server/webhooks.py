"""Signed callbacks: Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec), as Replicate sends them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable

import httpx

from vignette.server.settings import secret_key

log = logging.getLogger(__name__)

ATTEMPTS = 12
FIRST_DELAY, LONGEST_DELAY = 0.2, 30.0
TIMEOUT = httpx.Timeout(10.0)
RETRIED = frozenset({408, 409, 425, 429})


def signed_headers(secret: str, message_id: str, body: bytes, now: float) -> dict[str, str]:
    """HMAC-SHA256 over `{id}.{timestamp}.{body}`; `now` in seconds since 1970."""
    timestamp = str(int(now))
    digest = hmac.new(secret_key(secret), f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


class WebhookSender:
    """Posts one message, once or until it is taken. Redirects are not followed: they would lose the body."""

    def __init__(
        self,
        secret: str,
        client: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_outcome: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._secret = secret
        self._client = client
        self._clock = clock
        self._sleep = sleep
        self._on_outcome = on_outcome

    async def post(self, url: str, body: bytes, *, attempts: int = 1) -> bool:
        """Whether the receiver took it. Every attempt carries the same id and a fresh timestamp."""
        message_id = "msg_" + secrets.token_urlsafe(18)
        for attempt in range(attempts):
            status = await self._attempt(url, body, message_id)
            if status is not None and 200 <= status < 300:
                self._on_outcome("delivered")
                return True
            if status is not None and status < 500 and status not in RETRIED:
                log.warning("A webhook was refused with status %d and is not sent again.", status)
                break
            if attempt + 1 < attempts:
                delay = min(LONGEST_DELAY, FIRST_DELAY * 2**attempt)
                await self._sleep(delay * random.uniform(0.5, 1.0))
        else:
            if attempts > 1:
                log.warning("A webhook could not be delivered in %d attempts.", attempts)
        self._on_outcome("lost")
        return False

    async def _attempt(self, url: str, body: bytes, message_id: str) -> int | None:
        headers = signed_headers(self._secret, message_id, body, self._clock())
        try:
            response = await self._client.post(url, content=body, headers=headers, timeout=TIMEOUT)
        except httpx.HTTPError:
            return None
        return response.status_code


class Delivery:
    """
    The callbacks of one prediction, in order. Intermediate ones are sent once, at most one per `interval` seconds and
    always with the newest state; the terminal one overtakes them and is retried with back-off.
    """

    def __init__(self, sender: WebhookSender, url: str, interval: float) -> None:
        self._sender = sender
        self._url = url
        self._interval = interval
        self._snapshot: Callable[[], bytes] | None = None
        self._last: bytes | None = None
        self._changed = asyncio.Event()
        self._final = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    def notify(self, snapshot: Callable[[], bytes]) -> None:
        """An intermediate event; `snapshot` is asked for the body when it is sent."""
        self._snapshot = snapshot
        self._changed.set()

    def finish(self, body: bytes | None) -> None:
        """The end; `body` is None when the receiver did not ask for the terminal event."""
        self._last = body
        self._final.set()
        self._changed.set()

    async def _run(self) -> None:
        while not self._final.is_set():
            await self._changed.wait()
            self._changed.clear()
            if self._snapshot is not None and not self._final.is_set():
                body, self._snapshot = self._snapshot(), None
                await self._unless_final(self._sender.post(self._url, body))
                await self._unless_final(asyncio.sleep(self._interval))
        if self._last is not None:
            await self._sender.post(self._url, self._last, attempts=ATTEMPTS)

    async def _unless_final(self, work: Awaitable[object]) -> None:
        """Waits for `work`, but no longer than until the end is known."""
        task, final = asyncio.ensure_future(work), asyncio.ensure_future(self._final.wait())
        try:
            await asyncio.wait({task, final}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            task.cancel()
            final.cancel()
