"""Only safetensors, only what is supported, and every refusal names the folder and the remedy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny import write_adapter, write_model
from vignette.cli import main
from vignette.engine import loader
from vignette.engine.catalogue import AdapterSpec, Defaults, ModelSpec
from vignette.engine.loader import LoadedModel, fingerprint, load_model, pick_device
from vignette.errors import ConfigError

CPU = torch.device("cpu")


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def spec(folder: Path, **fields: object) -> ModelSpec:
    return ModelSpec(id="tiny", path=folder, **fields)  # type: ignore[arg-type]


def refusal(folder: Path, **fields: object) -> str:
    with pytest.raises(ConfigError) as error:
        load_model(spec(folder, **fields), CPU)
    return str(error.value)


def test_pickled_weights_are_refused_with_the_converters_name(folder: Path) -> None:
    weights = folder / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(weights), folder / "unet" / "diffusion_pytorch_model.bin")
    weights.unlink()
    message = refusal(folder)
    assert "diffusion_pytorch_model.bin is a pickle" in message
    assert "vignette adapter convert" in message


def test_a_single_checkpoint_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.ckpt").write_bytes(b"x")
    assert "pickle" in refusal(tmp_path / "model.ckpt")
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert "cut off or damaged" in refusal(tmp_path / "model.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    assert "as config" in refusal(tmp_path / "model.safetensors")


def test_other_pipelines_and_folders_are_named(folder: Path, tmp_path: Path) -> None:
    assert "model_index.json is missing" in refusal(tmp_path / "nothing")
    index = folder / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"_class_name": "FluxPipeline"}))
    assert "FluxPipeline" in refusal(folder)
    index.write_text("{")
    assert "cannot be read" in refusal(folder)


def test_parts_that_are_missing_or_of_another_model_are_named(folder: Path, tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", latent_channels=8)
    shutil.copytree(other / "vae", folder / "vae", dirs_exist_ok=True)
    assert "in_channels are 4, the VAE's latent_channels 8: take the vae/ that belongs" in refusal(folder)
    shutil.rmtree(folder / "tokenizer")
    assert "tokenizer holds neither tokenizer.json nor vocab.json with merges.txt" in refusal(folder)


def test_missing_weights_are_named(folder: Path) -> None:
    file = folder / "vae" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    dropped = sorted(weights)[0]
    save_file({k: v for k, v in weights.items() if k != dropped}, file, metadata={"format": "pt"})
    assert dropped in refusal(folder)
    file.write_bytes(b"\xff" * 100)
    assert "vae" in refusal(folder)


def test_a_cut_off_download_is_named(folder: Path) -> None:
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    message = refusal(folder)
    assert str(file) in message
    assert "download it again" in message


def test_an_adapter_for_another_model_is_refused(folder: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path / "narrow", max_length=20)
    adapters = (AdapterSpec(id="sur", path=tmp_path / "narrow"),)
    assert "fewer tokens" in refusal(folder, adapters=adapters)
    config = tmp_path / "narrow" / "config.json"
    config.unlink()
    assert "config.json is missing" in refusal(folder, adapters=adapters)


def test_a_default_scheduler_has_to_fit(folder: Path) -> None:
    assert "PNDMScheduler" in refusal(folder, defaults=Defaults(scheduler="PNDMScheduler"))


def test_the_version_changes_with_every_byte(folder: Path) -> None:
    before = fingerprint(spec(folder))
    assert before == fingerprint(spec(folder))
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert fingerprint(spec(folder)) != before


def test_loaded_parts_are_frozen_and_still(model_folder: Path) -> None:
    model = load_model(spec(model_folder), CPU)
    for part in (model.unet, model.vae, model.text_encoder):
        assert not part.training
        assert not any(p.requires_grad for p in part.parameters())
    assert model.dtype == torch.float32
    assert model.pixels_per_latent == 2


def test_devices() -> None:
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ConfigError, match="must be auto"):
        pick_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="no such device"):
            pick_device("cuda")


def test_other_files_than_expected_are_named(folder: Path) -> None:
    version = fingerprint(spec(folder))
    assert load_model(spec(folder, sha256=version), CPU).version == version
    assert version in refusal(folder, sha256="0" * 64)


def test_the_check_draws_with_every_model_and_names_what_fails(
    folder: Path,
    model_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIGNETTE_DEVICE", "cpu")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({k: v * torch.nan for k, v in load_file(file).items()}, file, metadata={"format": "pt"})
    size = "[models.defaults]\nwidth = 64\nheight = 64"
    toml = tmp_path / "models.toml"
    toml.write_text(
        f'[[models]]\nid = "bad"\npath = "{folder}"\n{size}\n'
        f'[[models]]\nid = "good"\npath = "{model_folder}"\ndefault = true\n{size}\n'
    )
    assert main(["models", "check", "--models", str(toml)]) == 2
    said = capsys.readouterr()
    assert "bad cannot draw" in said.err
    assert "NaN" in said.err
    assert said.out.startswith("good: loads and draws on cpu")


def test_the_check_goes_on_after_whatever_a_model_fails_of(
    model_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGNETTE_DEVICE", "cpu")
    original = loader.load_model

    def load(spec: ModelSpec, device: torch.device) -> LoadedModel:
        if spec.id == "large":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 5 GiB.")
        return original(spec, device)

    monkeypatch.setattr(loader, "load_model", load)
    toml = tmp_path / "models.toml"
    size = "[models.defaults]\nwidth = 64\nheight = 64"
    toml.write_text(
        "".join(f'[[models]]\nid = "{id}"\npath = "{model_folder}"\n{size}\n' for id in ("large", "good")).replace(
            size, f"default = true\n{size}", 1
        )
    )
    assert main(["models", "check", "--models", str(toml)]) == 2
    said = capsys.readouterr()
    assert said.err.startswith("large: it does not load or draw: OutOfMemoryError: CUDA out of memory")
    assert "Traceback" not in said.err
    assert said.out.startswith("good: loads and draws on cpu")
