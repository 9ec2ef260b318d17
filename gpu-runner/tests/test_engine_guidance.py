"""Guidance that ends before the picture is done: as diffusers' callback does it, for half the work of the later steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from diffusers.callbacks import SDCFGCutoffCallback

from tests.drawing import Drawing, assert_same, draw, request, with_diffusers
from tests.serving import INPUT, finished
from vignette.engine import stages
from vignette.engine.core import EngineCore
from vignette.engine.loader import LoadedModel


@pytest.mark.parametrize("until", [0.2, 0.5, 0.99])
@pytest.mark.parametrize("scheduler", ["DDIMScheduler", "DPMSolverMultistepScheduler"])
def test_draws_what_diffusers_draws(model: LoadedModel, model_folder: Path, until: float, scheduler: str) -> None:
    r = request(negative_prompt="rain", num_inference_steps=8, guidance_until=until, scheduler=scheduler)
    cutoff = SDCFGCutoffCallback(cutoff_step_ratio=until)
    assert_same(draw(model, r).pictures(), with_diffusers(model_folder, r, callback_on_step_end=cutoff))


def test_it_changes_the_picture_and_1_does_not(model: LoadedModel) -> None:
    whole, until_the_end, half = (
        draw(model, request(**change)).pictures()[0]
        for change in ({}, {"guidance_until": 1.0}, {"guidance_until": 0.5})
    )
    assert np.array_equal(whole, until_the_end)
    assert not np.array_equal(whole, half)


def test_company_changes_nothing(model: LoadedModel) -> None:
    """With rows that are guided to the end, that never were, and that come later."""
    requests = [
        request("half", guidance_until=0.5, seed=1, num_images=2),
        request("whole", seed=2),
        request("never", guidance_scale=1.0, seed=3),
        request("soon", guidance_until=0.2, seed=4, num_inference_steps=9),
    ]
    late = request("late", guidance_until=0.5, seed=5)
    drawing = Drawing(model)
    drawing.run(*requests, at={3: lambda: drawing.core.submit(late)})
    for r in (*requests, late):
        assert_same(drawing.pictures(r.id), draw(model, r).pictures(r.id))


def test_the_later_steps_are_half_the_work(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    widths = []
    call = stages.call_unet

    def counted(model: LoadedModel, inputs: torch.Tensor, *given: Any, **rest: Any) -> torch.Tensor:
        widths.append(len(inputs))
        return call(model, inputs, *given, **rest)

    monkeypatch.setattr(stages, "call_unet", counted)
    draw(model, request(num_inference_steps=8, guidance_until=0.5))
    assert widths == [2] * 5 + [1] * 3


def test_a_cancel_after_the_end_of_guidance_leaves_nothing(model: LoadedModel) -> None:
    drawing = Drawing(model)
    drawing.core.submit(request(guidance_until=0.2))
    for _ in range(3):
        drawing.core.tick()
    drawing.core.cancel("a")
    assert drawing.core.idle
    assert drawing.core._planner.idle
    assert isinstance(drawing.core, EngineCore)


@pytest.mark.anyio
async def test_it_is_an_option_of_the_request_and_stands_in_the_recipe(client: httpx.AsyncClient) -> None:
    done = await finished(client, INPUT | {"guidance_until": 0.5})
    assert done["status"] == "succeeded"
    assert b'"guidance_until": 0.5' in (await client.get(done["output"][0])).content
    for wrong in (0, 1.1, "half"):
        response = await client.post("/v1/predictions", json={"input": INPUT | {"guidance_until": wrong}})
        assert response.status_code == 422
