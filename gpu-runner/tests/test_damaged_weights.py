"""Weights that an interrupted download or a renaming left behind: whoever loads them says which file it is, and what to do."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForZeroShotImageClassification

from tests.surd_models import write_blip, write_clip
from tests.tiny_training import write_teacher
from vignette.engine.catalogue import ModelSpec
from vignette.engine.loader import load_model
from vignette.errors import ConfigError
from vignette.evaluation.instruments import local
from vignette.surd.caption import make_caption
from vignette.surd.score import make_score
from vignette.training.frozen import FrozenModel
from vignette.training.teacher import Teacher

CPU = torch.device("cpu")
Write = Callable[[Path], Path]
LOADERS: dict[str, tuple[str, Write | None, Callable[[Path], object]]] = {
    "engine": ("unet", None, lambda folder: load_model(ModelSpec(id="tiny", path=folder), CPU)),
    "training, unet": ("unet", None, lambda folder: FrozenModel(folder, CPU)),
    "training, vae": ("vae", None, lambda folder: FrozenModel(folder, CPU)),
    "training, text encoder": ("text_encoder", None, lambda folder: FrozenModel(folder, CPU)),
    "teacher": (".", write_teacher, lambda folder: Teacher(str(folder), "mean", False, CPU)),
    "instrument": (
        ".",
        write_clip,
        lambda folder: local.load(AutoModelForZeroShotImageClassification, folder, "--clip", CPU),
    ),
    "captioner": (".", write_blip, lambda folder: make_caption(str(folder), None, "", 8)),
    "score": (".", write_clip, lambda folder: make_score(str(folder), None)),
}


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize("kept", [5, -1000], ids=["in the header", "near the end"])
def test_a_cut_file_is_named_with_the_remedy(
    loader: str, kept: int, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGNETTE_DEVICE", "cpu")
    file, load = _whole(loader, model_folder, tmp_path / "model")
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(ConfigError) as error:
        load()
    assert str(error.value).startswith(f"{file} is cut off or damaged (")
    assert str(error.value).endswith("copy or download it again.")


@pytest.mark.parametrize("loader", LOADERS)
def test_a_pickle_under_another_name_is_named(
    loader: str, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGNETTE_DEVICE", "cpu")
    file, load = _whole(loader, model_folder, tmp_path / "model")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "pickle")
    (tmp_path / "pickle").rename(file)
    with pytest.raises(ConfigError) as error:
        load()
    assert str(error.value).startswith(f"{file} is a pickle under the name of safetensors, which can run any code")


def _whole(loader: str, model_folder: Path, folder: Path) -> tuple[Path, Callable[[], object]]:
    """A part's weights in `folder`, and what loads them, which it has done once."""
    part, write, load = LOADERS[loader]
    write(folder) if write else shutil.copytree(model_folder, folder)
    load(folder)
    [file] = (folder / part).glob("*.safetensors")
    return file, lambda: load(folder)
