"""Where a step's time goes: UNet, and the engine around it, by batch size.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-tick.py [--model sd15]

`overhead` is everything of a tick that is not the UNet's call: planning, scheduler arithmetic, guidance, events. Medians
over the steps of `--rounds` drawings; the first step of each, which encodes the prompts, and the decoding are left out.
`peak_mebibytes` is the most memory in those steps: the device's allocations, or the process's own on a CPU.
"""

from __future__ import annotations

import statistics
from typing import Any

import torch

from runner_common import (
    CLOCKS,
    Drawer,
    arguments,
    chosen_model,
    peak_mebibytes,
    plot,
    request,
    reset_peak,
    save,
    synchronize,
)

BATCHES = (1, 2, 4, 8, 16)


@torch.inference_mode()
def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    model, now = chosen_model(options), CLOCKS[options.clock]
    inside: list[float] = []
    unet = model.unet.forward if model.compiled is None else model.compiled

    def timed(*args: Any, **rest: Any) -> Any:
        synchronize(model.device)
        began = now()
        result = unet(*args, **rest)
        synchronize(model.device)
        inside.append(now() - began)
        return result

    # Around compiled code, not inside it: a clock cannot be traced.
    if model.compiled is None:
        model.unet.forward = timed
    else:
        model.compiled = timed  # type: ignore[assignment]  # it is only called
    rows = []
    for batch in BATCHES:
        ticks: list[tuple[float, float]] = []
        reset_peak(model.device)
        for _ in range(options.rounds):
            engine = Drawer(model)
            for k in range(batch):
                engine.core.submit(request(model, k, options.steps))
            engine.core.tick()
            for _ in range((options.steps or model.spec.defaults.num_inference_steps) - 2):
                inside.clear()
                began = now()
                engine.core.tick()
                synchronize(model.device)
                ticks.append((now() - began, sum(inside)))
        whole = statistics.median(tick for tick, _ in ticks)
        around = statistics.median(tick - unet for tick, unet in ticks)
        rows.append(
            {
                "batch": batch,
                "tick_ms": round(whole * 1000, 3),
                "unet_ms": round((whole - around) * 1000, 3),
                "overhead_ms": round(around * 1000, 3),
                "overhead_share": round(around / whole, 4),
                "steps_per_second": round(batch / whole, 2),
                "peak_mebibytes": peak_mebibytes(model.device),
                "clock": options.clock,
                "what": "engine",
            }
        )
    plot(save("tick", rows, model), "batch", "steps_per_second", rows, "what")


if __name__ == "__main__":
    main()
