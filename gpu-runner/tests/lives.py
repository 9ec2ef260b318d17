"""One process of `vignette serve` after the other, without processes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.serving import INPUT, Inbox, build_service, client_of
from tests.webhooks import URL
from vignette.engine.engine import Engine
from vignette.server.service import PredictionService

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

    async def start_after(self, **begun: int) -> httpx.AsyncClient:
        """The next process, whose predecessors died while they drew these, so often."""
        await self.kill()
        with closing(sqlite3.connect(self.state / "journal.sqlite")) as db:
            db.execute("UPDATE prediction SET begun = 0")
            db.executemany("UPDATE prediction SET begun = ? WHERE id = ?", [(n, id) for id, n in begun.items()])
            db.commit()
        return await self.start()

    async def kill(self) -> None:
        if self.service is not None:
            for ticket in self.service._tickets.values():
                ticket.cancel()
            await self.service.close()
            self.service = None

    @property
    def handed_over(self) -> list[str]:
        """What the engine has by now."""
        assert self.service
        return sorted(self.service._tickets)

    async def ended(self, id: str) -> dict[str, Any]:
        assert self.service
        prediction = self.service.get(id)
        assert prediction
        await asyncio.wait_for(prediction.done.wait(), 60)
        return prediction.to_dict()


def rewrite(state: Path, change: Callable[[str], str]) -> None:
    """The one record, as if another version had written it."""
    with closing(sqlite3.connect(state / "journal.sqlite")) as db:
        [(record,)] = db.execute("SELECT record FROM prediction")
        db.execute("UPDATE prediction SET record = ?", (change(record),))
        db.commit()


class Clocks:
    def __init__(self) -> None:
        self.wall, self.steady = 1_700_000_000.0, 5.0

    def options(self) -> dict[str, Any]:
        return {"clock": lambda: self.wall, "timer": lambda: self.steady}
