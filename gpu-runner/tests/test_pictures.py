"""The engine draws what diffusers draws, alone and in company."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.drawing import Drawing, assert_same, draw, request, with_diffusers
from tests.tiny import SD2_UNET, SD15, write_adapter, write_model
from vignette.engine import schedulers
from vignette.engine.catalogue import AdapterSpec, ModelSpec
from vignette.engine.events import Finished, Progress, Started
from vignette.engine.loader import LoadedModel, load_model


@pytest.mark.parametrize(
    "scheduler",
    [
        "DDIMScheduler",
        "DDPMScheduler",
        "DPMSolverMultistepScheduler",
        "EulerAncestralDiscreteScheduler",
        "EulerDiscreteScheduler",
        "UniPCMultistepScheduler",
    ],
)
def test_draws_what_diffusers_draws(model: LoadedModel, model_folder: Path, scheduler: str) -> None:
    r = request(scheduler=scheduler, negative_prompt="rain", num_images=2)
    assert_same(draw(model, r).pictures(), with_diffusers(model_folder, r))


@pytest.mark.parametrize("scheduler", schedulers.NAMES)
def test_draws_what_diffusers_draws_with_sd15_schedules(sd15_folder: Path, scheduler: str) -> None:
    model = load_model(ModelSpec(id="tiny", path=sd15_folder), torch.device("cpu"))
    r = request(scheduler=scheduler, guidance_scale=7.5)
    assert_same(draw(model, r).pictures(), with_diffusers(sd15_folder, r))


def test_draws_what_diffusers_draws_of_stable_diffusion_2(tmp_path: Path) -> None:
    """Heads by level, linear projections, prediction of v, and "!" behind the end of a prompt."""
    schedule = SD15 | {"prediction_type": "v_prediction"}
    folder = write_model(tmp_path / "sd2", scheduler=schedule, unet_config=SD2_UNET, pad="!")
    model = load_model(ModelSpec(id="tiny", path=folder), torch.device("cpu"))
    r = request(negative_prompt="rain", num_images=2)
    assert_same(draw(model, r).pictures(), with_diffusers(folder, r))


def test_half_precision_draws_nearly_the_same(model: LoadedModel, model_folder: Path) -> None:
    half = load_model(ModelSpec(id="tiny", path=model_folder, dtype="bfloat16"), torch.device("cpu"))
    asked = [request("a"), request("b", seed=8, scheduler="DPMSolverMultistepScheduler")]
    drawn, whole = draw(half, *asked), draw(model, *asked)
    for r in asked:
        [ours], [theirs] = (drawing.pictures(r.id) for drawing in (drawn, whole))
        assert 0 < np.abs(ours.astype(int) - theirs).mean() < 4
        assert theirs.std() > 12  # of which that is a third at most


def test_company_in_half_precision_changes_little(model_folder: Path) -> None:
    """Kernels for other batch sizes may round otherwise, and bfloat16 has eight bits."""
    half = load_model(ModelSpec(id="tiny", path=model_folder, dtype="bfloat16"), torch.device("cpu"))
    asked = [request(str(k), seed=k, num_inference_steps=5 + k) for k in range(5)]
    together = draw(half, *asked)
    assert max(together.calls) == 5
    for r in asked:
        [ours], [alone] = (drawing.pictures(r.id) for drawing in (together, draw(half, r)))
        assert np.abs(ours.astype(int) - alone).mean() < 2


def test_the_urgent_overtake_what_has_begun(model: LoadedModel) -> None:
    """Of another size, which takes turns in calls of its own."""
    drawing = Drawing(model)
    whenever = request("whenever", width=48, num_inference_steps=20, urgency=7)
    drawing.run(whenever, at={1: lambda: drawing.core.submit(request("now", urgency=0))})
    told = drawing.told
    before = told[: told.index(("now", Finished))]
    assert before.count(("whenever", Progress)) == 2  # its first step, and one in between
    assert before.count(("now", Progress)) == 5
    assert_same(drawing.pictures("whenever"), draw(model, whenever).pictures("whenever"))


def test_a_model_with_zero_terminal_snr_offers_only_schedulers_that_honour_it(model: LoadedModel) -> None:
    offered = schedulers.supported(model.scheduler_config)
    assert "DDIMScheduler" in offered
    assert "PNDMScheduler" not in offered
    assert "PNDMScheduler" in schedulers.supported({"beta_schedule": "scaled_linear"})


def test_without_guidance_one_prediction_is_enough(model: LoadedModel, model_folder: Path) -> None:
    r = request(guidance_scale=1.0)
    assert_same(draw(model, r).pictures(), with_diffusers(model_folder, r))


def test_other_shapes(model: LoadedModel, model_folder: Path) -> None:
    r = request(width=48, height=24)
    assert_same(draw(model, r).pictures(), with_diffusers(model_folder, r))


@pytest.mark.parametrize("prompt", ["\x00", "🐱" * 300, "  cat  ", "<|endoftext|> cat", "قطة"])
def test_odd_prompts_are_drawn(model: LoadedModel, model_folder: Path, prompt: str) -> None:
    r = request(prompt=prompt)
    assert_same(draw(model, r).pictures(), with_diffusers(model_folder, r))


def test_company_changes_nothing(model: LoadedModel) -> None:
    requests = [
        request("a", seed=1, adapter="sur"),
        request("b", seed=2, scheduler="DPMSolverMultistepScheduler", num_inference_steps=7, guidance_scale=9.0),
        request("c", seed=3, scheduler="EulerAncestralDiscreteScheduler", negative_prompt="rain", num_images=3),
        request("d", seed=4, prompt="a blue tent", num_inference_steps=3),
        request("e", seed=5, guidance_scale=1.0),
        request("f", seed=6, width=48),
    ]
    together = draw(model, *requests)
    for r in requests:
        assert_same(together.pictures(r.id), draw(model, r).pictures(r.id))
    assert max(together.calls) == 6  # a, b, d and c's three pictures: one size, with guidance
    alone = sum(r.num_inference_steps * r.num_images for r in requests)
    assert len(together.calls) < alone / 2


def test_requests_join_and_leave_at_any_step(model: LoadedModel) -> None:
    first, second, third = request("a", seed=1), request("b", seed=2), request("c", seed=3, num_inference_steps=9)
    drawing = Drawing(model)
    drawing.run(
        first,
        at={
            2: lambda: drawing.core.submit(second),
            3: lambda: drawing.core.submit(third),
            5: lambda: drawing.core.cancel("b"),
        },
    )
    assert drawing.calls == [1, 1, 2, 3, 3, 1, 1, 1, 1, 1, 1, 1]
    assert_same(drawing.pictures("a"), draw(model, first).pictures("a"))
    assert_same(drawing.pictures("c"), draw(model, third).pictures("c"))
    assert not any(isinstance(event, Finished) for event in drawing.events["b"])


def test_a_seed_means_a_picture_and_each_image_the_next_seed(model: LoadedModel) -> None:
    four = draw(model, request(seed=10, num_images=4)).pictures()
    for k, picture in enumerate(four):
        assert_same([picture], draw(model, request(seed=10 + k)).pictures())
    assert len({picture.tobytes() for picture in four}) == 4


def test_the_adapter_is_per_request(model: LoadedModel) -> None:
    def mean_change(**changes: object) -> float:
        plain = draw(model, request(seed=5)).pictures()[0].astype(int)
        return float(np.abs(draw(model, request(seed=5, **changes)).pictures()[0] - plain).mean())

    assert mean_change(adapter="sur", adapter_scale=0.0) == 0
    assert 0 < mean_change(adapter="sur", adapter_scale=0.5) < mean_change(adapter="sur", adapter_scale=2.0)


def test_the_negative_prompt_is_adapted_only_when_the_adapter_was_trained_for_it(
    model_folder: Path, tmp_path: Path
) -> None:
    folders = {
        "off": write_adapter(tmp_path / "off", adapt_negative=False),
        "on": write_adapter(tmp_path / "on", adapt_negative=True),
    }
    spec = ModelSpec(
        id="tiny", path=model_folder, adapters=tuple(AdapterSpec(id=k, path=v) for k, v in folders.items())
    )
    model = load_model(spec, torch.device("cpu"))
    off, on = (draw(model, request(adapter=k)).pictures()[0].astype(int) for k in ("off", "on"))
    assert np.abs(off - on).max() > 0
    # Without guidance there is no negative prompt, so the same weights draw the same.
    off, on = (draw(model, request(adapter=k, guidance_scale=1.0)).pictures()[0].astype(int) for k in ("off", "on"))
    assert np.abs(off - on).max() <= 1


def test_progress_counts_every_step_once(model: LoadedModel) -> None:
    events = draw(model, request(num_inference_steps=5, num_images=2)).events["a"]
    assert isinstance(events[0], Started)
    assert events[1:-1] == [Progress(step, 5) for step in range(1, 6)]
    last = events[-1]
    assert isinstance(last, Finished)
    assert last.batch_mean == 2


def test_a_batch_has_a_cap(model: LoadedModel) -> None:
    capped = LoadedModel(**(vars(model) | {"spec": model.spec.model_copy(update={"max_batch": 3})}))
    drawing = draw(capped, *(request(str(i), seed=i) for i in range(5)))
    assert max(drawing.calls) == 3
    for i in range(5):
        assert_same(drawing.pictures(str(i)), draw(model, request(str(i), seed=i)).pictures(str(i)))
