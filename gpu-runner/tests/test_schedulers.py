"""Schedulers by their diffusers names: which number of steps each can take, and that a step never waits for the device."""

from __future__ import annotations

import pytest
import torch

from tests.tiny import SD15, ZERO_SNR
from vignette.engine import schedulers
from vignette.errors import InvalidInput


@pytest.mark.parametrize("name", schedulers.NAMES)
def test_a_step_reads_nothing_back_from_the_device(name: str) -> None:
    """On the meta device a value that is read is an error, where on CUDA it would be a wait."""
    scheduler, timesteps = schedulers.build(name, SD15, 6)
    latents = torch.empty(1, 4, 8, 8, device="meta") * scheduler.init_noise_sigma
    arguments = schedulers.step_arguments(scheduler, torch.Generator("cpu").manual_seed(0))
    for timestep in timesteps:
        scheduler.scale_model_input(latents, timestep)
        predicted = torch.empty(1, 4, 8, 8, device="meta")
        latents = scheduler.step(predicted, timestep, latents, **arguments, return_dict=False)[0]
    assert latents.device.type == "meta"
    assert latents.shape == (1, 4, 8, 8)


@pytest.mark.parametrize(
    ("name", "steps", "nearest"), [("PNDMScheduler", 3, 4), ("LCMScheduler", 60, 50), ("TCDScheduler", 51, 50)]
)
def test_steps_that_a_scheduler_cannot_take_are_named(name: str, steps: int, nearest: int) -> None:
    with pytest.raises(InvalidInput, match=f"{name} cannot draw in {steps} steps; the nearest it can is {nearest}"):
        schedulers.check_steps(name, SD15, steps, most=100)
    schedulers.check_steps(name, SD15, nearest, most=100)


def test_a_scheduler_that_no_number_of_steps_suits() -> None:
    with pytest.raises(InvalidInput, match="take another scheduler"):
        schedulers.check_steps("PNDMScheduler", SD15, 3, most=3)


@pytest.mark.parametrize(
    "name", [n for n in schedulers.NAMES if n not in ("PNDMScheduler", "LCMScheduler", "TCDScheduler")]
)
def test_the_others_take_any_number(name: str) -> None:
    for steps in (1, 2, 3, 100):
        schedulers.check_steps(name, SD15, steps, most=100)


def test_distilled_schedulers_honour_zero_terminal_snr_too() -> None:
    assert {"DDIMScheduler", "LCMScheduler", "TCDScheduler"} <= set(schedulers.supported(ZERO_SNR))
    assert "KDPM2DiscreteScheduler" not in schedulers.supported(ZERO_SNR)
