"""Models by their name on the Hub: one commit, in the cache, downloaded only when that is asked for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from huggingface_hub.utils import filter_repo_objects

from vignette.cli import main
from vignette.engine.catalogue import read_catalogue
from vignette.engine.hub import fetch
from vignette.engine.loader import load_model
from vignette.errors import ConfigError

COMMIT = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
TOML = f"""
[[models]]
id = "sd15"
hub = "owner/name"
revision = "{COMMIT}"
"""
# What repositories of Stable Diffusion hold, of each kind one.
REPOSITORY = [
    "README.md",
    "model_index.json",
    "v1-5-pruned.safetensors",
    "safety_checker/model.safetensors",
    "scheduler/scheduler_config.json",
    "text_encoder/config.json",
    "text_encoder/model.fp16.safetensors",
    "text_encoder/model.safetensors",
    "text_encoder/pytorch_model.bin",
    "text_encoder_2/model.fp16-00001-of-00002.safetensors",
    "text_encoder_2/model-00001-of-00002.safetensors",
    "text_encoder_2/model.safetensors.index.json",
    "tokenizer/merges.txt",
    "tokenizer/vocab.json",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.non_ema.safetensors",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/model.onnx",
    "vae/diffusion_pytorch_model.safetensors",
    "vae_1_0/diffusion_pytorch_model.safetensors",
]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    file = tmp_path / "models.toml"
    file.write_text(TOML)
    return file


def test_a_commit_in_the_cache_is_a_model_like_any_other(cache: Path, toml: Path, model_folder: Path) -> None:
    place = cache / "models--owner--name" / "snapshots" / COMMIT
    spec = read_catalogue(toml).default
    assert spec.path == place
    with pytest.raises(ConfigError, match=f"owner/name at {COMMIT} .*vignette models fetch sd15"):
        load_model(spec, torch.device("cpu"))
    shutil.copytree(model_folder, place)
    assert load_model(spec, torch.device("cpu")).version


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (f'revision = "{COMMIT}"', "", "needs a revision"),
        (f'revision = "{COMMIT}"', 'revision = "main"', "needs a revision"),
        ('hub = "owner/name"', 'hub = "name"', "owner and a name"),
        ('hub = "owner/name"', 'hub = "owner/name"\npath = "x"', "two places"),
        ('hub = "owner/name"', 'path = "x"', "which is missing"),
    ],
)
def test_mistakes_are_named(cache: Path, toml: Path, old: str, new: str, says: str) -> None:
    toml.write_text(TOML.replace(old, new))
    with pytest.raises(ConfigError, match=rf"models\[0\].*{says}"):
        read_catalogue(toml)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What is downloaded, without a network."""
    asked: list[dict[str, Any]] = []

    def download(name: str, **options: Any) -> str:
        asked.append({"name": name, **options})
        return "/there"

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    return asked


def wanted(options: dict[str, Any]) -> set[str]:
    patterns = {name: options[name] for name in ("allow_patterns", "ignore_patterns")}
    return set(filter_repo_objects(REPOSITORY, **patterns))


def test_only_what_is_loaded_is_downloaded(asked: list[dict[str, Any]]) -> None:
    assert fetch("owner/name", COMMIT, None) == Path("/there")
    assert (asked[0]["name"], asked[0]["revision"]) == ("owner/name", COMMIT)
    described = {"model_index.json", "scheduler/scheduler_config.json", "text_encoder/config.json"}
    described |= {"tokenizer/merges.txt", "tokenizer/vocab.json", "text_encoder_2/model.safetensors.index.json"}
    assert wanted(asked[0]) == described | {
        "text_encoder/model.safetensors",
        "text_encoder_2/model-00001-of-00002.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "vae/diffusion_pytorch_model.safetensors",
    }
    fetch("owner/name", COMMIT, "fp16")
    assert wanted(asked[1]) == described | {
        "text_encoder/model.fp16.safetensors",
        "text_encoder_2/model.fp16-00001-of-00002.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
    }


def test_the_command_downloads_models_of_the_hub(
    cache: Path, toml: Path, model_folder: Path, asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    toml.write_text(f'{TOML}default = true\n[[models]]\nid = "here"\npath = "{model_folder}"\n')
    assert main(["models", "fetch", "--models", str(toml)]) == 0
    assert capsys.readouterr().out == "sd15: /there\n"
    assert len(asked) == 1
    assert main(["models", "fetch", "here", "--models", str(toml)]) == 2
    assert "nothing to download" in capsys.readouterr().err


def test_a_hub_that_cannot_be_reached_is_a_sentence(
    cache: Path, toml: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the library itself, which is offline in these tests."""
    assert main(["models", "fetch", "--models", str(toml)]) == 2
    said = capsys.readouterr().err
    assert f"owner/name at {COMMIT} cannot be downloaded" in said
    assert "Traceback" not in said
