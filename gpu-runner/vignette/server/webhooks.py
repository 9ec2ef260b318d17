"""Signed callbacks: Standard Webhooks (https://github.com/standard-webhooks/standard-webhooks/blob/main/spec), as Replicate sends them."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
import weakref
from collections.abc import Callable

import httpx

from vignette.server.settings import secret_key
from vignette.server.trace import child_of

TIMEOUT = httpx.Timeout(10.0)
# From the first byte sent to the answer's status: `TIMEOUT` starts anew with every byte that trickles in.
PATIENCE_SECONDS = 30.0
# Of an answer's body, which says nothing, read so that the connection can be used again.
MOST_BODY_BYTES = 64 << 10
# Connections to one host; all others have their own, so that nobody waits for a receiver that is silent.
MOST_PER_HOST = 64


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


def http_client() -> httpx.AsyncClient:
    """
    For `WebhookSender`. httpx's own limit, 100 connections in all, would let silent receivers hold up every other one.
    """
    # A proxy from the environment must not swallow callbacks to an edge on this machine.
    direct = {"all://localhost": None, "all://127.0.0.1": None, "all://[::1]": None}
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
    return httpx.AsyncClient(mounts=direct, limits=limits, follow_redirects=False)


def new_message_id() -> str:
    return "msg_" + secrets.token_urlsafe(18)


class WebhookSender:
    """
    Posts one message, once. Redirects are not followed: they would lose the body.

    Args:
        patience: Most seconds for an answer, and again for its body.
    """

    def __init__(
        self,
        secret: str,
        client: httpx.AsyncClient,
        *,
        clock: Callable[[], float] = time.time,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._secret = secret
        self._client = client
        self._clock = clock
        self._patience = patience
        self._places: weakref.WeakValueDictionary[bytes, asyncio.Semaphore] = weakref.WeakValueDictionary()

    async def post(self, url: str, body: bytes, message_id: str, traceparent: str | None = None) -> int | None:
        """
        Every attempt at a message carries its id and a timestamp of its own.

        Returns:
            The answer's status, or None where none came.
        """
        host = httpx.URL(url).netloc
        places = self._places.setdefault(host, asyncio.Semaphore(MOST_PER_HOST))
        async with places:
            return await self._post(url, body, message_id, traceparent)

    async def _post(self, url: str, body: bytes, message_id: str, traceparent: str | None) -> int | None:
        headers = signed_headers(self._secret, message_id, body, self._clock())
        if traceparent is not None:
            headers["traceparent"] = child_of(traceparent)
        request = self._client.build_request("POST", url, content=body, headers=headers, timeout=TIMEOUT)
        try:
            response = await asyncio.wait_for(self._client.send(request, stream=True), self._patience)
        except (httpx.HTTPError, asyncio.TimeoutError):
            return None
        await self._finish(response)
        return response.status_code

    async def _finish(self, response: httpx.Response) -> None:
        """The status has decided; a body that breaks off, never ends or is too long changes nothing."""
        try:
            await asyncio.wait_for(_read_some(response), self._patience)
        except (httpx.HTTPError, httpx.StreamError, asyncio.TimeoutError):
            pass
        finally:
            await response.aclose()


async def _read_some(response: httpx.Response) -> None:
    read = 0
    async for piece in response.aiter_raw():
        read += len(piece)
        if read > MOST_BODY_BYTES:
            return


class Updates:
    """
    What a prediction's webhook is told on the way, at most once per `interval` seconds and always with the newest
    state. An update that is lost is not sent again; the last callback is the outbox's and overtakes them all.
    """

    def __init__(self, sender: WebhookSender, url: str, interval: float, traceparent: str | None = None) -> None:
        self._sender = sender
        self._url = url
        self._interval = interval
        self._traceparent = traceparent
        self._snapshot: Callable[[], bytes] | None = None
        self._changed = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def notify(self, snapshot: Callable[[], bytes]) -> None:
        """`snapshot` is asked for the body when it is sent."""
        self._snapshot = snapshot
        self._changed.set()

    def stop(self) -> None:
        """Gives up what has not been sent."""
        self._task.cancel()

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._snapshot is not None:
                body, self._snapshot = self._snapshot(), None
                await self._sender.post(self._url, body, new_message_id(), self._traceparent)
                await asyncio.sleep(self._interval)
