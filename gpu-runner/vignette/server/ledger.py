"""Which predictions there are, from acceptance to oblivion; what the journal has of them outlives the process."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from vignette.engine.request import GenerationRequest
from vignette.errors import Unavailable
from vignette.server.codes import UrlCodes
from vignette.server.journal import Journal, JournalError, Message
from vignette.server.metrics import Metrics
from vignette.server.outbox import Outbox
from vignette.server.outputs import Outputs
from vignette.server.prediction import TERMINAL, Order, Prediction, Status
from vignette.server.record import from_record, remains, to_record
from vignette.server.webhooks import WebhookSender, new_message_id

log = logging.getLogger(__name__)

# How often a process may die while it draws the same request, and how often while it has it.
MOST_BEGINNINGS = 2
MOST_STARTS = 5
UNREADABLE = "The runner's journal has this picture in a form that this version does not read; ask again with a new id."


class Ledger:
    """
    Every prediction that it has accepted ends exactly once, and its webhook is told, whatever becomes of this process.

    Args:
        codes: Of its predictions' URLs.
        longest: Seconds after which any prediction is canceled.
        retention: Seconds for which a finished prediction and its files are remembered.
        clock: Seconds since 1970.
        timer: Seconds on a clock that does not jump.
    """

    def __init__(
        self,
        journal: Journal,
        outputs: Outputs,
        sender: WebhookSender,
        metrics: Metrics,
        *,
        codes: UrlCodes,
        longest: float = 3600.0,
        retention: float = 3600.0,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.timer = timer
        # Told of every end, before it is written down.
        self.on_end: Callable[[Prediction], None] = lambda prediction: None
        self._journal = journal
        self._outputs = outputs
        self._outbox = Outbox(sender, journal, clock=clock, on_outcome=metrics.webhook)
        self._metrics = metrics
        self._codes = codes
        self._longest = longest
        self._retention = retention
        self._predictions: dict[str, Prediction] = {}
        self._accepted: dict[str, asyncio.Future[None]] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._entries: set[asyncio.Task[None]] = set()
        metrics.watch_unfinished(lambda: self._count(lambda status: status not in TERMINAL))
        metrics.watch_waiting(lambda: self._count(lambda status: status == "starting"))
        metrics.watch_undelivered(lambda: self._outbox.undelivered)

    def restore(self) -> list[Prediction]:
        """Remembers what an earlier process left, goes on with its callbacks, and returns what has still to be drawn."""
        unfinished = []
        for entry in self._journal.start():
            now: dict[str, Any] = {"now": self.clock(), "now_on": self.timer(), "codes": self._codes}
            try:
                prediction = from_record(entry.record, **now)
            except (ValueError, TypeError, KeyError, AttributeError):
                log.exception("What the journal has of %s cannot be read.", entry.id, extra={"prediction": entry.id})
                if not entry.ended:  # else it was told, and the record stays for the version that wrote it
                    lost = self._predictions[entry.id] = remains(entry.id, entry.record, **now)
                    self.end(lost, "failed", UNREADABLE, "runner_lost")
                continue
            self._predictions[prediction.id] = prediction
            if prediction.terminal:
                prediction.done.set()
                self._remember(prediction)
            elif entry.begun >= MOST_BEGINNINGS or entry.starts >= MOST_STARTS:
                message = f"The runner died {entry.starts} times while it had this picture; it is not tried again."
                self.end(prediction, "failed", message, "runner_lost")
            else:
                prediction.suspect = entry.begun > 0
                unfinished.append(prediction)
                self._limit(prediction)
        self._outputs.keep_only(self._predictions)
        self._outbox.resume()
        return unfinished

    def accept(
        self, id: str, request: GenerationRequest, version: str, raw_input: dict[str, Any], order: Order
    ) -> Prediction:
        """A new prediction, in the place of one of that id; it counts once `written` has returned."""
        prediction = Prediction(
            id=id,
            request=request,
            version=version,
            input=raw_input,
            order=order,
            created_at=self.clock(),
            accepted_on=self.timer(),
            codes=self._codes,
        )
        self._outbox.withdraw(id)
        # Put anew, so that the order stays that of acceptance.
        self._predictions.pop(id, None)
        self._predictions[id] = prediction
        accepted = self._accepted[id] = asyncio.ensure_future(self._journal.accept(id, to_record(prediction)))
        accepted.add_done_callback(lambda _: self._accepted.pop(id, None))
        self._limit(prediction)
        return prediction

    async def written(self, prediction: Prediction) -> None:
        """Waits until the journal has it. Raises Unavailable, and forgets it, when the journal does not take it."""
        accepted = self._accepted.get(prediction.id)
        if accepted is None:
            return
        try:
            await asyncio.shield(accepted)
        except JournalError as error:
            if self._predictions.get(prediction.id) is prediction:
                log.error("The journal takes no entry: %s.", error)
                del self._predictions[prediction.id]
                self._timers.pop(prediction.id).cancel()
                self.on_end(prediction)
            message = "The runner cannot write down what it accepts; ask again."
            raise Unavailable(message, 10, "journal") from None

    def begin(self, prediction: Prediction) -> None:
        """Its drawing has begun."""
        prediction.status = "processing"
        prediction.started_at, prediction.started_on = self.clock(), self.timer()
        self._enter(self._journal.begin(prediction.id))

    def end(self, prediction: Prediction, status: Status, error: str | None = None, code: str | None = None) -> None:
        """The one place where a prediction becomes terminal, and it does so once."""
        if prediction.terminal:
            return
        now = self.timer()
        started = prediction.started_on or now
        prediction.previews = []
        prediction.status, prediction.error, prediction.error_code = status, error, code
        prediction.completed_at = self.clock()
        prediction.metrics |= {
            "predict_time": round(now - started, 6),
            "queue_time": round(started - prediction.accepted_on, 6),
            "total_time": round(now - prediction.accepted_on, 6),
        }
        self._metrics.ended(status, code, now - started, started - prediction.accepted_on)
        log.info("Ended %s: %s.", prediction.id, code or status, extra=prediction.marks)
        self._stop_timer(prediction.id)
        self.on_end(prediction)
        self._enter(self._settle(prediction))

    def get(self, id: str) -> Prediction | None:
        return self._predictions.get(id)

    def newest_first(self) -> list[Prediction]:
        return list(reversed(self._predictions.values()))

    async def drain(self, webhook_seconds: float) -> None:
        """Waits until all is written, and up to `webhook_seconds` for receivers; what they do not take stays for later."""
        while self._entries:
            await asyncio.gather(*self._entries)
        left = await self._outbox.drain(webhook_seconds)
        if left:
            log.warning("%d callbacks are left for the next start.", left)

    async def close(self) -> None:
        """Gives the journal back; nothing may be called afterwards."""
        for handle in self._timers.values():
            handle.cancel()
        await self._outbox.drain(0)
        await self._journal.close()

    async def _settle(self, prediction: Prediction) -> None:
        order, message = prediction.order, None
        if order.webhook is not None and prediction.wants("completed"):
            message = Message(new_message_id(), prediction.id, order.webhook, prediction.to_json(), order.traceparent)
        await self._try(self._journal.end(prediction.id, to_record(prediction), message))
        prediction.done.set()
        prediction.touch()
        if message is not None:
            self._outbox.send(message)
        self._remember(prediction)

    def _limit(self, prediction: Prediction) -> None:
        """Cancels it when its time is over."""
        seconds = min(prediction.order.cancel_after or self._longest, self._longest)
        left = seconds - (self.timer() - prediction.accepted_on)
        message = f"It was not done within {seconds:g} s and has been canceled."
        over = partial(self.end, prediction, "canceled", message, "deadline_exceeded")
        self._call_later(prediction.id, max(0.0, left), over)

    def _remember(self, prediction: Prediction) -> None:
        """Forgets it when its time is over, and not later because a clock was set back."""
        age = self.clock() - (prediction.completed_at or 0.0)
        left = min(self._retention, max(0.0, self._retention - age))
        self._call_later(prediction.id, left, partial(self._forget, prediction))

    def _forget(self, prediction: Prediction) -> None:
        del self._predictions[prediction.id]
        del self._timers[prediction.id]
        self._outputs.remove(prediction.id)
        self._enter(self._journal.forget(prediction.id))

    def _call_later(self, id: str, seconds: float, what: Callable[[], None]) -> None:
        """A prediction has one timer: its deadline, and after its end the time until it is forgotten."""
        self._stop_timer(id)
        self._timers[id] = asyncio.get_running_loop().call_later(seconds, what)

    def _stop_timer(self, id: str) -> None:
        if id in self._timers:
            self._timers.pop(id).cancel()

    def _enter(self, entry: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._try(entry))
        self._entries.add(task)
        task.add_done_callback(self._entries.discard)

    async def _try(self, entry: Coroutine[Any, Any, None]) -> None:
        try:
            await entry
        except JournalError as error:
            log.error("The journal takes no entry (%s); after a restart this would be drawn again.", error)

    def _count(self, of: Callable[[Status], bool]) -> int:
        return sum(of(prediction.status) for prediction in self._predictions.values())
