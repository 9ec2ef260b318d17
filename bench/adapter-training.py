"""What a training step and a drawing with an adapter cost, at a diffusion model's full size with random weights.

    PYTHONPATH=gpu-runner gpu-runner/.venv/bin/python bench/adapter-training.py [--model sd15] [--device cuda] [--size 256]

`npm run bench -- adapter-training` runs it for the miniature and for Stable Diffusion 1.5.

Six ways to treat the same number of samples take turns, `--rounds` times over; `times_unet` is the median of the ratios
within the rounds:
* `UNet alone`: forward and backward of the frozen UNet to its text states, nothing else.
* `vignette adapter train`: the trainer's own step with every cache filled, all four losses, optimiser and EMA included.
* the same without cached keyword predictions (`--match-draws 0`), which asks the UNet once more, without gradients.
* its first steps (`--align-steps`), which train alignment and distillation: all that reaches the adapter in the published
  script, from the caches alone.
* `published structure`: batches of 1, four accumulated; picture, VAE, text encoder and language model in every step, the
  token layout's adapter, and a denoising loss that does reach it. `…, detached` stops before the UNet's backward, as the
  published script does by mistake.
The last row draws one picture of `--steps` steps with an adapter and says which share of that the adapter took.
Prints one JSON line at the end: {"rows": […]}.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from adapter_training_data import data_folder, model_folder, teacher_folder
from runner_common import CLOCKS, Drawer, arguments, request, synchronize
from vignette.engine.catalogue import AdapterSpec, Defaults, ModelSpec
from vignette.engine.loader import load_model, pick_device
from vignette.sur import SURAdapter
from vignette.training import forward, objectives
from vignette.training.batches import Batches
from vignette.training.caches import Caches, square_pixels
from vignette.training.data import Example, decode, read_examples
from vignette.training.frozen import FrozenModel
from vignette.training.options import PUBLISHED, Options
from vignette.training.teacher import Teacher
from vignette.training.trainer import Trainer

ACCUMULATED = 4  # by the published script (run.sh)
UNET, OURS, UNCACHED, ALIGNING, PUBLISHED_LOOP, DETACHED = (
    "UNet alone",
    "vignette adapter train",
    "the same without cached keyword predictions",
    "its first steps, which need no UNet",
    "published structure",
    "published structure, detached",
)


class UNetAlone:
    """The frozen UNet forward and backward on what the trainer's steps see."""

    def __init__(self, frozen: FrozenModel, batches: Batches) -> None:
        self.frozen, self.batches = frozen, batches

    def prepare(self, step: int) -> Callable[[], None]:
        batch = self.batches.load([self.batches.draw(step, k) for k in range(self.batches.options.batch_size)], True)
        noise, timesteps = batch.noise, batch.timesteps
        if noise is None or timesteps is None:
            raise ValueError("none of these losses asks the UNet: there is no noise to predict")
        noisy = self.frozen.part("scheduler").add_noise(batch.latents, noise, timesteps)
        states = batch.source.states.requires_grad_()

        def run() -> None:
            predicted = self.frozen.predict(noisy, timesteps, states, batch.source.pooled)
            (predicted - noise).square().mean().backward()

        return run


class PublishedLoop:
    """One sample at a time, nothing kept from step to step; parts, language model and losses are the trainer's own."""

    def __init__(self, frozen: FrozenModel, teacher: Teacher, examples: list[Example], side: int) -> None:
        self.frozen, self.teacher, self.examples, self.side = frozen, teacher, examples, side
        shape = {name: PUBLISHED[name] for name in ("layout", "eta", "feedforward_size", "dropout")}
        self.adapter = SURAdapter(sum(frozen.widths), **shape).to(frozen.device).train()
        self.optimizer = torch.optim.AdamW(
            self.adapter.parameters(), lr=PUBLISHED["learning_rate"], weight_decay=PUBLISHED["weight_decay"]
        )
        self.done = 0

    def run(self, samples: int, detached: bool) -> None:
        for _ in range(samples):
            self._sample(self.examples[self.done % len(self.examples)], detached)
            self.done += 1
            if self.done % ACCUMULATED == 0:
                self.optimizer.step()
                self.optimizer.zero_grad()

    def _sample(self, example: Example, detached: bool) -> None:
        frozen = self.frozen
        scheduler = frozen.part("scheduler")
        latents = frozen.encode_pictures(square_pixels(decode(example), self.side)[None])
        noise = torch.randn_like(latents)
        at = torch.randint(scheduler.config.num_train_timesteps, (1,), device=frozen.device)
        source, target = frozen.encode([example.narrative]), frozen.encode([example.keywords])
        taught = torch.stack(self.teacher.read([example.narrative])).to(frozen.device)
        with torch.autocast(frozen.device.type, torch.bfloat16, enabled=frozen.dtype == torch.bfloat16):
            adapted = self.adapter(source.states, source.mask)
        heard = adapted.detach() if detached else adapted
        predicted = frozen.predict(scheduler.add_noise(latents, noise, at), at, heard, source.pooled)
        goal, weight = forward.denoising_goal(scheduler, latents, noise, at, 0)
        aligned = objectives.align("kl-published", adapted, target.states, frozen.widths, source.mask, target.mask)
        distilled = objectives.distil_published(adapted, taught)
        loss = objectives.denoising(predicted, goal, weight) + 1e-5 * (aligned + distilled)
        (loss.sum() / ACCUMULATED).backward()


