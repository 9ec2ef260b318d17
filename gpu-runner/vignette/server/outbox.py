"""The last callback of every prediction: sent again until it is taken, across restarts."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from vignette.server.journal import Journal, JournalError, Message
from vignette.server.webhooks import WebhookSender

log = logging.getLogger(__name__)

# With these a receiver may be away for three quarters of an hour, about as long as outputs are kept. Whatever is not 2xx
# is sent again, as Standard Webhooks has it, for it may be a mistake in the receiver's set-up; 410 alone means never.
ATTEMPTS = 40
GONE = 410
FIRST_DELAY, LONGEST_DELAY = 0.2, 120.0


class Outbox:
    """
    Args:
        on_outcome: Told `delivered` or `lost` when a message is done with.
    """

    def __init__(
        self,
        sender: WebhookSender,
        journal: Journal,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_outcome: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._sender = sender
        self._journal = journal
        self._clock = clock
        self._sleep = sleep
        self._on_outcome = on_outcome
        self._tasks: dict[asyncio.Task[None], str] = {}

    @property
    def undelivered(self) -> int:
        return len(self._tasks)

    def send(self, message: Message) -> None:
        """Delivers a message that the journal has."""
        task = asyncio.create_task(self._deliver(message))
        self._tasks[task] = message.prediction
        task.add_done_callback(lambda task: self._tasks.pop(task, None))

    def resume(self) -> None:
        """Goes on with what an earlier process left."""
        for message in self._journal.messages():
            self.send(message)

    def withdraw(self, prediction: str) -> None:
        """Sends no more of this prediction, which is about to be drawn anew."""
        for task in [task for task, id in self._tasks.items() if id == prediction]:
            task.cancel()

    async def drain(self, seconds: float) -> int:
        """Waits for deliveries; what is left after `seconds` stays in the journal. Returns how much that is."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            return len(late)
        return 0

    async def _deliver(self, message: Message) -> None:
        while True:
            # A clock that jumped must not make this wait for ever.
            await self._sleep(min(max(0.0, message.due_at - self._clock()), LONGEST_DELAY))
            status = await self._sender.post(message.url, message.body, message.id, message.traceparent)
            taken = status is not None and 200 <= status < 300
            if taken or status == GONE or message.attempts + 1 >= ATTEMPTS:
                break
            if message.attempts == 0:
                log.warning("A callback %s and is sent again.", _what_came(status), extra=_marks(message))
            delay = min(LONGEST_DELAY, FIRST_DELAY * 2**message.attempts) * random.uniform(0.5, 1.0)
            message = replace(message, attempts=message.attempts + 1, due_at=self._clock() + delay)
            await self._kept(self._journal.postpone(message))
        if not taken:
            log.warning("A callback %s and is given up.", _what_came(status), extra=_marks(message))
        self._on_outcome("delivered" if taken else "lost")
        await self._kept(self._journal.settle(message.id))

    async def _kept(self, entry: Awaitable[None]) -> None:
        try:
            await entry
        except JournalError as error:
            log.error("The journal did not take an entry (%s); after a restart this callback may come twice.", error)


def _what_came(status: int | None) -> str:
    return "was not answered" if status is None else f"was answered with {status}"


def _marks(message: Message) -> dict[str, str | None]:
    return {"prediction": message.prediction, "traceparent": message.traceparent}
