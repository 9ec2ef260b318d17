"""An accepted request as its author holds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from vignette.engine.events import Event, Failed, Finished
from vignette.engine.request import GenerationRequest


class Ticket:
    """One accepted request. Iterate over it for its events; the last one is `Finished` or `Failed`."""

    def __init__(self, request: GenerationRequest, cancel: Callable[[GenerationRequest], None]) -> None:
        self.request = request
        self._cancel = cancel
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()

    def cancel(self) -> None:
        """Ends the iteration at once; the device drops the pictures at its next step."""
        self._cancel(self.request)
        self._events.put_nowait(None)

    def deliver(self, event: Event) -> None:
        self._events.put_nowait(event)

    async def __aiter__(self) -> AsyncIterator[Event]:
        while (event := await self._events.get()) is not None:
            yield event
            if isinstance(event, Finished | Failed):
                return

    async def result(self) -> Finished:
        """Waits for the end. Raises RuntimeError with the sentence of a failure."""
        async for event in self:
            if isinstance(event, Finished):
                return event
            if isinstance(event, Failed):
                raise RuntimeError(event.message)
        raise RuntimeError("The request was canceled.")
