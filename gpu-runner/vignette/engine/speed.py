"""What makes the UNet faster on a GPU, each behind an option of models.toml; pictures stay what they are, up to rounding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from vignette.engine import deep_cache
from vignette.engine.catalogue import ModelSpec
from vignette.errors import ConfigError

if TYPE_CHECKING:
    from vignette.engine.loader import LoadedModel

MODES = {"default": None, "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune"}


def speed_up(parts: dict[str, Any], spec: ModelSpec) -> None:
    """
    Rearranges and compiles the loaded `parts` as `spec.speed` says; `parts["unet"]` may be replaced.

    Raises:
        ConfigError: Options that exclude each other.
    """
    speed = spec.speed
    if speed.fuse_qkv and spec.loras:
        raise ConfigError(
            f"The model {spec.id}: speed.fuse_qkv joins the weights that its LoRAs change; take one of the two out."
        )
    if speed.fuse_qkv:
        parts["unet"].fuse_qkv_projections()
        parts["vae"].fuse_qkv_projections()
    if speed.channels_last:
        for name in ("unet", "vae"):
            parts[name].to(memory_format=torch.channels_last)
    if speed.compile != "none":
        parts["unet"] = torch.compile(parts["unet"], mode=MODES[speed.compile], fullgraph=True, dynamic=False)


def bucket_of(rows: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds `rows`; beyond the largest, or without buckets, `rows` itself."""
    return min((bucket for bucket in buckets if bucket >= rows), default=rows)


def call_unet(
    model: LoadedModel,
    inputs: torch.Tensor,
    times: torch.Tensor,
    states: torch.Tensor,
    added: dict[str, torch.Tensor] | None,
) -> torch.Tensor:
    """The UNet's predictions for `inputs` `[N, C, h, w]` in float32, a tensor that no later call overwrites."""
    speed = model.spec.speed
    if speed.channels_last:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    if speed.compile != "none" and model.device.type == "cuda":
        torch.compiler.cudagraph_mark_step_begin()
    predicted = model.unet(inputs.to(model.dtype), times, states, added_cond_kwargs=added, return_dict=False)[0]
    # A CUDA graph writes its next result into the same memory.
    return predicted.to(torch.float32, copy=speed.compile != "none")


def call_last_layer(
    model: LoadedModel,
    inputs: torch.Tensor,
    times: torch.Tensor,
    states: torch.Tensor,
    added: dict[str, torch.Tensor] | None,
    features: torch.Tensor,
) -> torch.Tensor:
    """The same from the last layer alone, upon `features` `[N, F, h, w]` of an earlier whole call."""
    if model.spec.speed.channels_last:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
        features = features.contiguous(memory_format=torch.channels_last)
    predicted = deep_cache.call_last_layer(model.unet, inputs.to(model.dtype), times, states, added, features)
    return predicted.to(torch.float32)
