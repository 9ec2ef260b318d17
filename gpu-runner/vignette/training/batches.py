"""What each step trains on, drawn from the seed, the step and the place in the batch alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch

from vignette.training.caches import Caches, noise_like
from vignette.training.data import Example
from vignette.training.frozen import EncodedPrompts
from vignette.training.options import Options

EMPTY = ""


@dataclass(frozen=True)
class Draw:
    """One sample of one step: the texts on both sides, where on the schedule, and which noise."""

    example: Example
    narrative: str
    keywords: str
    timestep: int
    noise_seed: int
    cached: int | None


@dataclass
class Batch:
    """
    Some samples on the device. `latents`, `noise`: `[b, C, h, w]`; `timesteps`: `[b]`; `wanted`: cached predictions
    under the keyword prompt or `None`; `captioned`: `[b]`, 0 where the caption was dropped; `teacher`: `[b, T]` or
    `[b, Lt, T]` with `teacher_mask`. Latents, noise and timesteps are `None` when no loss asks the UNet.
    """

    names: list[str]
    source: EncodedPrompts
    target: EncodedPrompts
    captioned: torch.Tensor
    latents: torch.Tensor | None = None
    noise: torch.Tensor | None = None
    timesteps: torch.Tensor | None = None
    wanted: torch.Tensor | None = None
    teacher: torch.Tensor | None = None
    teacher_mask: torch.Tensor | None = None


class Batches:
    """Draws and loads samples; the same on one process and on many, at the first run and after a resume."""

    def __init__(self, examples: Sequence[Example], caches: Caches, options: Options) -> None:
        self.examples, self.caches, self.options = examples, caches, options
        self.timesteps = caches.frozen.part("scheduler").config.num_train_timesteps

    def draw(self, step: int, place: int) -> Draw:
        """The sample at `place` of the batch of `step`. Every example comes once before any comes twice."""
        options = self.options
        epoch, position = divmod(step * options.batch_size + place, len(self.examples))
        example = self.examples[_order(options.seed, epoch, len(self.examples))[position]]
        rng = np.random.default_rng((options.seed, step, place))
        lot, spot = rng.random(2)
        narrative, keywords = example.narrative, example.keywords
        if lot < options.caption_drop:
            narrative = keywords = EMPTY
        elif lot < options.caption_drop + options.keyword_share:
            narrative = keywords
        if options.match_draws and options.match_weight:
            cached = int(rng.integers(options.match_draws))
            timestep, noise_seed = self.caches.spot(example, cached)
            return Draw(example, narrative, keywords, timestep, noise_seed, cached)
        # One timestep per equal slice of the schedule calms the loss of a batch.
        timestep = min(int((place + spot) / options.batch_size * self.timesteps), self.timesteps - 1)
        return Draw(example, narrative, keywords, timestep, int(rng.integers(2**62)), None)

    def load(self, draws: Sequence[Draw], with_unet: bool) -> Batch:
        """Reads the caches for some draws and puts them on the device."""
        device = self.caches.frozen.device
        source = self.caches.prompts([d.narrative for d in draws])
        target = self.caches.prompts([d.keywords for d in draws])
        captioned = torch.tensor([float(d.keywords != EMPTY) for d in draws], device=device)
        batch = Batch([d.example.name for d in draws], _to(source, device), _to(target, device), captioned)
        if self.options.teacher and self.options.distil_weight:
            teacher, mask = self.caches.teacher([d.example.narrative for d in draws])
            batch.teacher, batch.teacher_mask = teacher.to(device), mask.to(device)
        if not with_unet:
            return batch
        latents = self.caches.latents([d.example for d in draws])
        batch.latents = latents.to(device)
        batch.noise = torch.stack([noise_like(latents[0], d.noise_seed) for d in draws]).to(device)
        batch.timesteps = torch.tensor([d.timestep for d in draws], device=device)
        if draws[0].cached is not None:
            known = [self.caches.prediction(d.example, d.cached or 0) for d in draws]
            batch.wanted = torch.stack(known).to(device)
        return batch


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, count: int) -> np.ndarray:
    return np.random.default_rng((seed, epoch)).permutation(count)


def _to(prompts: EncodedPrompts, device: torch.device) -> EncodedPrompts:
    pooled = None if prompts.pooled is None else prompts.pooled.to(device)
    return EncodedPrompts(prompts.states.to(device), prompts.mask.to(device), pooled)
