"""Models whose parts do not fit each other, or that need more than text, are refused before anything is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from tests.tiny_training import write_xl
from vignette.errors import ConfigError
from vignette.training.frozen import FrozenModel

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
    ],
    ids=["wide unet", "wide encoder", "inpainting", "depth"],
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


def test_a_part_without_weights_or_with_pickles_is_named(folder: Path) -> None:
    [file] = (folder / "unet").glob("*.safetensors")
    file.rename(file.with_suffix(".bin"))
    with pytest.raises(ConfigError, match="unet holds no safetensors; pickled weights are not loaded"):
        FrozenModel(folder, CPU)
