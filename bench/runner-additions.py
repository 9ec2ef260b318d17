"""What additions cost: loading and memory, the adapter, a LoRA, and two LoRAs whose requests take turns at every step.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-additions.py [--model sd15]

Seconds for 4 concurrent requests, the best of `--rounds`; the LoRAs have random weights of rank 8 in every attention.
"""

from __future__ import annotations

import time

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
from vignette.engine.loader import LoadedModel
from vignette.engine.lora import Lora, LowRank

RANK = 8


def random_lora(model: LoadedModel) -> Lora:
    lora: Lora = {}
    for name, module in model.unet.named_modules():
        if name.endswith(("to_q", "to_k", "to_v", "to_out.0")):
            out, into = module.weight.shape
            up, down = (torch.randn(shape, device=model.device) / 100 for shape in ((out, RANK), (RANK, into)))
            lora["unet", name] = LowRank(up, down, 1.0)
    return lora


@torch.inference_mode()
def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.compile != "none":
        parser.error("--compile joins the projections that the LoRAs of this bench change; leave it out.")
    began = time.perf_counter()
    model = chosen_model(options)
    synchronize(model.device)
    load = time.perf_counter() - began
    engine = Drawer(model, CLOCKS[options.clock])
    first = engine.draw([request(model, 0, 2)])
    model.loras.loras |= {"one": random_lora(model), "two": random_lora(model)}
    adapter = next(iter(model.adapters), None)
    cases: dict[str, list[dict]] = {
        "plain": [{}] * 4,
        "one LoRA": [{"loras": (("one", 1.0),)}] * 4,
        "two LoRAs in turns": [{"loras": ((id, 1.0),)} for id in ("one", "two", "one", "two")],
        "two keys in turns": [{"width": model.spec.defaults.width - 8 * (k % 2)} for k in range(4)],
    }
    if adapter is not None:
        cases["adapter"] = [{"adapter": adapter}] * 4
    best = dict.fromkeys(cases, float("inf"))
    peaks = dict.fromkeys(cases, 0)
    for _ in range(options.rounds):
        for name, changes in cases.items():
            model.text_cache.clear()
            reset_peak(model.device)
            seconds = engine.draw([request(model, k, options.steps, **change) for k, change in enumerate(changes)])
            best[name] = min(best[name], seconds)
            peaks[name] = max(peaks[name], peak_mebibytes(model.device))
    rows = [
        {
            "case": name,
            "seconds": round(seconds, 3),
            "times_plain": round(seconds / best["plain"], 3),
            "load_seconds": round(load, 2),
            "first_two_steps_seconds": round(first, 2),
            "peak_mebibytes": peaks[name],
            "clock": options.clock,
            "what": "4 requests",
        }
        for name, seconds in best.items()
    ]
    plot(save("additions", rows, model), "case", "seconds", rows, "what")


if __name__ == "__main__":
    main()
