"""
The stages of drawing, as vLLM-Omni names them for step batching (docs/design/feature/
diffusion_continuous_batching.md): prepare, denoise one step, step the scheduler; the
fourth, decode, is in `decoding.py`.

A row is one picture on its way. It owns its scheduler, its generator and its latents, so rows of different requests
can share a UNet call and still be drawn as if alone.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers.utils.torch_utils import randn_tensor

from vignette.engine import schedulers
from vignette.engine.deep_cache import tapped
from vignette.engine.loader import LoadedModel
from vignette.engine.preview import LinearDecoder, predicted_clean
from vignette.engine.request import GenerationRequest
from vignette.engine.speed import call_last_layer, call_unet
from vignette.engine.text import EncodedText, adapt, chunk_count, encode_texts, padded
from vignette.engine.transfers import HostNoise, to_device


@dataclass(eq=False)
class Row:
    """
    One picture between noise and pixels.

    `latents` is `[1, C, H/f, W/f]` in float32, `cond` and `uncond` are `[L, D]` in the model's dtype, `pooled` and
    `uncond_pooled` are SDXL's `[P]`; `position` counts the timesteps done. `features`, `[1 or 2, F, h, w]`, are what the
    UNet's deep layers said at the last whole step, without guidance first, where later steps take it from there.
    """

    request: GenerationRequest
    index: int
    cond: torch.Tensor
    uncond: torch.Tensor | None
    scheduler: Any
    timesteps: list[torch.Tensor]
    latents: torch.Tensor
    step_arguments: dict[str, Any]
    pooled: torch.Tensor | None = None
    uncond_pooled: torch.Tensor | None = None
    position: int = 0
    features: torch.Tensor | None = None

    @property
    def done(self) -> bool:
        return self.position == len(self.timesteps)

    @property
    def guided(self) -> bool:
        return self.uncond is not None

    @property
    def shallow(self) -> bool:
        """Whether the step before it takes the deep layers' work from an earlier one."""
        return self.features is not None and self.position % self.request.cache_interval != 0

    @property
    def guidance_is_over(self) -> bool:
        """After the same step as with diffusers' SDCFGCutoffCallback."""
        return self.guided and self.position > int(len(self.timesteps) * self.request.guidance_until)

    def drop_guidance(self) -> None:
        """From now on the prompt's prediction alone counts, at half the work."""
        self.uncond = self.uncond_pooled = None
        self.features = None if self.features is None else self.features[1:].clone()


@dataclass
class Conditioning:
    """What a UNet call needs beside latents and timesteps, for rows in this order; reused while the order lasts."""

    rows: tuple[Row, ...] = ()
    states: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    guidance: torch.Tensor = field(default_factory=lambda: torch.empty(0))

    added: dict[str, torch.Tensor] | None = None
    padding: int = 0
    guided: bool = False

    @classmethod
    def of(cls, rows: tuple[Row, ...], size: int) -> Conditioning:
        """For a call of `size`: the last row is repeated until it is full, and what comes out for that is dropped."""
        padding = size - len(rows)
        drawn, rows = rows, rows + rows[-1:] * padding
        guided = rows[0].guided
        states = [row.uncond for row in rows if row.uncond is not None] + [row.cond for row in rows]
        pooled = [row.uncond_pooled for row in rows if guided] + [row.pooled for row in rows]
        scales = torch.tensor([row.request.guidance_scale for row in drawn], dtype=torch.float32)
        return cls(
            drawn,
            torch.stack(states),
            to_device(scales.view(-1, 1, 1, 1), rows[0].latents.device),
            _added([vector for vector in pooled if vector is not None], rows[0].request),
            padding,
            guided,
        )


def _added(pooled: list[torch.Tensor], request: GenerationRequest) -> dict[str, torch.Tensor] | None:
    """SDXL's micro-conditioning (https://arxiv.org/abs/2307.01952): original size, crop offset, target size."""
    if not pooled:
        return None
    sizes = [request.height, request.width, 0, 0, request.height, request.width]
    ids = to_device(torch.tensor(sizes, dtype=pooled[0].dtype), pooled[0].device)
    return {"text_embeds": torch.stack(pooled), "time_ids": ids.expand(len(pooled), -1)}


