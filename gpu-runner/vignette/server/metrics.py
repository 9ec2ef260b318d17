"""What `/metrics` tells Prometheus. No prompt and no key ever becomes a label."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from vignette.engine.engine import State
from vignette.engine.observer import Observer, UNetCall

SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 40, 80, 160, 320)
STEP_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
SHAPE = ["model", "size"]


class Metrics(Observer):
    """A registry of its own, so that several apps in one process do not collide."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._ended = self._counter("predictions", "Predictions ended, by status.", "status")
        self._failed = self._counter("failures", "Predictions that did not succeed, by reason.", "code")
        self._refused = self._counter("refused", "Requests answered with 503, by reason.", "reason")
        self._predict = self._histogram("predict_seconds", "From the first stage to the end.", SECONDS)
        self._queue = self._histogram("queue_seconds", "From acceptance to the first stage.", SECONDS)
        self._batch = self._histogram("unet_batch_size", "Pictures per UNet call.", (1, 2, 4, 8, 16, 32))
        self._step = self._histogram("unet_seconds", "A UNet call, with the guidance.", STEP_SECONDS, *SHAPE)
        self._steps = self._counter("steps", "Denoising steps of pictures.", *SHAPE)
        self._padding = self._counter("padding", "Places in UNet calls that held no wanted picture.", *SHAPE)
        self._decode = self._histogram("decode_seconds", "A VAE decode of some pictures.", STEP_SECONDS)
        self._pictures = self._counter("pictures", "Pictures decoded.")
        self._load = self._histogram("model_load_seconds", "A model's loading and warming up.", SECONDS, "model")
        self._out_of_memory = self._counter("out_of_memory", "UNet calls that did not fit into memory.")
        self._flagged = self._counter("flagged", "Pictures that the safety stage flagged, by what was done.", "policy")
        self._webhooks = self._counter("webhooks", "Last callbacks, by outcome.", "outcome")

    def watch_state(self, state: Callable[[], State]) -> None:
        gauge = Gauge("vignette_state", "1 for the present state.", ["state"], registry=self.registry)
        for one in State:
            gauge.labels(one.value).set_function(partial(lambda one: float(state() is one), one))

    def watch_unfinished(self, count: Callable[[], float]) -> None:
        self._gauge("unfinished", "Predictions accepted and not ended.").set_function(count)

    def watch_waiting(self, count: Callable[[], float]) -> None:
        self._gauge("waiting", "Predictions accepted whose drawing has not begun.").set_function(count)

    def watch_undelivered(self, count: Callable[[], float]) -> None:
        self._gauge("webhooks_undelivered", "Last callbacks that were not taken yet.").set_function(count)

    def watch_memory(self, allocated: Callable[[], float], capacity: float) -> None:
        self._gauge("device_memory_bytes", "Memory of the device that tensors have.").set_function(allocated)
        self._gauge("device_memory_capacity_bytes", "Memory of the device.").set(capacity)

    def ended(self, status: str, code: str | None, predict_seconds: float, queue_seconds: float) -> None:
        self._ended.labels(status).inc()
        if code is not None:
            self._failed.labels(code).inc()
        self._predict.observe(predict_seconds)
        self._queue.observe(queue_seconds)

    def refused(self, reason: str) -> None:
        self._refused.labels(reason).inc()

    def flagged(self, policy: str, pictures: int) -> None:
        self._flagged.labels(policy).inc(pictures)

    def webhook(self, outcome: str) -> None:
        self._webhooks.labels(outcome).inc()

    def unet_called(self, call: UNetCall) -> None:
        shape = (call.model, f"{call.width}x{call.height}")
        self._batch.observe(call.pictures)
        self._step.labels(*shape).observe(call.seconds)
        self._steps.labels(*shape).inc(call.pictures)
        self._padding.labels(*shape).inc(call.padding)

    def decoded(self, pictures: int, seconds: float) -> None:
        self._decode.observe(seconds)
        self._pictures.inc(pictures)

    def model_loaded(self, model: str, seconds: float) -> None:
        self._load.labels(model).observe(seconds)

    def ran_out_of_memory(self) -> None:
        self._out_of_memory.inc()

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"vignette_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"vignette_{name}", text, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"vignette_{name}", text, labels, buckets=buckets, registry=self.registry)
