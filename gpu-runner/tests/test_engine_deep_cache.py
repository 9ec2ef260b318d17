"""DeepCache by request: most steps take the deep layers' work from an earlier one, each row at its own interval."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import torch

from tests.drawing import Drawing, assert_same, draw
from tests.drawing import request as asked_for
from tests.serving import INPUT, finished
from tests.tiny_training import write_xl
from vignette.engine import stages
from vignette.engine.catalogue import Catalogue, ModelSpec, SpeedSpec
from vignette.engine.deep_cache import call_last_layer, tapped
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.request import GenerationInput, resolve
from vignette.errors import InvalidInput


@pytest.fixture(scope="module")
def xl(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    return load_model(ModelSpec(id="tiny", path=write_xl(tmp_path_factory.mktemp("xl"))), torch.device("cpu"))


def unet_inputs(model: LoadedModel) -> tuple[Any, ...]:
    width = sum(encoder.config.hidden_size for _, encoder in model.encoders)
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(2, 4, 16, 16, generator=generator)
    states = torch.randn(2, 77, width, generator=generator)
    added = None
    if model.is_xl:
        pooled = torch.randn(2, model.text_encoder_2.config.projection_dim, generator=generator)
        added = {"text_embeds": pooled, "time_ids": torch.tensor([[32.0, 32, 0, 0, 32, 32]] * 2)}
    return latents, torch.tensor([901.0, 13.0]), states, added


@pytest.mark.parametrize("name", ["model", "xl"])
def test_the_last_layer_upon_its_own_call_s_features_is_the_whole_unet(
    name: str, request: pytest.FixtureRequest
) -> None:
    model = request.getfixturevalue(name)
    latents, times, states, added = unet_inputs(model)
    with torch.inference_mode(), tapped(model.unet) as found:
        whole = model.unet(latents, times, states, added_cond_kwargs=added, return_dict=False)[0]
        last = call_last_layer(model.unet, latents, times, states, added, found[0])
    assert torch.equal(whole, last)
    assert not model.unet.up_blocks[-1].resnets[-1]._forward_pre_hooks


def test_between_whole_steps_only_the_last_layer_is_called(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for kind in ("call_unet", "call_last_layer"):
        original = getattr(stages, kind)
        monkeypatch.setattr(
            stages, kind, lambda *given, k=kind, o=original, **how: (calls.append(k), o(*given, **how))[1]
        )
    draw(model, asked_for(num_inference_steps=7, cache_interval=3))
    assert [call == "call_unet" for call in calls] == [True, False, False, True, False, False, True]


@pytest.mark.parametrize("name", ["model", "xl"])
def test_it_draws_what_deep_cache_draws(name: str, request: pytest.FixtureRequest) -> None:
    """Against a UNet whose deep layers say the same as three steps before, drawn by the engine as it is."""
    model = request.getfixturevalue(name)
    asked = {"num_inference_steps": 8, "negative_prompt": "rain"}
    ours = draw(model, asked_for(**asked, cache_interval=3)).pictures()
    forward, kept = model.unet.forward, {}

    def every_third(sample: torch.Tensor, *given: Any, **rest: Any) -> Any:
        kept["calls"] = kept.get("calls", 0) + 1
        stale = kept["calls"] % 3 != 1
        layer = model.unet.up_blocks[-1].resnets[-1]

        def swap(module: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            deep = inputs[0].shape[1] - model.unet.conv_in.out_channels
            if not stale:
                kept["features"] = inputs[0][:, :deep].clone()
            return (torch.cat([kept["features"], inputs[0][:, deep:]], dim=1), *inputs[1:])

        handle = layer.register_forward_pre_hook(swap)
        try:
            return forward(sample, *given, **rest)
        finally:
            handle.remove()

    model.unet.forward = every_third
    try:
        theirs = draw(model, asked_for(**asked)).pictures()
    finally:
        del model.unet.forward
    assert_same(ours, theirs)
    assert not np.array_equal(ours[0], draw(model, asked_for(**asked)).pictures()[0])


def test_company_changes_nothing(model: LoadedModel) -> None:
    """With rows of other intervals, of none, with guidance that ends, and that come later."""
    requests = [
        asked_for("a", cache_interval=2, seed=1, num_images=2),
        asked_for("b", cache_interval=3, seed=2, num_inference_steps=9, guidance_until=0.4),
        asked_for("c", seed=3),
        asked_for("d", cache_interval=2, guidance_scale=1.0, seed=4),
    ]
    late = asked_for("late", cache_interval=2, seed=5, scheduler="DPMSolverMultistepScheduler")
    drawing = Drawing(model)
    drawing.run(*requests, at={3: lambda: drawing.core.submit(late)})
    for r in (*requests, late):
        assert_same(drawing.pictures(r.id), draw(model, r).pictures(r.id))
    assert drawing.core._planner.idle


def test_padding_holds_in_shallow_calls_too(model: LoadedModel, model_folder: Path) -> None:
    padded = load_model(ModelSpec(id="tiny", path=model_folder, speed=SpeedSpec(buckets=(4,))), torch.device("cpu"))
    asked = [asked_for(str(k), seed=k, cache_interval=2) for k in range(3)]
    together = draw(padded, *asked)
    for r in asked:
        assert_same(together.pictures(r.id), draw(model, r).pictures(r.id))


def test_a_compiled_model_cannot_leave_out_layers(model_folder: Path) -> None:
    catalogue = Catalogue(models=(ModelSpec(id="tiny", path=model_folder, speed=SpeedSpec(compile="default")),))
    given = GenerationInput(prompt="a cat", cache_interval=2)
    with pytest.raises(InvalidInput, match="leave cache_interval at 1"):
        resolve(given, id="a", catalogue=catalogue, schedulers=lambda model: ("DDIMScheduler",))


@pytest.mark.anyio
async def test_it_is_an_option_of_the_request_and_stands_in_the_recipe(client: httpx.AsyncClient) -> None:
    done = await finished(client, INPUT | {"cache_interval": 2})
    assert done["status"] == "succeeded"
    assert b'"cache_interval": 2' in (await client.get(done["output"][0])).content
    for wrong in (0, 11, 1.5):
        response = await client.post("/v1/predictions", json={"input": INPUT | {"cache_interval": wrong}})
        assert response.status_code == 422
