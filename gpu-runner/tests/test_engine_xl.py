"""Stable Diffusion XL: both encoders, the pooled vector and the sizes, as diffusers gives them to the UNet."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from diffusers.callbacks import SDXLCFGCutoffCallback

from tests.drawing import assert_same, draw, request, with_diffusers
from tests.tiny import write_adapter, write_tokenizer
from tests.tiny_training import write_xl
from vignette.engine.catalogue import AdapterSpec, ModelSpec
from vignette.engine.events import Started
from vignette.engine.loader import LoadedModel, load_model
from vignette.reading import probe
from vignette.sur import SURAdapter

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_xl(tmp_path_factory.mktemp("xl"))


@pytest.fixture(scope="module")
def xl(folder: Path) -> LoadedModel:
    return load_model(ModelSpec(id="tiny", path=folder), CPU)


@pytest.mark.parametrize(
    "changes",
    [
        {},  # the empty negative prompt is zeros, as SDXL was trained
        {"negative_prompt": "rain"},
        {"guidance_scale": 1.0},
        {"width": 48, "height": 24, "scheduler": "EulerDiscreteScheduler"},
        {"scheduler": "DPMSolverMultistepScheduler", "num_images": 2},
    ],
)
def test_draws_what_diffusers_draws(xl: LoadedModel, folder: Path, changes: dict) -> None:
    r = request(**changes)
    assert_same(draw(xl, r).pictures(), with_diffusers(folder, r))


def test_each_encoder_has_its_own_padding(xl: LoadedModel, folder: Path, tmp_path: Path) -> None:
    """SDXL's second was trained with "!" behind the end."""
    other = Path(shutil.copytree(folder, tmp_path / "model"))
    write_tokenizer(tmp_path / "source", pad="!").save_pretrained(other / "tokenizer_2")
    r = request(negative_prompt="rain")
    pictures = draw(load_model(ModelSpec(id="tiny", path=other), CPU), r).pictures()
    assert_same(pictures, with_diffusers(other, r))
    assert (pictures[0] != draw(xl, r).pictures()[0]).any()


def test_guidance_may_end_early(xl: LoadedModel, folder: Path) -> None:
    r = request(num_inference_steps=6, guidance_until=0.4, negative_prompt="rain")
    cutoff = SDXLCFGCutoffCallback(cutoff_step_ratio=0.4)
    assert_same(draw(xl, r).pictures(), with_diffusers(folder, r, callback_on_step_end=cutoff))


def test_company_changes_nothing(xl: LoadedModel) -> None:
    asked = [request("a"), request("b", negative_prompt="rain", seed=9), request("c", prompt="a tent", seed=4)]
    together = draw(xl, *asked)
    assert max(together.calls) == 3
    for r in asked:
        assert_same(together.pictures(r.id), draw(xl, r).pictures(r.id))


def test_long_prompts_go_on_in_both_encoders(xl: LoadedModel) -> None:
    one, two = (draw(xl, request(prompt="cat " * n)).pictures()[0] for n in (75, 100))
    assert (one != two).any()


def write_wide_adapter(folder: Path) -> AdapterSpec:
    torch.manual_seed(5)
    adapter = SURAdapter(56, num_heads=4)
    torch.nn.init.normal_(adapter.encoder.proj_out.weight, std=0.5)  # type: ignore[union-attr, arg-type]
    adapter.save_pretrained(folder)
    return AdapterSpec(id="sur", path=folder)


def test_an_adapter_is_as_wide_as_both_encoders(folder: Path, tmp_path: Path) -> None:
    wide = write_wide_adapter(tmp_path / "wide")
    write_adapter(tmp_path / "narrow")
    model = load_model(ModelSpec(id="tiny", path=folder, adapters=(wide,)), CPU)
    plain, adapted = (draw(model, request(adapter=id)).pictures()[0] for id in (None, "sur"))
    assert (plain != adapted).any()
    with pytest.raises(Exception, match="another model"):
        load_model(ModelSpec(id="tiny", path=folder, adapters=(AdapterSpec(id="sur", path=tmp_path / "narrow"),)), CPU)


def test_both_encoders_states_are_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "MOST_PROMPTS", 600)
    adapters = (write_wide_adapter(tmp_path / "wide"),)
    model = load_model(ModelSpec(id="tiny", path=folder, adapters=adapters, lexicon=tmp_path / "general"), CPU)
    assert model.reader is not None
    assert model.reader.probe.weight.shape == (4 * 56, len(model.reader.lexicon.entries))
    plain, adapted = (draw(model, request(adapter=id)).events["a"][0] for id in (None, "sur"))
    assert isinstance(plain, Started)
    assert isinstance(adapted, Started)
    assert plain.understood is not None
    assert {entry["tag"] for entry in plain.understood.reading} <= set(model.reader.lexicon.tags)
    assert plain.understood.reading != adapted.understood.reading  # type: ignore[union-attr]

    other = Path(shutil.copytree(folder, tmp_path / "other"))
    with (other / "text_encoder_2" / "config.json").open("a") as file:
        file.write("\n")
    load_model(ModelSpec(id="tiny", path=other, lexicon=tmp_path / "general"), CPU)
    assert len(list(tmp_path.glob("general.*.safetensors"))) == 2
