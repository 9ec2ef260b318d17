"""Creating, following and canceling predictions. Knows nothing of HTTP routes."""

from __future__ import annotations

import asyncio
import logging
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from vignette.engine.engine import Engine
from vignette.engine.events import Failed, Finished, Preview, Progress, Started
from vignette.engine.finishing import FinishedFiles, finish
from vignette.engine.images import data_url
from vignette.engine.request import GenerationInput
from vignette.engine.ticket import Ticket
from vignette.errors import DrawingFailed, InvalidInput, Unavailable
from vignette.provenance.c2pa import Signer
from vignette.server.ledger import Ledger
from vignette.server.metrics import Metrics
from vignette.server.outputs import Outputs
from vignette.server.prediction import Order, Prediction, progress_line
from vignette.server.restored import Restored
from vignette.server.webhooks import Updates, WebhookSender

log = logging.getLogger(__name__)

EVENTS = ("start", "output", "logs", "completed")
# Ends that are the runner's fault and not the request's: asked again under the same id, it is drawn.
ASK_AGAIN = frozenset({"shutting_down", "runner_defunct"})
# Of the line, for one caller that says who it is: the rest is left for others.
CALLERS_SHARE = 3 / 4


class PredictionService:
    """
    Args:
        signer: Signs every picture, if there is one.
        webhook_interval: Least seconds between two intermediate callbacks of a prediction.
    """

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        outputs: Outputs,
        sender: WebhookSender,
        metrics: Metrics,
        *,
        signer: Signer | None = None,
        webhook_interval: float = 0.5,
    ) -> None:
        self.engine = engine
        self.metrics = metrics
        self._ledger = ledger
        self._outputs = outputs
        self._sender = sender
        self._signer = signer
        self._webhook_interval = webhook_interval
        self._restored = Restored((), self._draw_again)
        self._tickets: dict[str, Ticket] = {}
        self._updates: dict[str, Updates] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        ledger.on_end = self._release

    def restore(self) -> None:
        """Remembers what an earlier process left. Comes before the models are loaded."""
        self._restored = Restored(self._ledger.restore(), self._draw_again)
        if self._restored.waiting:
            log.info("%d predictions of an earlier process are drawn again.", len(self._restored.waiting))

    def resume(self) -> None:
        """Hands over what was restored, once the engine is ready."""
        self._restored.hand_over()

    async def create(
        self, id: str, given: GenerationInput, raw_input: dict[str, Any], order: Order
    ) -> tuple[Prediction, bool]:
        """
        Accepts a prediction; a repeat of a remembered id gives that prediction back, unless the runner itself gave it up.

        Returns:
            The prediction, which the journal has, and whether it is new.

        Raises:
            InvalidInput: The input cannot be drawn, or `id` is taken by another input.
            Unavailable: Nothing is accepted now, or nothing of this caller.
        """
        known = self._ledger.get(id)
        if known is not None:
            if known.input != raw_input:
                raise InvalidInput("id", f"The prediction {id} exists with another input; use a new id.")
            if not (known.done.is_set() and known.error_code in ASK_AGAIN):
                await self._ledger.written(known)
                return known, False
        self.engine.check_available()
        self._check_share(order.caller)
        request = replace(self.engine.resolve(given, id), urgency=order.urgency, caller=order.caller)
        ticket = self.engine.submit(request)
        prediction = self._ledger.accept(id, request, self.engine.models[request.model].version, raw_input, order)
        self._follow(prediction, ticket)
        await self._ledger.written(prediction)
        log.info("Accepted %s.", id, extra=prediction.marks)
        return prediction, True

    def get(self, id: str) -> Prediction | None:
        return self._ledger.get(id)

    def newest_first(self) -> list[Prediction]:
        return self._ledger.newest_first()

    async def cancel(self, prediction: Prediction) -> None:
        """Ends it as `canceled`; the device stops at its next step. A finished one stays as it is."""
        self._ledger.end(prediction, "canceled")
        await prediction.done.wait()

    def file(self, id: str, name: str) -> Path | None:
        """An output's file, or None when there is none (any more)."""
        prediction = self._ledger.get(id)
        if prediction is None or name not in prediction.files:
            return None
        return self._outputs.path(id, name)

    async def drain(self, seconds: float, webhook_seconds: float = 10.0) -> None:
        """
        Finishes what is under way within `seconds`, fails the rest and delivers callbacks. What a receiver does not take
        within `webhook_seconds` is delivered after the next start.
        """
        message = "The runner was shut down before this was done; ask again."
        for prediction in self._restored.waiting:
            self._ledger.end(prediction, "failed", message, "shutting_down")
        await self.engine.drain(seconds)
        await asyncio.gather(*self._tasks)
        await self._ledger.drain(webhook_seconds)

    async def close(self) -> None:
        """Nothing may be called afterwards."""
        for updates in self._updates.values():
            updates.stop()
        await self._ledger.close()

    def _check_share(self, caller: str) -> None:
        most = math.ceil(CALLERS_SHARE * self.engine.max_queue)
        if caller and sum(ticket.request.caller == caller for ticket in self._tickets.values()) >= most:
            raise Unavailable(f"The runner has {most} requests of this caller, as many as it holds.", 2, "caller_busy")

    def _draw_again(self, prediction: Prediction) -> None:
        order = prediction.order
        try:
            request = self.engine.resolve(prediction.request.as_input(), prediction.id)
            prediction.request = replace(request, urgency=order.urgency, caller=order.caller)
            prediction.version = self.engine.models[request.model].version
            ticket = self.engine.submit(prediction.request, restored=True)
        except InvalidInput as error:  # models.toml is another one by now
            self._ledger.end(prediction, "failed", error.message, "invalid_input")
        except Unavailable as error:
            self._ledger.end(prediction, "failed", error.message, "shutting_down")
        else:
            self._follow(prediction, ticket)

    def _follow(self, prediction: Prediction, ticket: Ticket) -> None:
        self._tickets[prediction.id] = ticket
        order = prediction.order
        if order.webhook is not None:
            self._updates[prediction.id] = Updates(
                self._sender, order.webhook, self._webhook_interval, order.traceparent
            )
        task = asyncio.create_task(self._heed(prediction, ticket))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _release(self, prediction: Prediction) -> None:
        """Stops the device's work on it and what its webhook is told of that."""
        ticket = self._tickets.pop(prediction.id, None)
        if ticket is not None:
            ticket.cancel()
        updates = self._updates.pop(prediction.id, None)
        if updates is not None:
            updates.stop()
        self._restored.ended(prediction)

    async def _heed(self, prediction: Prediction, ticket: Ticket) -> None:
        try:
            async for event in ticket:
                if prediction.terminal:  # canceled while this event was on its way
                    return
                if isinstance(event, Started):
                    self._started(prediction, event)
                elif isinstance(event, Progress):
                    elapsed = self._ledger.timer() - (prediction.started_on or prediction.accepted_on)
                    prediction.logs += progress_line(event.step, event.steps, elapsed)
                    self._notify(prediction, "logs")
                elif isinstance(event, Preview):
                    self._previewed(prediction, event)
                elif isinstance(event, Finished):
                    await self._finished(prediction, event)
                elif isinstance(event, Failed):
                    self._ledger.end(prediction, "failed", event.message, event.code)
        except Exception:
            log.exception("Following %s failed.", prediction.id, extra=prediction.marks)
            message = "The picture could not be stored; the runner's log has the reason."
            self._ledger.end(prediction, "failed", message, "internal")

    def _started(self, prediction: Prediction, event: Started) -> None:
        self._ledger.begin(prediction)
        prediction.metrics |= {
            "reading": event.understood.reading if event.understood else None,
            "notice": event.understood.notice if event.understood else None,
        }
        if event.unread:
            prediction.logs += f"The prompt is longer than the text encoder reads; unread: {event.unread}\n"
        self._notify(prediction, "start")

    def _previewed(self, prediction: Prediction, event: Preview) -> None:
        previews = list(prediction.previews or [""] * prediction.request.num_images)
        previews[event.index] = data_url(event.picture)
        prediction.previews = previews
        self._notify(prediction, "output")

    async def _finished(self, prediction: Prediction, event: Finished) -> None:
        request = prediction.request
        try:
            finished = await asyncio.to_thread(self._store, prediction, event)
        except DrawingFailed as failure:
            if failure.code == "flagged":
                self.metrics.flagged("refuse", 1)
            self._ledger.end(prediction, "failed", failure.message, failure.code)
            return
        if prediction.terminal:  # canceled while its files were written
            return
        prediction.files = list(finished.files)
        self.metrics.flagged("flag", sum(reason is not None for reason in finished.flags))
        prediction.metrics |= {
            "steps": request.num_inference_steps,
            "seed": request.seed,
            "batch_mean": round(event.batch_mean, 2),
            "flagged": [reason is not None for reason in finished.flags],
            "flag_reasons": finished.flags,
            "adapter": {"id": request.adapter, "scale": request.adapter_scale} if request.adapter else None,
        }
        self._ledger.end(prediction, "succeeded")

    def _store(self, prediction: Prediction, event: Finished) -> FinishedFiles:
        model = self.engine.models[prediction.request.model]
        finished = finish(model, prediction.request, event.pictures, self._signer)
        self._outputs.write(prediction.id, finished.files)
        return finished

    def _notify(self, prediction: Prediction, event: str) -> None:
        prediction.touch()
        if prediction.wants(event):
            self._updates[prediction.id].notify(prediction.to_json)
