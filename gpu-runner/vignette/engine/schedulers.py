"""Which diffusers schedulers a model can be drawn with, and how one is made for a single picture."""

from __future__ import annotations

import inspect
from typing import Any

import torch

# Those that need no library beyond diffusers' own requirements and take one UNet prediction per timestep.
NAMES = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "PNDMScheduler",
    "UniPCMultistepScheduler",
)


def supported(config: dict[str, Any]) -> tuple[str, ...]:
    """
    Names that can honour this `scheduler_config.json`.

    A model trained to zero terminal SNR (https://arxiv.org/abs/2305.08891) starts from pure noise; a scheduler that
    cannot rescale its betas would start it from a noise level it has never seen and draw washed-out pictures.
    """
    if not config.get("rescale_betas_zero_snr"):
        return NAMES
    return tuple(n for n in NAMES if "rescale_betas_zero_snr" in inspect.signature(_class(n).__init__).parameters)


def build(name: str, config: dict[str, Any], steps: int) -> tuple[Any, list[torch.Tensor]]:
    """
    A scheduler of its own for one picture (multistep solvers keep state), and its timesteps on the CPU, where reading
    them costs no device synchronisation.
    """
    scheduler = _class(name).from_config(config)
    scheduler.set_timesteps(steps, device="cpu")
    return scheduler, list(scheduler.timesteps)


def step_arguments(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    """The optional arguments that this scheduler's `step` takes."""
    return {"generator": generator} if "generator" in inspect.signature(scheduler.step).parameters else {}


def _class(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name)
