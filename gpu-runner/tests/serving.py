"""The server's parts put together as `vignette serve` does, without a process."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from tests.webhooks import SECRET
from vignette.engine.engine import Engine
from vignette.server.app import build_app
from vignette.server.codes import UrlCodes
from vignette.server.journal import Journal
from vignette.server.ledger import Ledger
from vignette.server.metrics import Metrics
from vignette.server.outputs import Outputs
from vignette.server.service import PredictionService
from vignette.server.webhooks import WebhookSender

TOKEN = "a-token-for-tests-only"
INPUT = {"prompt": "two purple cats", "seed": 3, "num_inference_steps": 5}
CODES = UrlCodes(TOKEN)


@dataclass
class Inbox:
    """What the edge received, body by body; while `away`, nobody answers."""

    requests: list[httpx.Request] = field(default_factory=list)
    completed: asyncio.Event = field(default_factory=asyncio.Event)
    away: bool = False

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused")
        self.requests.append(request)
        if json.loads(request.content)["completed_at"]:
            self.completed.set()
        return httpx.Response(204)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(r.content) for r in self.requests]


def build_service(engine: Engine, inbox: Inbox, state: Path, **options: Any) -> PredictionService:
    """`state` is the folder that outlives the process, `options` are the ledger's."""
    sender = WebhookSender(SECRET, httpx.AsyncClient(transport=httpx.MockTransport(inbox)))
    journal, outputs, metrics = Journal(state / "journal.sqlite"), Outputs(state / "outputs"), Metrics()
    ledger = Ledger(journal, outputs, sender, metrics, codes=CODES, **options)
    return PredictionService(engine, ledger, outputs, sender, metrics, webhook_interval=0)


def client_of(service: PredictionService, public_url: str | None = None) -> httpx.AsyncClient:
    app = build_app(service, CODES, token=TOKEN, webhook_secret=SECRET, public_url=public_url)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx.AsyncClient(transport=transport, base_url="http://runner", headers=headers)


async def finished(client: httpx.AsyncClient, input: dict[str, Any] = INPUT, **body: Any) -> dict[str, Any]:
    """A prediction after its end."""
    response = await client.post("/v1/predictions", json={"input": input} | body, headers={"Prefer": "wait=60"})
    assert response.status_code == 201, response.text
    assert response.json()["completed_at"], response.json()
    return response.json()


@asynccontextmanager
async def listening(service: PredictionService) -> AsyncIterator[int]:
    """The application on a real port of this machine, which it yields, on this event loop."""
    listener = socket.create_server(("127.0.0.1", 0))
    app = build_app(service, CODES, token=TOKEN, webhook_secret=SECRET)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        await serving
