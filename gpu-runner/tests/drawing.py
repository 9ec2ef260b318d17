"""Draws requests with the engine's core, and the same pictures with diffusers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline

from vignette.engine.core import EngineCore
from vignette.engine.events import Event, Finished
from vignette.engine.loader import LoadedModel
from vignette.engine.memory import MemoryProfile
from vignette.engine.observer import Observer, UNetCall
from vignette.engine.pace import Pace
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


class Calls(Observer):
    """How many pictures each UNet call drew."""

    def __init__(self) -> None:
        self.pictures: list[int] = []

    def unet_called(self, call: UNetCall) -> None:
        self.pictures.append(call.pictures)


class Drawing:
    """
    A core with its events by request and the sizes of its UNet calls, and `told`, the kinds of all events in their order;
    `at[n]` runs before tick n.
    """

    def __init__(self, model: LoadedModel, memory: MemoryProfile | None = None, pace: Pace | None = None) -> None:
        self.events: dict[str, list[Event]] = {}
        self.told: list[tuple[str, type[Event]]] = []
        observer = Calls()
        self.calls = observer.pictures
        self.core = EngineCore({model.spec.id: model}, self._tell, memory, observer, pace=pace)

    def _tell(self, id: str, event: Event) -> None:
        self.events.setdefault(id, []).append(event)
        self.told.append((id, type(event)))

    def run(self, *requests: GenerationRequest, at: dict[int, Callable[[], None]] | None = None) -> Drawing:
        for r in requests:
            self.core.submit(r)
        later, tick = dict(at or {}), 0
        while later or not self.core.idle:
            later.pop(tick, lambda: None)()
            self.core.tick()
            tick += 1
        return self

    def pictures(self, id: str = "a") -> list[np.ndarray]:
        last = self.events[id][-1]
        assert isinstance(last, Finished), last
        return last.pictures


def draw(model: LoadedModel, *requests: GenerationRequest) -> Drawing:
    return Drawing(model).run(*requests)


def with_diffusers(folder: Path, r: GenerationRequest, **options: Any) -> list[np.ndarray]:
    """`options` are the pipeline's."""
    pipe = DiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = getattr(__import__("diffusers"), r.scheduler).from_config(pipe.scheduler.config)
    drawn = [
        pipe(
            r.prompt,
            negative_prompt=r.negative_prompt or None,
            width=r.width,
            height=r.height,
            num_inference_steps=r.num_inference_steps,
            guidance_scale=r.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(r.seed + k),
            output_type="np",
            **options,
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
