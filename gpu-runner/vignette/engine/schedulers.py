"""Which diffusers schedulers a model can be drawn with, and how one is made for a single picture."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from vignette.errors import InvalidInput

# Those that need no library beyond diffusers' own requirements and take one UNet prediction per timestep.
NAMES = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DEISMultistepScheduler",
    "DPMSolverMultistepScheduler",
    "DPMSolverSinglestepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "KDPM2DiscreteScheduler",
    "LCMScheduler",
    "PNDMScheduler",
    "TCDScheduler",
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


def check_steps(name: str, config: dict[str, Any], steps: int, most: int) -> None:
    """
    Raises InvalidInput when this scheduler has no timesteps for so many steps, as PNDM for fewer than four and LCM for more
    than it was distilled to; `most` is the model's own limit.
    """
    if _can(name, config, steps):
        return
    near = sorted(range(1, most + 1), key=lambda other: abs(other - steps))
    nearest = next((other for other in near if _can(name, config, other)), None)
    remedy = "take another scheduler" if nearest is None else f"the nearest it can is {nearest}"
    raise InvalidInput("num_inference_steps", f"{name} cannot draw in {steps} steps; {remedy}.")


def build(name: str, config: dict[str, Any], steps: int) -> tuple[Any, list[torch.Tensor]]:
    """
    A scheduler of its own for one picture (multistep solvers keep state), and its timesteps on the CPU, where reading
    them costs no device synchronisation.
    """
    scheduler = _class(name).from_config(config)
    scheduler.set_timesteps(steps, device="cpu")
    return scheduler, list(scheduler.timesteps)


def step_arguments(scheduler: Any, generator: torch.Generator) -> dict[str, Any]:
    """The optional arguments that this scheduler's `step` takes, as diffusers' pipelines give them."""
    taken = inspect.signature(scheduler.step).parameters
    return {name: value for name, value in (("generator", generator), ("eta", 0.0)) if name in taken}


def _can(name: str, config: dict[str, Any], steps: int) -> bool:
    try:
        build(name, config, steps)
    except ValueError:
        return False
    return True


def _class(name: str) -> Any:
    import diffusers

    return getattr(diffusers, name)
