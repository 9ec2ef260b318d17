"""Models whose parts do not fit each other, or that need more than text, are refused before anything is loaded."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.tiny_training import small, write_imagefolder, write_xl
from vignette.errors import ConfigError
from vignette.training.frozen import FrozenModel
from vignette.training.run import train

CPU = torch.device("cpu")


def change(folder: Path, part: str, **fields: object) -> None:
    file = folder / part / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


@pytest.fixture
def folder(sd15_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sd15_folder, tmp_path / "model"))


@pytest.mark.parametrize(
    ("part", "fields", "message"),
    [
        ("unet", {"cross_attention_dim": 48}, "the UNet reads states 48 wide, the text encoders give 32"),
        ("text_encoder", {"hidden_size": 64}, "the UNet reads states 32 wide, the text encoders give 64"),
        ("unet", {"in_channels": 9}, "an inpainting or depth UNet needs more than text; take the base model"),
        ("unet", {"in_channels": 5}, "an inpainting or depth UNet needs more than text"),
        (
            "vae",
            {"latent_channels": 8},
            "the UNet's in_channels are 4, the VAE's latent_channels 8: take the vae/ that belongs to this UNet",
        ),
        ("unet", {"time_cond_proj_dim": 8}, "this UNet wants other conditioning than its pipeline gives"),
        ("unet", {"addition_embed_type": "text_time"}, "this UNet wants other conditioning than its pipeline gives"),
    ],
    ids=["wide unet", "wide encoder", "inpainting", "depth", "deep vae", "distilled", "conditioning of xl"],
)
def test_what_does_not_fit_is_named(part: str, fields: dict, message: str, folder: Path) -> None:
    FrozenModel(folder, CPU)
    change(folder, part, **fields)
    with pytest.raises(ConfigError, match=message) as error:
        FrozenModel(folder, CPU)
    assert str(error.value).startswith(f"{folder}: ")


def test_both_encoders_of_xl_are_counted(tmp_path: Path) -> None:
    folder = write_xl(tmp_path / "xl")
    assert FrozenModel(folder, CPU).widths == (32, 24)
    change(folder, "text_encoder_2", hidden_size=32)
    with pytest.raises(ConfigError, match="the UNet reads states 56 wide, the text encoders give 64"):
        FrozenModel(folder, CPU)


def test_the_pooled_vector_of_xl_has_to_fit(tmp_path: Path) -> None:
    folder = write_xl(tmp_path / "xl")
    change(folder, "text_encoder_2", projection_dim=24)
    wrong = (
        "text_encoder_2's projection_dim is 24, .* projection_class_embeddings_input_dim, 40: take the text_encoder_2/"
    )
    with pytest.raises(ConfigError, match=wrong):
        FrozenModel(folder, CPU)
    shutil.rmtree(folder / "tokenizer_2")
    with pytest.raises(
        ConfigError, match="tokenizer_2 holds neither tokenizer.json nor .* download tokenizer_2/ again"
    ):
        FrozenModel(folder, CPU)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("tokenizer", None, "tokenizer holds neither tokenizer.json nor vocab.json with merges.txt; copy or download"),
        ("tokenizer/tokenizer.json", None, "tokenizer holds neither tokenizer.json nor vocab.json with merges.txt"),
        ("tokenizer/tokenizer.json", "{", "tokenizer.json cannot be read: "),
        ("scheduler", None, "scheduler_config.json is missing; copy or download scheduler/ again"),
        ("unet/config.json", None, "unet/config.json is missing; copy or download unet/ again"),
        ("unet/config.json", "[]", "unet/config.json cannot be read: it holds no object"),
        ("vae/config.json", '{"block_out_channels": 8}', "config.json: block_out_channels is 8; copy or download vae/"),
    ],
)
def test_a_missing_or_broken_file_is_named(file: str, content: str | None, message: str, folder: Path) -> None:
    place = folder / file
    if content is not None:
        place.write_text(content)
    elif place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()
    with pytest.raises(ConfigError, match=message):
        FrozenModel(folder, CPU)


@pytest.mark.parametrize("size", [None, [16, 24]])
def test_a_unet_that_names_no_side_needs_a_resolution(size: object, folder: Path, tmp_path: Path) -> None:
    assert FrozenModel(folder, CPU).resolution == 32
    change(folder, "unet", sample_size=size)
    options = small(folder, write_imagefolder(tmp_path / "data"), tmp_path / "run", steps=1)
    with pytest.raises(ConfigError, match="config.json gives no side .* as sample_size: name .* with --resolution"):
        train(options, "cpu")
    assert train(replace(options, resolution=32), "cpu")


def test_a_part_without_weights_or_with_pickles_is_named(folder: Path) -> None:
    [file] = (folder / "unet").glob("*.safetensors")
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(ConfigError, match=r"diffusion_pytorch_model\.bin is a pickle, .*save_pretrained of diffusers"):
        FrozenModel(folder, CPU)
    file.with_suffix(".bin").unlink()
    with pytest.raises(ConfigError, match="unet holds no safetensors; copy or download it again"):
        FrozenModel(folder, CPU)
