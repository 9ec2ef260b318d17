"""What makes the UNet faster, each an option of models.toml; pictures stay what they are, up to rounding."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from vignette.engine import deep_cache
from vignette.engine.catalogue import ModelSpec
from vignette.errors import ConfigError

if TYPE_CHECKING:
    from vignette.engine.loader import LoadedModel

log = logging.getLogger(__name__)

MODES = {"default": None, "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune"}


# Shapes that one UNet may be compiled for; PyTorch's own limit, 8, is less than buckets with and without guidance take.
MOST_SHAPES = 64


class CompiledUNet:
    """
    A UNet compiled for each shape that it is called with until `close`. From then on new shapes take the plain one:
    compiling lasts minutes, and everybody else's drawings would stand still for that time.
    """

    def __init__(self, unet: Any, mode: str | None) -> None:
        self._plain = unet
        self._compiled = torch.compile(  # type: ignore[call-overload]  # its overloads lack the limit
            unet, mode=mode, fullgraph=True, dynamic=False, recompile_limit=MOST_SHAPES
        )
        self._shapes: set[tuple[torch.Size, torch.Size]] = set()
        self._open = True

    def close(self) -> None:
        self._open = False

    def __call__(self, sample: torch.Tensor, times: torch.Tensor, states: torch.Tensor, **rest: Any) -> Any:
        shape = (sample.shape, states.shape)
        if shape not in self._shapes:
            if not self._open or len(self._shapes) == MOST_SHAPES:
                return self._plain(sample, times, states, **rest)
            log.info("Compiling the UNet for latents %s and states %s.", list(sample.shape), list(states.shape))
        if sample.device.type == "cuda":
            torch.compiler.cudagraph_mark_step_begin()
        # A CUDA graph writes its next result into the same memory.
        predicted = self._compiled(sample, times, states, **rest)[0].clone()
        self._shapes.add(shape)
        return (predicted,)


def speed_up(parts: dict[str, Any], spec: ModelSpec) -> CompiledUNet | None:
    """
    Rearranges the loaded `parts` as `spec.speed` says, and compiles the UNet if it says so.

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
    return None if speed.compile == "none" else CompiledUNet(parts["unet"], MODES[speed.compile])


def bucket_of(rows: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds `rows`; beyond the largest, or without buckets, `rows` itself."""
    return min((bucket for bucket in buckets if bucket >= rows), default=rows)


def bucket_within(rows: int, buckets: Sequence[int]) -> int:
    """The largest bucket of at most `rows`, or the smallest of all; without buckets, `rows` itself."""
    return max((bucket for bucket in buckets if bucket <= rows), default=buckets[0] if buckets else rows)


def call_unet(
    model: LoadedModel,
    inputs: torch.Tensor,
    times: torch.Tensor,
    states: torch.Tensor,
    added: dict[str, torch.Tensor] | None,
    *,
    plain: bool = False,
) -> torch.Tensor:
    """
    The UNet's predictions for `inputs` `[N, C, h, w]` in float32, a tensor that no later call overwrites; `plain` leaves
    compiled code aside, which takes no hooks.
    """
    if model.spec.speed.channels_last:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    unet = model.unet if plain or model.compiled is None else model.compiled
    predicted = unet(inputs.to(model.dtype), times, states, added_cond_kwargs=added, return_dict=False)[0]
    return predicted.to(torch.float32)


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
