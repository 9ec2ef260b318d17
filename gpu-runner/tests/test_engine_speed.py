"""Options for speed change when and how the UNet is called, not what it draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.drawing import assert_same, draw, request
from vignette.engine.catalogue import LoraSpec, ModelSpec, SpeedSpec
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.speed import bucket_of
from vignette.errors import ConfigError

CPU = torch.device("cpu")


def load(folder: Path, max_batch: int = 16, **speed: object) -> LoadedModel:
    return load_model(ModelSpec(id="tiny", path=folder, max_batch=max_batch, speed=SpeedSpec(**speed)), CPU)  # type: ignore[arg-type]


def test_buckets() -> None:
    assert [bucket_of(n, (1, 2, 4, 8)) for n in (1, 2, 3, 5, 8, 9)] == [1, 2, 4, 8, 8, 9]
    assert bucket_of(5, ()) == 5
    spec = ModelSpec(id="x", path=Path("x"), max_batch=6, speed=SpeedSpec(compile="default"))
    assert spec.buckets == (1, 2, 4, 6)
    assert ModelSpec(id="x", path=Path("x")).buckets == ()
    with pytest.raises(ValueError, match="ascending"):
        SpeedSpec(buckets=(4, 2))


def test_padding_fills_the_bucket_and_leaves_the_pictures_alone(model: LoadedModel, model_folder: Path) -> None:
    padded = load(model_folder, buckets=(1, 4, 8))
    sizes: list[int] = []
    forward = padded.unet.forward

    def counted(sample: torch.Tensor, *args: Any, **rest: Any) -> Any:
        sizes.append(len(sample))
        return forward(sample, *args, **rest)

    padded.unet.forward = counted
    asked = [
        request("a"),
        request("b", seed=8, negative_prompt="rain"),
        request("c", seed=9, num_inference_steps=7),
        request("d", guidance_scale=1.0, num_images=2),
    ]
    drawing = draw(padded, *asked)
    assert set(sizes) == {
        8,
        2,
        4,
    }  # three with guidance: four pairs; the last alone: one pair; two without guidance: four
    for r in asked:
        assert_same(drawing.pictures(r.id), draw(model, r).pictures(r.id))


@pytest.mark.parametrize(
    "speed", [{"channels_last": True}, {"fuse_qkv": True}, {"channels_last": True, "fuse_qkv": True}]
)
def test_layout_and_fused_projections_draw_the_same(model: LoadedModel, model_folder: Path, speed: dict) -> None:
    r = request(num_images=2)
    assert_same(draw(load(model_folder, **speed), r).pictures(), draw(model, r).pictures())


def test_the_unet_is_compiled_as_asked(model: LoadedModel, model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []

    def noted(module: Any, **options: Any) -> Any:
        asked.append(options)
        return module

    monkeypatch.setattr(torch, "compile", noted)
    compiled = load(model_folder, compile="reduce-overhead", max_batch=2)
    assert asked == [{"mode": "reduce-overhead", "fullgraph": True, "dynamic": False}]
    assert compiled.spec.buckets == (1, 2)
    r = request(num_images=2)
    assert_same(draw(compiled, r).pictures(), draw(model, r).pictures())


def test_fused_projections_and_loras_exclude_each_other(model_folder: Path, tmp_path: Path) -> None:
    from tests.test_engine_lora import write_lora

    lora = LoraSpec(id="x", path=write_lora(tmp_path / "x.safetensors", "peft"))
    with pytest.raises(ConfigError, match="fuse_qkv"):
        load_model(ModelSpec(id="tiny", path=model_folder, loras=(lora,), speed=SpeedSpec(fuse_qkv=True)), CPU)
