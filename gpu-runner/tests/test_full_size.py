"""
Stable Diffusion 1.5, 2.1 and XL in their full sizes, without weights and without a GPU: on the meta device shapes are
computed and numbers are not, and whatever wants to read one, which on CUDA would wait for the device, is an error.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.drawing import request
from vignette.engine import stages
from vignette.engine.loader import LoadedModel
from vignette.engine.schedulers import NAMES, build, step_arguments
from vignette.engine.stages import Conditioning, Row
from vignette.engine.text import encode_texts
from vignette.sur import SURAdapter

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
META = torch.device("meta")
# Millions of parameters of the UNet, and the width of the text encoders' states.
SIZES = {"sd15": (859.5, 768), "sd21": (865.9, 1024), "sdxl": (2567.5, 2048)}


@pytest.fixture(scope="module", params=SIZES)
def full_size(request: pytest.FixtureRequest) -> LoadedModel:
    sys.path.insert(0, str(BENCH))
    try:
        from runner_models import bench_model
    finally:
        sys.path.remove(str(BENCH))
    return bench_model(request.param, META, torch.bfloat16)


class Waiting(TorchDispatchMode):
    """
    Notes copies from the host that CUDA would begin only after all that is in its queue. A single number in arithmetic is
    none: a kernel takes it as an argument.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        given = [a for a in args if isinstance(a, torch.Tensor)]
        aten = torch.ops.aten
        moved = func.overloadpacket in (aten.to, aten._to_copy, aten.copy_)
        from_host = bool(given) and given[-1].device.type == "cpu" and (given[-1].ndim > 0 or moved)
        blocking = not (kwargs.get("non_blocking") or any(a is True for a in args))
        if isinstance(result, torch.Tensor) and result.device == META and from_host and blocking:
            self.found.append(f"{func} of {list(given[-1].shape)}")
        return result


def row(model: LoadedModel, index: int, **changes: object) -> Row:
    size = model.spec.defaults.width
    asked = request(**{"width": size, "height": size, "num_inference_steps": 4, "seed": index} | changes)
    width = SIZES[model.spec.id][1]
    scheduler, timesteps = build(asked.scheduler, model.scheduler_config, asked.num_inference_steps)
    states = [torch.empty(77, width, device=META, dtype=model.dtype) for _ in range(2)]
    pooled = [torch.empty(1280, device=META, dtype=model.dtype) if model.is_xl else None for _ in range(2)]
    return Row(
        request=asked,
        index=index,
        cond=states[0],
        uncond=states[1],
        scheduler=scheduler,
        timesteps=timesteps,
        latents=torch.empty(1, 4, asked.height // 8, asked.width // 8, device=META),
        step_arguments=step_arguments(scheduler, torch.Generator("cpu").manual_seed(index)),
        pooled=pooled[0],
        uncond_pooled=pooled[1],
    )


def test_the_benches_models_are_as_large_as_the_real_ones(full_size: LoadedModel) -> None:
    millions = sum(weight.numel() for weight in full_size.unet.parameters()) / 1e6
    assert millions == pytest.approx(SIZES[full_size.spec.id][0], abs=0.1)
    assert sum(weight.numel() for weight in full_size.vae.parameters()) / 1e6 == pytest.approx(83.7, abs=0.1)
    assert full_size.unet.dtype is torch.bfloat16


@torch.inference_mode()
def test_no_step_reads_anything_back_from_the_device(full_size: LoadedModel) -> None:
    """A step of mixed schedulers with padding, and one that leaves out layers."""
    changes: list[dict] = [{"scheduler": "EulerDiscreteScheduler"}, {"cache_interval": 2}]
    rows = [row(full_size, k, **change) for k, change in enumerate(changes)]
    shape = rows[0].latents.shape
    predicted = stages.denoise(full_size, Conditioning.of(tuple(rows), 4))
    assert predicted.shape == (len(rows), *shape[1:])
    assert predicted.dtype is torch.float32
    for r, one in zip(rows, predicted.split(1), strict=True):
        stages.step(r, one)
    assert [r.shallow for r in rows] == [False, True]
    stages.step(rows[1], stages.denoise(full_size, Conditioning.of((rows[1],), 2)))
    assert [r.position for r in rows] == [1, 2]
    assert all(r.latents.device == META and r.latents.shape == shape for r in rows)


@torch.inference_mode()
def test_any_size_in_steps_of_64_pixels(full_size: LoadedModel) -> None:
    """Of which the innermost of four levels has an odd number of places, 9 by 7."""
    r = row(full_size, 0, width=576, height=448)
    for _ in range(2):
        stages.step(r, stages.denoise(full_size, Conditioning.of((r,), 1)))
    assert r.latents.shape == (1, 4, 56, 72)


@torch.inference_mode()
def test_neither_preparing_nor_a_step_waits_to_copy(full_size: LoadedModel) -> None:
    """Weighted words, an adapter, a long prompt and schedulers that draw noise at every step."""
    full_size.adapters["sur"] = SURAdapter(SIZES[full_size.spec.id][1], num_heads=8).to(META, full_size.dtype)
    size = full_size.spec.defaults.width
    long = "two (purple:1.2) cats, " * 30
    encode_texts(full_size, [""])
    with Waiting() as waiting:
        rows = []
        for scheduler in ("EulerAncestralDiscreteScheduler", "DDPMScheduler", "LCMScheduler", "DDIMScheduler"):
            asked = request(
                prompt=long, adapter="sur", width=size, height=size, num_inference_steps=4, scheduler=scheduler
            )
            rows += stages.prepare(full_size, asked)[0]
        predicted = stages.denoise(full_size, Conditioning.of(tuple(rows), 4))
        for r, one in zip(rows, predicted.split(1), strict=True):
            stages.step(r, one)
    assert waiting.found == []


@torch.inference_mode()
@pytest.mark.parametrize("scheduler", NAMES)
def test_only_unipc_waits_in_a_step(full_size: LoadedModel, scheduler: str) -> None:
    """It moves its noise levels to the device one by one, and solves a system of equations there."""
    r = row(full_size, 0, scheduler=scheduler)
    with Waiting() as waiting:
        while not r.done:
            stages.step(r, torch.empty_like(r.latents))
    assert bool(waiting.found) == (scheduler == "UniPCMultistepScheduler")
