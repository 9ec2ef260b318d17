"""An accepted request on the device's side, and which others its pictures can share a UNet call with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from vignette.engine.events import Progress
from vignette.engine.lora import Loras
from vignette.engine.request import GenerationRequest
from vignette.engine.stages import Row


class BatchKey(NamedTuple):
    """
    Only rows that agree in all of these can share a UNet call. Sizes in pixels; `chunks` are of the text encoder's length,
    `shallow` is a step that takes most of the UNet's work from an earlier one.
    """

    model: str
    height: int
    width: int
    guided: bool
    chunks: int
    loras: Loras
    deterministic: bool
    shallow: bool


@dataclass(eq=False)
class Work:
    """One accepted request; its rows move from key to key as they go. `started` is whether it has been told so."""

    request: GenerationRequest
    prompt_chunks: int = 1
    rows: list[Row] = field(default_factory=list)
    pictures: dict[int, np.ndarray] = field(default_factory=dict)
    calls: int = 0
    rows_in_calls: int = 0
    last_step: int = 0
    started: bool = False

    @property
    def key(self) -> BatchKey:
        """Of its first step."""
        request = self.request
        return BatchKey(
            model=request.model,
            height=request.height,
            width=request.width,
            guided=request.uses_cfg,
            chunks=self.prompt_chunks,
            loras=request.loras,
            deterministic=request.deterministic,
            shallow=False,
        )

    def key_of(self, row: Row) -> BatchKey:
        """Of the step that `row` has before it."""
        return self.key._replace(guided=row.guided, shallow=row.shallow)

    @property
    def keys(self) -> list[BatchKey]:
        """All that its rows can stand under."""
        return [self.key._replace(guided=g, shallow=s) for g in (True, False) for s in (True, False)]

    def progress(self) -> Progress:
        steps = self.request.num_inference_steps
        done = sum(row.position / len(row.timesteps) for row in self.rows) / len(self.rows)
        return Progress(int(done * steps + 1e-6), steps)
