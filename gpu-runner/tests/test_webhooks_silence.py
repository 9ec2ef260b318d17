"""Receivers that take a callback and never answer: others are told all the same."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from tests.webhooks import SECRET, URL
from vignette.server.webhooks import MOST_PER_HOST, WebhookSender, http_client

pytestmark = pytest.mark.anyio


class Silence:
    """A host that takes every request and never answers; `heard` is set when there are as many as expected."""

    def __init__(self, expected: int = 1) -> None:
        self.expected = expected
        self.requests = 0
        self.heard = asyncio.Event()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "live.example":
            return httpx.Response(204)
        self.take()
        await asyncio.Event().wait()
        raise AssertionError

    def take(self) -> None:
        self.requests += 1
        if self.requests == self.expected:
            self.heard.set()

    async def on_the_wire(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.take()
        await reader.read()  # until the other side leaves
        writer.close()


async def stopped(tasks: list[asyncio.Task[int | None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_receiver_that_never_answers_has_said_nothing() -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(Silence()))
    assert await WebhookSender(SECRET, client, patience=0.01).post(URL, b"{}", "msg_1") is None


async def test_silent_hosts_hold_up_no_other() -> None:
    """Real connections, because the pool that they share is httpx's."""
    silence = Silence(expected=150)

    async def live(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"{}")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        writer.close()

    dead = [await asyncio.start_server(silence.on_the_wire, "127.0.0.1", 0) for _ in range(3)]
    well = await asyncio.start_server(live, "127.0.0.1", 0)
    async with http_client() as client:
        sender = WebhookSender(SECRET, client)
        tasks = [
            asyncio.create_task(sender.post(address(server), b"{}", f"msg_{k}")) for server in dead for k in range(50)
        ]
        try:
            await asyncio.wait_for(silence.heard.wait(), 60)
            assert await sender.post(address(well), b"{}", "msg_live") == 204
        finally:
            await stopped(tasks)
    for server in (*dead, well):
        server.close()


def address(server: asyncio.Server) -> str:
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def test_one_silent_host_has_its_share_of_the_connections_and_no_more() -> None:
    silence = Silence(expected=MOST_PER_HOST)
    sender = WebhookSender(SECRET, httpx.AsyncClient(transport=httpx.MockTransport(silence)))
    tasks = [asyncio.create_task(sender.post(URL, b"{}", f"msg_{k}")) for k in range(2 * MOST_PER_HOST)]
    await silence.heard.wait()
    assert await sender.post("https://live.example/", b"{}", "msg_live") == 204
    assert silence.requests == MOST_PER_HOST
    await stopped(tasks)
