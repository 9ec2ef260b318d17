"""What `/metrics` tells Prometheus. No prompt and no key ever becomes a label."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320)


class Metrics:
    """A registry of its own, so that several apps in one process do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ended = Counter(
            "vignette_predictions", "Predictions ended, by status.", ["status"], registry=self.registry
        )
        self._predict = Histogram(
            "vignette_predict_seconds", "From the first stage to the end.", buckets=SECONDS, registry=self.registry
        )
        self._queue = Histogram(
            "vignette_queue_seconds", "From acceptance to the first stage.", buckets=SECONDS, registry=self.registry
        )
        self._batch = Histogram(
            "vignette_unet_batch_size", "Pictures per UNet call.", buckets=(1, 2, 4, 8, 16, 32), registry=self.registry
        )
        self._webhooks = Counter("vignette_webhooks", "Callbacks, by outcome.", ["outcome"], registry=self.registry)
        self._unfinished = Gauge("vignette_unfinished", "Predictions accepted and not ended.", registry=self.registry)

    def watch_unfinished(self, count: Callable[[], float]) -> None:
        self._unfinished.set_function(count)

    def ended(self, status: str, predict_seconds: float, queue_seconds: float) -> None:
        self._ended.labels(status).inc()
        self._predict.observe(predict_seconds)
        self._queue.observe(queue_seconds)

    def unet_call(self, pictures: int) -> None:
        self._batch.observe(pictures)

    def webhook(self, outcome: str) -> None:
        self._webhooks.labels(outcome).inc()

    def render(self) -> bytes:
        return generate_latest(self.registry)
