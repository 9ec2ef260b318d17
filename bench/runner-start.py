"""What a start costs until the first picture: as it is, compiled with nothing cached, and compiled again from the cache.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/runner-start.py [--model sd15] [--compile reduce-overhead]

Each start is a process of its own. `ready_seconds` is by the wall, from the first import to a model that is warm for every
size of call, as the server is before it says READY; the first picture comes after that. The compiled code lies in a folder
that only this run has (`TORCHINDUCTOR_CACHE_DIR`), where the server's lies below its state.
"""

from __future__ import annotations

import time

BEGAN = time.perf_counter()

import json  # noqa: E402  # the imports below are part of what is measured
import os  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402

from runner_common import Drawer, arguments, chosen_model, peak_mebibytes, plot, request, synchronize, write  # noqa: E402
from vignette.engine.warm_up import warm_up  # noqa: E402

STARTS = "VIGNETTE_BENCH_START"


@torch.inference_mode()
def start(options: Any) -> dict[str, Any]:
    """One start in this process."""
    model = chosen_model(options)
    if model.compiled is None:
        warm_up(model)
    synchronize(model.device)
    ready = time.perf_counter() - BEGAN
    seconds = Drawer(model).draw([request(model, 0, options.steps)])
    return {
        "ready_seconds": round(ready, 2),
        "first_picture_seconds": round(seconds, 2),
        "peak_mebibytes": peak_mebibytes(model.device),
        "device": model.device.type,
        "torch": torch.__version__,
        "dtype": str(model.dtype)[6:],
    }


def another(options: Any, compile: str, cache: Path) -> dict[str, Any]:
    """One start in a process of its own."""
    words = ["--model", options.model, "--device", options.device, "--compile", compile]
    for name in ("dtype", "steps"):
        if (value := getattr(options, name)) is not None:
            words += [f"--{name}", str(value)]
    asked = os.environ | {STARTS: "1", "TORCHINDUCTOR_CACHE_DIR": str(cache)}
    command = [sys.executable, __file__, *words]
    done = subprocess.run(command, env=asked, stdout=subprocess.PIPE, check=True)  # noqa: S603  # this file
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    options = arguments(__doc__ or "").parse_args()
    if STARTS in os.environ:
        print(json.dumps(start(options)))
        return
    mode = "default" if options.compile == "none" else options.compile
    with tempfile.TemporaryDirectory() as name:
        rows = [
            {"start": title, "compile": compile, **another(options, compile, Path(name)), "what": options.model}
            for title, compile in (("as it is", "none"), ("nothing cached", mode), ("from the cache", mode))
        ]
    plot(write(f"start-{options.model}-{rows[0]['device']}", rows), "start", "ready_seconds", rows, "what")


if __name__ == "__main__":
    main()
