"""Creating, following, canceling and forgetting predictions. Knows nothing of HTTP routes."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from vignette.engine.engine import Engine, Ticket
from vignette.engine.events import Failed, Finished, Progress, Started
from vignette.engine.images import encode_image, recipe
from vignette.engine.request import GenerationInput
from vignette.errors import InvalidInput
from vignette.server.metrics import Metrics
from vignette.server.prediction import Prediction, Status, progress_line
from vignette.server.webhooks import Delivery, WebhookSender

log = logging.getLogger(__name__)

RETENTION_SECONDS = 3600
EVENTS = ("start", "output", "logs", "completed")


class PredictionService:
    """
    Args:
        webhook_interval: Least seconds between two intermediate callbacks of a prediction.
        retention: Seconds for which a finished prediction and its files are remembered.
    """

    def __init__(
        self,
        engine: Engine,
        sender: WebhookSender,
        metrics: Metrics,
        *,
        webhook_interval: float = 0.5,
        retention: float = RETENTION_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine = engine
        self._sender = sender
        self.metrics = metrics
        self._webhook_interval = webhook_interval
        self._retention = retention
        self._clock = clock
        self._predictions: dict[str, Prediction] = {}
        self._tickets: dict[str, Ticket] = {}
        self._deliveries: dict[str, Delivery] = {}
        self._runs: set[asyncio.Task[None]] = set()
        self._files = Path(tempfile.mkdtemp(prefix="vignette-files-"))

    def create(
        self,
        id: str,
        given: GenerationInput,
        raw_input: dict[str, Any],
        *,
        base_url: str,
        webhook: str | None = None,
        events: list[str] | None = None,
    ) -> tuple[Prediction, bool]:
        """
        Accepts a prediction; a repeat of a remembered id gives that prediction back.

        Returns:
            The prediction, and whether it is new.

        Raises:
            InvalidInput: The input cannot be drawn, or `id` is taken by another input.
            Unavailable: Nothing is accepted now.
        """
        known = self._predictions.get(id)
        if known is not None:
            if known.input != raw_input:
                raise InvalidInput("id", f"The prediction {id} exists with another input; use a new id.")
            return known, False
        self.engine.check_available()
        request = self.engine.resolve(given, id)
        prediction = Prediction(
            id=id,
            request=request,
            version=self.engine.models[request.model].version,
            input=raw_input,
            base_url=base_url,
            created_at=self._clock(),
            webhook=webhook,
            webhook_events_filter=events,
        )
        ticket = self.engine.submit(request)
        self._predictions[id] = prediction
        self._tickets[id] = ticket
        if webhook is not None:
            self._deliveries[id] = Delivery(self._sender, webhook, self._webhook_interval)
        run = asyncio.create_task(self._follow(prediction, ticket))
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        return prediction, True

    def get(self, id: str) -> Prediction | None:
        return self._predictions.get(id)

    def newest_first(self) -> list[Prediction]:
        return list(reversed(self._predictions.values()))

    def cancel(self, prediction: Prediction) -> None:
        """Ends it as `canceled` at once; the device stops at its next step. A finished one stays as it is."""
        if not prediction.terminal:
            self._tickets[prediction.id].cancel()
            self._end(prediction, "canceled")

    def file(self, id: str, name: str) -> Path | None:
        """An output's file, or None when there is none (any more)."""
        prediction = self._predictions.get(id)
        if prediction is None or not any(url.endswith(f"/{name}") for url in prediction.output or []):
            return None
        return self._files / id / name

    async def drain(self, seconds: float, webhook_seconds: float = 10.0) -> None:
        """Finishes what is under way within `seconds`, fails the rest, and delivers the last callbacks."""
        await self.engine.drain(seconds)
        await asyncio.gather(*self._runs)
        waiting = [delivery.task for delivery in self._deliveries.values()]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=webhook_seconds)
            for task in late:
                task.cancel()
            if late:
                log.warning("%d callbacks could not be delivered before the end.", len(late))

    def close(self) -> None:
        shutil.rmtree(self._files, ignore_errors=True)

    async def _follow(self, prediction: Prediction, ticket: Ticket) -> None:
        try:
            async for event in ticket:
                if isinstance(event, Started):
                    self._started(prediction, event)
                elif isinstance(event, Progress):
                    elapsed = self._clock() - (prediction.started_at or prediction.created_at)
                    prediction.logs += progress_line(event.step, event.steps, elapsed)
                    self._notify(prediction, "logs")
                elif isinstance(event, Finished):
                    await self._finished(prediction, event)
                elif isinstance(event, Failed):
                    self._end(prediction, "failed", event.message, event.code)
        except Exception:
            log.exception("Following %s failed.", prediction.id)
            self._end(
                prediction, "failed", "The picture could not be stored; the runner's log has the reason.", "internal"
            )

    def _started(self, prediction: Prediction, event: Started) -> None:
        prediction.status = "processing"
        prediction.started_at = self._clock()
        prediction.metrics |= {
            "reading": event.understood.reading if event.understood else None,
            "notice": event.understood.notice if event.understood else None,
        }
        if event.unread:
            prediction.logs += f"The prompt is longer than the text encoder reads; unread: {event.unread}\n"
        self._notify(prediction, "start")

    async def _finished(self, prediction: Prediction, event: Finished) -> None:
        request = prediction.request
        names = await asyncio.to_thread(self._write_files, prediction, event)
        if prediction.terminal:  # canceled while its files were written
            return
        prediction.output = [f"{prediction.base_url}/files/{prediction.id}/{name}" for name in names]
        prediction.metrics |= {
            "steps": request.num_inference_steps,
            "seed": request.seed,
            "batch_mean": round(event.batch_mean, 2),
            "flagged": [False] * len(names),
            "adapter": {"id": request.adapter, "scale": request.adapter_scale} if request.adapter else None,
        }
        self._end(prediction, "succeeded")

    def _write_files(self, prediction: Prediction, event: Finished) -> list[str]:
        request = prediction.request
        folder = self._files / prediction.id
        folder.mkdir(parents=True, exist_ok=True)
        names = []
        for index, picture in enumerate(event.pictures):
            names.append(f"{index}.{request.output_format}")
            data = encode_image(picture, request.output_format, recipe(request, index, prediction.version))
            (folder / names[-1]).write_bytes(data)
        return names

    def _notify(self, prediction: Prediction, event: str) -> None:
        if prediction.wants(event):
            self._deliveries[prediction.id].notify(prediction.to_json)

    def _end(self, prediction: Prediction, status: Status, error: str | None = None, code: str | None = None) -> None:
        """The one place where a prediction becomes terminal, and it does so once."""
        if prediction.terminal:
            return
        now = self._clock()
        started = prediction.started_at or now
        prediction.status, prediction.error, prediction.error_code = status, error, code
        prediction.completed_at = now
        prediction.metrics |= {
            "predict_time": round(now - started, 6),
            "queue_time": round(started - prediction.created_at, 6),
            "total_time": round(now - prediction.created_at, 6),
        }
        self.metrics.ended(status, now - started, started - prediction.created_at)
        self._tickets.pop(prediction.id, None)
        prediction.done.set()
        delivery = self._deliveries.get(prediction.id)
        if delivery is not None:
            delivery.finish(prediction.to_json() if prediction.wants("completed") else None)
            delivery.task.add_done_callback(lambda _: self._deliveries.pop(prediction.id, None))
        asyncio.get_running_loop().call_later(self._retention, self._forget, prediction.id)

    def _forget(self, id: str) -> None:
        self._predictions.pop(id, None)
        shutil.rmtree(self._files / id, ignore_errors=True)
