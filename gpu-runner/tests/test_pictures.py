"""The engine draws what diffusers draws, alone and in company."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from vignette.engine import schedulers
from vignette.engine.catalogue import ModelSpec
from vignette.engine.core import EngineCore
from vignette.engine.events import Event, Finished
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.request import GenerationRequest


def request(id: str = "a", **changes: object) -> GenerationRequest:
    fields: dict = {
        "id": id,
        "model": "tiny",
        "prompt": "two purple cats fell asleep on the beach",
        "negative_prompt": "",
        "adapter": None,
        "adapter_scale": 1.0,
        "width": 32,
        "height": 32,
        "num_inference_steps": 5,
        "guidance_scale": 4.0,
        "scheduler": "DDIMScheduler",
        "seed": 3,
        "num_images": 1,
        "output_format": "png",
    }
    return GenerationRequest(**(fields | changes))


def draw(model: LoadedModel, *requests: GenerationRequest) -> tuple[dict[str, list[Event]], list[int]]:
    """Every event by request, and the sizes of the UNet calls."""
    events: dict[str, list[Event]] = {r.id: [] for r in requests}
    calls: list[int] = []
    core = EngineCore({model.spec.id: model}, lambda id, event: events[id].append(event))
    core.on_call = calls.append
    for r in requests:
        core.submit(r)
    while not core.idle:
        core.tick()
    return events, calls


def pictures(events: list[Event]) -> list[np.ndarray]:
    assert isinstance(events[-1], Finished), events[-1]
    return events[-1].pictures


def with_diffusers(folder: Path, r: GenerationRequest) -> list[np.ndarray]:
    pipe = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = getattr(__import__("diffusers"), r.scheduler).from_config(pipe.scheduler.config)
    drawn = [
        pipe(
            r.prompt,
            negative_prompt=r.negative_prompt,
            width=r.width,
            height=r.height,
            num_inference_steps=r.num_inference_steps,
            guidance_scale=r.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(r.seed + k),
            output_type="np",
        ).images[0]
        for k in range(r.num_images)
    ]
    return [(image * 255).round().astype(np.uint8) for image in drawn]


def assert_same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    """Equal up to float32 rounding, which can move an 8-bit value by one."""
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.shape == b.shape
        assert a.std() > 1  # a flat picture would prove nothing
        difference = np.abs(a.astype(int) - b.astype(int))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01


@pytest.mark.parametrize(
    "scheduler",
    [
        "DDIMScheduler",
        "DDPMScheduler",
        "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "UniPCMultistepScheduler",
    ],
)
def test_draws_what_diffusers_draws(model: LoadedModel, model_folder: Path, scheduler: str) -> None:
    r = request(scheduler=scheduler, negative_prompt="rain", num_images=2)
    events, _ = draw(model, r)
    assert_same(pictures(events["a"]), with_diffusers(model_folder, r))


@pytest.mark.parametrize("scheduler", schedulers.NAMES)
def test_draws_what_diffusers_draws_with_sd15_schedules(sd15_folder: Path, scheduler: str) -> None:
    model = load_model(ModelSpec(id="tiny", path=sd15_folder), torch.device("cpu"))
    r = request(scheduler=scheduler, guidance_scale=7.5)
    events, _ = draw(model, r)
    assert_same(pictures(events["a"]), with_diffusers(sd15_folder, r))
