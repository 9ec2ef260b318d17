"""Waiting times when requests come at random: the engine against a lock around diffusers' pipeline, at the same arrivals.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-arrivals.py [--model sd15] [--requests 40]

Arrivals are a Poisson process (open loop: nobody waits for an answer before asking again); `load` is the rate as a share
of what the lock can draw. Times are from arrival to the finished picture.

On a machine that does other work, `OMP_NUM_THREADS=1 … --clock processor` counts the processor time of this process and
skips the waiting in between: what both would take on one core of their own.
"""

from __future__ import annotations

import random
import time

import numpy as np
import torch
from runner_common import CLOCKS, Drawer, Pipeline, arguments, chosen_model, plot, request, save

LOADS = (0.5, 0.7, 0.9, 1.2)


def arrivals(count: int, rate: float) -> list[float]:
    source = random.Random(7)
    at, times = 0.0, []
    for _ in range(count):
        at += source.expovariate(rate)
        times.append(at)
    return times


class Clock:
    """Seconds since it was made, by the wall or by this process's own work; then waiting only moves the hand."""

    def __init__(self, kind: str) -> None:
        self._work = CLOCKS[kind]
        self._sleeps = kind == "wall"
        self._began = self._work()

    def now(self) -> float:
        return self._work() - self._began

    def wait_until(self, when: float) -> None:
        left = when - self.now()
        if left > 0 and self._sleeps:
            time.sleep(left)
        elif left > 0:
            self._began -= left


def engine_times(engine: Drawer, at: list[float], steps: int | None, clock: Clock) -> list[float]:
    engine.ended.clear()
    engine.clock = clock.now
    waiting = list(enumerate(at))
    while waiting or not engine.core.idle:
        if engine.core.idle:
            clock.wait_until(waiting[0][1])
        while waiting and waiting[0][1] <= clock.now():
            engine.core.submit(request(engine.model, waiting.pop(0)[0], steps))
        engine.core.tick()
    return [engine.ended[str(k)] - when for k, when in enumerate(at)]


def lock_times(pipeline: Pipeline, at: list[float], steps: int | None, clock: Clock) -> list[float]:
    times = []
    for k, when in enumerate(at):
        clock.wait_until(when)
        pipeline.draw([request(pipeline.model, k, steps)])
        times.append(clock.now() - when)
    return times


@torch.inference_mode()
def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--requests", type=int, default=40)
    options = parser.parse_args()
    model = chosen_model(options)
    engine, pipeline = Drawer(model), Pipeline(model)
    warm = [request(model, k, options.steps) for k in range(4)]
    for count in (1, 2, 4):
        engine.draw(warm[:count])
    pipeline.draw(warm[:1])
    clock = Clock(options.clock)
    pipeline.draw(warm)
    capacity = len(warm) / clock.now()
    rows = []
    for load in LOADS:
        at = arrivals(options.requests, load * capacity)
        for system, times in (
            ("engine", engine_times(engine, at, options.steps, Clock(options.clock))),
            ("lock around diffusers", lock_times(pipeline, at, options.steps, Clock(options.clock))),
        ):
            p50, p95, p99 = np.quantile(times, (0.5, 0.95, 0.99))
            rows.append(
                {
                    "system": system,
                    "load": load,
                    "requests_per_second": round(load * capacity, 3),
                    "p50_seconds": round(float(p50), 3),
                    "p95_seconds": round(float(p95), 3),
                    "p99_seconds": round(float(p99), 3),
                    "clock": options.clock,
                }
            )
    plot(save("arrivals", rows, model), "load", "p95_seconds", rows, "system")


if __name__ == "__main__":
    main()