def training_rows(frozen: FrozenModel, options: Options, rounds: int, now: Callable[[], float]) -> list[dict[str, Any]]:
    """Every way once a round; the first round, which warms up, does not count."""
    examples = read_examples(options.data)
    teacher = Teacher(str(options.teacher), options.teacher_layer, options.teacher_tokens, frozen.device)
    caches = Caches(options.output / "cache", frozen, options.resolution, options.draws(len(examples)), options.seed)
    caches.fill_teacher(teacher, [e.narrative for e in examples])
    caches.fill_prompts([text for e in examples for text in (e.narrative, e.keywords)])
    caches.fill_latents(examples)
    caches.fill_predictions(examples)

    def trainer(options: Options) -> Trainer:
        adapter = SURAdapter(
            sum(frozen.widths), max_length=frozen.max_length, mask_padding=False, teacher_dim=teacher.width
        )
        return Trainer(
            options,
            frozen,
            adapter,
            Batches(examples, caches, options),
            Accelerator(cpu=frozen.device.type == "cpu"),
            {},
        )

    cached, uncached = trainer(options), trainer(replace(options, match_draws=0))
    aligning = trainer(replace(options, align_steps=rounds + 1))
    alone = UNetAlone(frozen, cached.batches)
    loop = PublishedLoop(frozen, teacher, examples, options.resolution)
    taken: dict[str, list[float]] = {}
    for step in range(rounds + 1):
        ways: dict[str, Callable[[], Any]] = {
            UNET: alone.prepare(step),
            OURS: partial(cached.step, step),
            UNCACHED: partial(uncached.step, step),
            ALIGNING: partial(aligning.step, step),
            PUBLISHED_LOOP: partial(loop.run, options.batch_size, False),
            DETACHED: partial(loop.run, options.batch_size, True),
        }
        for name, way in ways.items():
            synchronize(frozen.device)
            began = now()
            way()
            synchronize(frozen.device)
            if step:
                taken.setdefault(name, []).append(now() - began)
    cached.adapter.save_pretrained(options.output / "adapter")
    return [
        {
            "way": name,
            "samples_per_second": round(options.batch_size / statistics.median(times), 3),
            "times_unet": _ratio(times, taken[UNET]),
            "published_times": _ratio(taken[PUBLISHED_LOOP], times),
            "detached_times": _ratio(taken[DETACHED], times),
        }
        for name, times in taken.items()
    ]


def _ratio(times: list[float], others: list[float]) -> float:
    return round(statistics.median(a / b for a, b in zip(times, others, strict=True)), 3)


@torch.inference_mode()
def drawing(
    folder: Path, adapter: Path, device: torch.device, side: int, steps: int, now: Callable[[], float]
) -> dict[str, Any]:
    """One picture with an adapter, and what of its time was spent in the adapter."""
    defaults = Defaults(width=side, height=side, num_inference_steps=steps)
    spec = ModelSpec(id="bench", path=folder, defaults=defaults, adapters=(AdapterSpec(id="sur", path=adapter),))
    model = load_model(spec, device)
    inside: list[float] = []
    called = model.adapters["sur"].forward

    def timed(*args: Any, **rest: Any) -> Any:
        synchronize(device)
        began = now()
        result = called(*args, **rest)
        synchronize(device)
        inside.append(now() - began)
        return result

    model.adapters["sur"].forward = timed  # type: ignore[method-assign]
    Drawer(model).draw([request(model, 1, 2, adapter="sur")])
    inside.clear()
    whole = Drawer(model, now).draw([request(model, 0, adapter="sur")])
    share = round(sum(inside) / whole, 6)
    return {
        "steps": steps,
        "seconds": round(whole, 3),
        "adapter_ms": round(sum(inside) * 1000, 2),
        "adapter_share": share,
    }


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--size", type=int, default=None, help="side of the pictures in pixels (the model's own)")
    parser.add_argument("--batch", type=int, default=None, help="samples in a training step (16)")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    device, now = pick_device(options.device), CLOCKS[options.clock]
    if device.type == "cpu" and options.model != "miniature":  # minutes instead of an hour
        options.size, options.batch = options.size or 256, options.batch or 2
    batch = options.batch or 16
    dtype = options.dtype or ("bfloat16" if device.type == "cuda" else "float32")
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = model_folder(options.model, scratch / "model")
        frozen = FrozenModel(folder, device, getattr(torch, dtype))
        side = options.size or frozen.resolution
        asked = Options(
            model=folder,
            data=data_folder(scratch / "data", max(4, batch), side),
            output=scratch,
            resolution=side,
            batch_size=batch,
            micro_batch_size=batch,
            match_draws=1,
            teacher=str(teacher_folder(scratch / "teacher")),
        )
        rows = training_rows(frozen, asked, options.rounds, now)
        del frozen
        drawn = drawing(folder, scratch / "adapter", device, side, options.steps or 20, now)
    about = {"model": options.model, "device": device.type, "dtype": dtype, "pixels": side, "batch": batch}
    marks = {"rounds": options.rounds, "clock": options.clock, "threads": torch.get_num_threads()}
    print(json.dumps({**about, **marks, "torch": torch.__version__, "rows": rows, "drawing": drawn}))


if __name__ == "__main__":
    main()
