"""Weights that leave the device and come back: from the files, where they are in one, and as if nothing had been."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.drawing import assert_same, draw, request
from tests.test_engine_lora import write_lora
from tests.test_loader_single_file import write_single_file
from vignette.engine.catalogue import AdapterSpec, EmbeddingSpec, LoraSpec, ModelSpec, SpeedSpec
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.weights import Home, Place, Weights, find_homes
from vignette.errors import ConfigError

CPU = torch.device("cpu")
EMBEDDINGS = ("text_encoder", "embeddings.token_embedding.weight")


def load(folder: Path, **fields: object) -> LoadedModel:
    return load_model(ModelSpec(id="tiny", path=folder, **fields), CPU, returns=True)  # type: ignore[arg-type]


def there_and_back(model: LoadedModel) -> None:
    model.drop_weights()
    model.put_weights(model.read_weights())


def kept(model: LoadedModel) -> set[Place]:
    """What stays in the host's memory while the others are away."""
    model.drop_weights()
    found = set(model.weights._kept)
    model.put_weights(model.read_weights())
    return found


def test_while_they_are_away_nothing_is_left_of_them(model_folder: Path, adapter_folder: Path) -> None:
    model = load(model_folder, adapters=(AdapterSpec(id="sur", path=adapter_folder, any_encoder=True),))
    drawn = draw(model, request(adapter="sur")).pictures()
    shapes = {name: weight.shape for name, weight in model.unet.named_parameters()}
    model.drop_weights()
    assert not model.weights.are_here
    for part in (model.unet, model.vae, model.text_encoder, model.adapters["sur"]):
        assert all(weight.numel() == 0 for weight in part.parameters())
    model.put_weights(model.read_weights())
    assert model.weights.are_here
    assert {name: weight.shape for name, weight in model.unet.named_parameters()} == shapes
    assert (draw(model, request(adapter="sur")).pictures()[0] == drawn[0]).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_every_weight_of_a_folder_is_found_in_its_files(model_folder: Path, dtype: str) -> None:
    assert kept(load(model_folder, dtype=dtype)) == set()


def test_what_no_file_holds_stays_in_the_host_s_memory(model_folder: Path, tmp_path: Path) -> None:
    """A table of embeddings that has grown, and joined projections."""
    file = tmp_path / "dusk.safetensors"
    save_file({"emb_params": torch.randn(2, 32)}, file)
    embeddings = (EmbeddingSpec(token="<dusk>", path=file),)
    assert kept(load(model_folder, embeddings=embeddings)) == {EMBEDDINGS}
    fused = kept(load(model_folder, speed=SpeedSpec(fuse_qkv=True)))
    assert fused
    assert all("to_qkv" in name or "to_kv" in name for _, name in fused)


def test_a_single_file_s_weights_are_found_under_its_own_names(sd15_folder: Path, tmp_path: Path) -> None:
    file = write_single_file(sd15_folder, tmp_path / "model.safetensors")
    model = load(file, config=sd15_folder)
    assert kept(model) == set()
    plain = draw(load(sd15_folder), request()).pictures()
    assert_same(draw(model, request()).pictures(), plain)


@pytest.mark.parametrize("fields", [{}, {"speed": SpeedSpec(fuse_qkv=True)}, {"speed": SpeedSpec(channels_last=False)}])
def test_they_lie_as_they_did(model_folder: Path, fields: dict) -> None:
    model = load(model_folder, **fields)
    before = {name: (weight.clone(), weight.stride()) for name, weight in model.unet.named_parameters()}
    there_and_back(model)
    for name, weight in model.unet.named_parameters():
        assert torch.equal(weight, before[name][0])
        assert weight.stride() == before[name][1]


def test_what_a_lora_has_changed_comes_back_unchanged(model_folder: Path, tmp_path: Path) -> None:
    loras = (LoraSpec(id="ink", path=write_lora(tmp_path / "ink.safetensors", "peft")),)
    model = load(model_folder, loras=loras)
    plain = draw(model, request()).pictures()[0]
    inked = draw(model, request(loras=(("ink", 1.0),))).pictures()[0]
    there_and_back(model)
    assert (draw(model, request()).pictures()[0] == plain).all()
    assert (draw(model, request(loras=(("ink", 1.0),))).pictures()[0] == inked).all()
    assert (plain != inked).any()


def test_what_cannot_be_put_back_whole_stays_away(model_folder: Path) -> None:
    model = load(model_folder)
    model.drop_weights()
    found = dict(model.read_weights())
    last = list(found)[-1]
    with pytest.raises(KeyError):
        model.put_weights({place: weight for place, weight in found.items() if place != last})
    assert not model.weights.are_here
    assert all(weight.numel() == 0 for weight in model.unet.parameters())
    model.put_weights(found)
    assert draw(model, request()).pictures()


def test_files_may_be_touched_but_not_changed(model_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    model = load(folder)
    model.drop_weights()
    os.utime(file, ns=(1, 1))
    assert model.read_weights()
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(ConfigError, match=r"unet/diffusion_pytorch_model\.safetensors"):
        model.read_weights()


def test_homes_are_known_by_their_numbers(tmp_path: Path) -> None:
    one, other = torch.randn(8, 16), torch.randn(8, 16)
    same_start = torch.cat([one.flatten()[:100], torch.zeros(28)]).view(8, 16)
    file = tmp_path / "x.safetensors"
    save_file({"trap": same_start, "renamed": one, "reshaped": other.view(8, 16, 1, 1)}, file)
    wanted = {
        ("unet", "one"): one.bfloat16(),
        ("unet", "other"): other,
        ("unet", "unknown"): torch.randn(8, 16),
        ("unet", "poisoned"): torch.full((8, 16), torch.nan),
    }
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(b"x")
    homes = find_homes([tmp_path / "config.json", damaged, file], wanted)
    assert homes == {("unet", "one"): Home(file, "renamed"), ("unet", "other"): Home(file, "reshaped")}


def test_without_homes_they_wait_in_the_host_s_memory() -> None:
    layer = torch.nn.Linear(3, 2).requires_grad_(False)
    weights, before = Weights({"unet": layer}, {}), layer.weight.clone()
    weights.drop()
    assert layer.weight.numel() == 0
    weights.put(weights.read())
    assert torch.equal(layer.weight, before)
