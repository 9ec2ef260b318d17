"""Waiting times when requests come at random: the engine against a lock around diffusers' pipeline, eager and compiled.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-arrivals.py [--model sd15] [--loads 0.7]

Arrivals are a Poisson process (open loop: nobody waits for an answer before asking again), the same for all systems;
`load` is the rate as a share of what the lock around the eager pipeline drew just before, by twelve pictures, and `load_met`
as a share of what it drew during the run. Times are from arrival to the finished picture. With `n` requests p95 is the time
of the `n / 20` slowest: a hundred are not many.

On a machine that does other work, `OMP_NUM_THREADS=1 … --clock processor` counts the processor time of this process,
skips the waiting in between, and lets the systems work in turns, each on a clock of its own: what each would take on
one core of their own, under the same disturbance.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from runner_common import CLOCKS, Drawer, Pipeline, arguments, chosen_model, plot, request, save

LOADS = (0.5, 0.7, 0.9, 1.2)
CALIBRATION = 12
LOCK = "lock around diffusers"


def arrivals(count: int, rate: float) -> list[float]:
    source = random.Random(7)
    at, times = 0.0, []
    for _ in range(count):
        at += source.expovariate(rate)
        times.append(at)
    return times


class Clock:
    """Seconds by the wall, or of one system's work alone while it has its turn; then waiting only moves the hand."""

    def __init__(self, kind: str) -> None:
        self._read = CLOCKS[kind]
        self._sleeps = kind == "wall"
        self._began = self._paused = self._read()

    def now(self) -> float:
        return self._read() - self._began

    def pause(self) -> None:
        self._paused = self._read()

    def go_on(self) -> None:
        self._began += self._read() - self._paused

    def wait_until(self, when: float) -> None:
        left = when - self.now()
        if left > 0 and self._sleeps:
            time.sleep(left)
        elif left > 0:
            self._began -= left


class Run:
    """One system and the same arrivals; `times` are from arrival to picture, in the order of the ends."""

    def __init__(self, at: list[float], steps: int | None, kind: str) -> None:
        self.at = at
        self.steps = steps
        self.clock = Clock(kind)
        self.times: list[float] = []
        self.busy = 0.0

    @property
    def share(self) -> float:
        return len(self.times) / len(self.at)


def engine_run(engine: Drawer, run: Run) -> Iterator[None]:
    """A tick at a time."""
    engine.ended.clear()
    engine.clock = run.clock.now
    waiting = list(enumerate(run.at))
    while waiting or not engine.core.idle:
        if engine.core.idle:
            run.clock.wait_until(waiting[0][1])
        while waiting and waiting[0][1] <= run.clock.now():
            engine.core.submit(request(engine.model, waiting.pop(0)[0], run.steps))
        engine.core.tick()
        run.times = [end - run.at[int(id)] for id, end in engine.ended.items()]
        yield


def lock_run(pipeline: Pipeline, run: Run) -> Iterator[None]:
    """A picture at a time."""
    for k, when in enumerate(run.at):
        run.clock.wait_until(when)
        run.busy += pipeline.draw([request(pipeline.model, k, run.steps)])
        run.times.append(run.clock.now() - when)
        yield


def work(runs: Sequence[tuple[Run, Iterator[None]]], in_turns: bool) -> None:
    """All of them to their ends, one after the other, or always the one that is behind."""
    left = list(runs)
    while left:
        run, steps = min(left, key=lambda pair: pair[0].share) if in_turns else left[0]
        run.clock.go_on()
        if next(steps, "end") == "end":
            left.remove((run, steps))
        run.clock.pause()


@torch.inference_mode()
def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--requests", type=int, default=150)
    parser.add_argument("--loads", type=float, nargs="+", default=LOADS)
    parser.add_argument("--not-compiled", action="store_true", help="leave out the lock around the compiled pipeline")
    options = parser.parse_args()
    model, clock = chosen_model(options), CLOCKS[options.clock]
    engine, pipeline = Drawer(model), Pipeline(model, clock=clock)
    locks = {LOCK: pipeline}
    if not options.not_compiled:
        locks[f"{LOCK}, compiled"] = Pipeline(model, compiled=True, clock=clock)
    warm = [request(model, k, options.steps) for k in range(4)]
    for count in (1, 2, 4):
        engine.draw(warm[:count])
    for lock in locks.values():
        lock.draw(warm[:1])
    rows = []
    for load in options.loads:
        capacity = CALIBRATION / pipeline.draw([request(model, k, options.steps) for k in range(CALIBRATION)])
        at = arrivals(options.requests, load * capacity)
        runs = {name: Run(at, options.steps, options.clock) for name in ("engine", *locks)}
        steps = [engine_run(engine, runs["engine"]), *(lock_run(lock, runs[name]) for name, lock in locks.items())]
        work(list(zip(runs.values(), steps, strict=True)), options.clock == "processor")
        for system, run in runs.items():
            p50, p95, p99 = np.quantile(run.times, (0.5, 0.95, 0.99))
            rows.append(
                {
                    "system": system,
                    "load": load,
                    "load_met": round(load * capacity * runs[LOCK].busy / len(at), 3),
                    "requests": len(at),
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