def prepare(model: LoadedModel, request: GenerationRequest) -> tuple[list[Row], EncodedText]:
    """
    Encodes the prompts, applies the adapter and draws each picture's noise.

    The noise comes from a CPU generator in float32 whatever the device and dtype are, so a seed means the same picture
    everywhere, up to rounding.
    """
    if request.deterministic:
        # Rounding depends on what is encoded beside it, so neither company nor the cache may have a say.
        model.text_cache.clear()
        for text in (request.prompt, request.negative_prompt, ""):
            encode_texts(model, [text], request.loras)
    texts = encode_texts(model, [request.prompt, request.negative_prompt], request.loras)
    prompt, negative = texts[request.prompt], texts[request.negative_prompt]
    cond = adapt(model, prompt, request.adapter, request.adapter_scale)
    uncond, uncond_pooled = None, None
    if request.uses_cfg:
        chunks = prompt_chunks(model, request)
        cond = padded(model, cond, chunks, request.loras)
        if model.zeros_for_empty and not request.negative_prompt and prompt.pooled is not None:
            uncond, uncond_pooled = torch.zeros_like(cond), torch.zeros_like(prompt.pooled)
        else:
            adapts_negative = request.adapter is not None and model.adapters[request.adapter].config["adapt_negative"]
            uncond = adapt(model, negative, request.adapter if adapts_negative else None, request.adapter_scale)
            uncond, uncond_pooled = padded(model, uncond, chunks, request.loras), negative.pooled
    rows = []
    for index in range(request.num_images):
        generator = torch.Generator("cpu").manual_seed(request.seed + index)
        scheduler, timesteps = schedulers.build(request.scheduler, model.scheduler_config, request.num_inference_steps)
        factor = model.pixels_per_latent
        shape = (1, model.unet.config.in_channels, request.height // factor, request.width // factor)
        noise = to_device(randn_tensor(shape, generator=generator, dtype=torch.float32), model.device)
        rows.append(
            Row(
                request,
                index,
                cond,
                uncond,
                scheduler,
                timesteps,
                noise * scheduler.init_noise_sigma,
                schedulers.step_arguments(scheduler, generator),
                prompt.pooled,
                uncond_pooled,
            )
        )
    return rows, prompt


def prompt_chunks(model: LoadedModel, request: GenerationRequest) -> int:
    """The text encoder's lengths that the longer of the prompts takes; only rows that agree in it share a UNet call."""
    texts = [request.prompt, *([request.negative_prompt] if request.uses_cfg else [])]
    return max(chunk_count(model, text) for text in texts)


def denoise(model: LoadedModel, conditioning: Conditioning) -> torch.Tensor:
    """One UNet call for all rows, each at its own timestep: their guided predictions, `[N, C, h, w]` in float32."""
    rows = conditioning.rows
    timesteps = [row.timesteps[row.position] for row in rows]
    inputs = torch.cat([r.scheduler.scale_model_input(r.latents, t) for r, t in zip(rows, timesteps, strict=True)])
    times = to_device(torch.tensor([float(t) for t in timesteps], dtype=torch.float32), model.device)
    if conditioning.padding:
        inputs = torch.cat([inputs, inputs[-1:].expand(conditioning.padding, -1, -1, -1)])
        times = torch.cat([times, times[-1:].expand(conditioning.padding)])
    cfg = rows[0].guided
    if cfg:
        inputs, times = torch.cat([inputs, inputs]), torch.cat([times, times])
    predicted = _call(model, conditioning, inputs, times)
    if not cfg:
        return predicted[: len(rows)]
    uncond, cond = (half[: len(rows)] for half in predicted.chunk(2))
    return uncond + conditioning.guidance * (cond - uncond)


def _call(model: LoadedModel, conditioning: Conditioning, inputs: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
    """The UNet, whole or its last layer alone; what a whole call leaves for later steps goes to the rows."""
    rows, states, added = conditioning.rows, conditioning.states, conditioning.added
    if rows[0].shallow:
        halves = zip(*(row.features for row in rows if row.features is not None), strict=True)
        features = torch.stack([f for half in halves for f in (*half, *half[-1:] * conditioning.padding)])
        return call_last_layer(model, inputs, times, states, added, features)
    if all(row.request.cache_interval == 1 for row in rows):
        # For reproducible kernels PyTorch compiles anew, while everybody waits.
        return call_unet(model, inputs, times, states, added, plain=rows[0].request.deterministic)
    with tapped(model.unet) as found:
        predicted = call_unet(model, inputs, times, states, added, plain=True)
    places = found[0].unflatten(0, (2 if conditioning.guided else 1, -1))
    for k, row in enumerate(rows):
        if row.request.cache_interval > 1:
            row.features = places[:, k].clone()
    return predicted


def step(row: Row, predicted: torch.Tensor) -> None:
    """Takes one row from its timestep to the next; `predicted` is `[1, C, h, w]`."""
    timestep = row.timesteps[row.position]
    # With an eta, which is 0 here, none is drawn.
    draws_noise = "generator" in row.step_arguments and "eta" not in row.step_arguments
    with HostNoise() if draws_noise and row.latents.device.type != "cpu" else nullcontext():
        row.latents = row.scheduler.step(predicted, timestep, row.latents, **row.step_arguments, return_dict=False)[0]
    row.position += 1


def preview(model: LoadedModel, row: Row, predicted: torch.Tensor) -> np.ndarray:
    """What `row` is on its way to, before it takes the step that `predicted` leads to; `[h, w, 3]` uint8."""
    clean = predicted_clean(row.scheduler, row.timesteps[row.position], row.latents, predicted)
    if model.previewer is None:
        model.previewer = LinearDecoder(model.vae, model.pixels_per_latent)
    return model.previewer(clean[0])
