"""What the runner's benches share: arguments, requests, both ways to draw, and results as CSV and SVG."""

from __future__ import annotations

import argparse
import copy
import csv
import resource
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from runner_models import CHOICES, bench_model, diffusers_pipeline
from vignette.engine.catalogue import SpeedSpec
from vignette.engine.core import EngineCore
from vignette.engine.events import Event, Failed, Finished
from vignette.engine.loader import LoadedModel, pick_device
from vignette.engine.pace import Pace
from vignette.engine.request import GenerationRequest
from vignette.engine.warm_up import warm_up

RESETS = Path("/proc/self/clear_refs")
RESULTS = Path(__file__).resolve().parent / "results"
PROMPTS = (
    "two purple cats fell asleep on the beach",
    "a green frog in the snow",
    "three red birds fly over the meadow",
    "the night my dog jumped",
)


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", choices=CHOICES, default="miniature")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default=None, help="bfloat16 on CUDA")
    parser.add_argument("--steps", type=int, default=None)
    parser.add_argument(
        "--compile",
        choices=("none", "default", "reduce-overhead", "max-autotune"),
        default="none",
        help="the engine's UNet compiled in this mode for every size of call, with fuse_qkv",
    )
    parser.add_argument(
        "--clock",
        choices=("wall", "processor"),
        default="wall",
        help="processor: this process's own work, for a machine that does other work too (with OMP_NUM_THREADS=1)",
    )
    return parser


def chosen_model(options: argparse.Namespace) -> LoadedModel:
    """A compiled one is warm: nothing is compiled while it is measured."""
    device = pick_device(options.device)
    dtype = options.dtype or ("bfloat16" if device.type == "cuda" else "float32")
    speed = SpeedSpec(compile=options.compile, fuse_qkv=options.compile != "none")
    model = bench_model(options.model, device, getattr(torch, dtype), speed)
    if model.compiled is not None:
        warm_up(model)
    return model


def request(model: LoadedModel, number: int, steps: int | None = None, **changes: Any) -> GenerationRequest:
    """The model's defaults with one of PROMPTS; no adapter unless asked for."""
    defaults = model.spec.defaults
    fields: dict[str, Any] = {
        "id": str(number),
        "model": model.spec.id,
        "prompt": PROMPTS[number % len(PROMPTS)],
        "negative_prompt": "",
        "adapter": None,
        "adapter_scale": 1.0,
        "width": defaults.width,
        "height": defaults.height,
        "num_inference_steps": steps or defaults.num_inference_steps,
        "guidance_scale": defaults.guidance_scale,
        "scheduler": defaults.scheduler,
        "seed": number,
        "num_images": 1,
        "output_format": "png",
    }
    return GenerationRequest(**(fields | changes))


CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


class Drawer:
    """The engine's core without a thread; `ended` holds when each request was done, on `clock`."""

    def __init__(self, model: LoadedModel, clock: Callable[[], float] = time.perf_counter) -> None:
        self.model = model
        self.ended: dict[str, float] = {}
        self.clock = clock
        self.core = EngineCore({model.spec.id: model}, self._event, pace=Pace())

    def _event(self, id: str, event: Event) -> None:
        if isinstance(event, Failed):
            raise RuntimeError(event.message)
        if isinstance(event, Finished):
            self.ended[id] = self.clock()

    def draw(self, requests: Sequence[GenerationRequest]) -> float:
        """Seconds for all of them, submitted at once."""
        began = self.clock()
        for r in requests:
            self.core.submit(r)
        while not self.core.idle:
            self.core.tick()
        synchronize(self.model.device)
        return self.clock() - began


class Pipeline:
    """diffusers' pipeline, one picture after the other, as behind a lock: the UNet as diffusers loads it, or `compiled`."""

    def __init__(
        self, model: LoadedModel, compiled: bool = False, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self.model = model
        self._clock = clock
        self.pipeline = diffusers_pipeline(model)
        if compiled:
            self.pipeline.unet = torch.compile(model.unet)
            return
        unet = copy.deepcopy(model.unet).to(memory_format=torch.contiguous_format)
        if getattr(unet, "original_attn_processors", None):  # --compile joined the engine's projections
            unet.unfuse_qkv_projections()
        self.pipeline.unet = unet

    def draw(self, requests: Sequence[GenerationRequest]) -> float:
        began = self._clock()
        for r in requests:
            self.pipeline(
                r.prompt,
                width=r.width,
                height=r.height,
                num_inference_steps=r.num_inference_steps,
                guidance_scale=r.guidance_scale,
                generator=torch.Generator("cpu").manual_seed(r.seed),
                output_type="np",
            )
        synchronize(self.model.device)
        return self._clock() - began


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def reset_peak(device: torch.device) -> None:
    """`peak_mebibytes` counts from here: the device's allocations, or on a CPU the process's resident memory."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif RESETS.exists():
        RESETS.write_text("5")  # https://docs.kernel.org/filesystems/proc.html, clear_refs


def peak_mebibytes(device: torch.device) -> int:
    if device.type == "cuda":
        return round(torch.cuda.max_memory_allocated(device) / 2**20)
    if not RESETS.exists():
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)  # macOS counts bytes
    lines = RESETS.with_name("status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10)


def save(name: str, rows: Sequence[dict[str, Any]], model: LoadedModel) -> Path:
    """Writes `results/runner-<name>-<model>-<device>.csv`, prints it, and returns the path."""
    marks = {"torch": torch.__version__, "dtype": str(model.dtype)[6:]}
    return write(f"{name}-{model.spec.id}-{model.device.type}", [row | marks for row in rows])


def write(name: str, rows: Sequence[dict[str, Any]]) -> Path:
    """The same where no model is concerned."""
    file, date = RESULTS / f"runner-{name}.csv", time.strftime("%Y-%m-%d", time.gmtime())
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, [*rows[0], "date"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {"date": date} for row in rows)
    print(file.read_text(encoding="utf-8"), end="")
    return file


def plot(file: Path, x: str, y: str, rows: Sequence[dict[str, Any]], series: str) -> None:
    """A line of `y` over `x` for each value of `series`, as SVG beside the CSV."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "vignette"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.6))
    for value in dict.fromkeys(row[series] for row in rows):
        points = [(row[x], row[y]) for row in rows if row[series] == value]
        axes.plot(*zip(*points, strict=True), marker="o", label=str(value))
    axes.set(xlabel=x.replace("_", " "), ylabel=y.replace("_", " "), title=file.stem)
    axes.set_ylim(bottom=0)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file.with_suffix(".svg"), metadata={"Date": None})
