"""Pictures per second: the engine with 1 to 16 concurrent requests against diffusers behind a lock, eager and compiled.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-throughput.py [--model sd15] [--not-compiled]

The systems take turns, `--rounds` times over, and the best round of each counts: other work on the machine slows both.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from runner_common import CLOCKS, Drawer, Pipeline, arguments, chosen_model, plot, request, save

CONCURRENT = (1, 2, 4, 8, 16)


@torch.inference_mode()
def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--not-compiled", action="store_true", help="leave out diffusers with torch.compile over the UNet"
    )
    options = parser.parse_args()
    model, clock = chosen_model(options), CLOCKS[options.clock]
    engine = Drawer(model, clock)
    sequential = {"diffusers": Pipeline(model, clock=clock)}
    if not options.not_compiled:
        sequential["diffusers compiled"] = Pipeline(model, compiled=True, clock=clock)

    def requests(count: int) -> list:
        return [request(model, k, options.steps) for k in range(count)]

    for system in sequential.values():
        system.draw(requests(1))
    best: dict[tuple[str, int], float] = {}

    def note(name: str, concurrent: int, draw: Callable[[list], float], pictures: int) -> None:
        key = (name, concurrent)
        best[key] = min(draw(requests(pictures)) / pictures, best.get(key, math.inf))

    for n in CONCURRENT:
        engine.draw(requests(n))
    for _ in range(options.rounds):
        for name, system in sequential.items():
            note(name, 1, system.draw, 4)
        for n in CONCURRENT:
            note("engine", n, engine.draw, n)
    eager, compiled = (best.get((name, 1)) for name in ("diffusers", "diffusers compiled"))
    # Behind a lock as many pictures a second are drawn whatever waits.
    for name in sequential:
        for n in CONCURRENT[1:]:
            best[name, n] = best[name, 1]
    rows = [
        {
            "system": name,
            "concurrent": n,
            "images_per_second": round(1 / seconds, 3),
            "times_diffusers": round(eager / seconds, 2) if eager else "",
            "times_compiled": round(compiled / seconds, 2) if compiled else "",
            "seconds": round(seconds, 3),
            "clock": options.clock,
        }
        for (name, n), seconds in sorted(best.items())
    ]
    plot(save("throughput", rows, model), "concurrent", "images_per_second", rows, "system")


if __name__ == "__main__":
    main()
