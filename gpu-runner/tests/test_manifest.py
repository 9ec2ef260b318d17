"""SHA-256 of a model's files, one by one: the file that differs is named."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from tests.test_engine_lora import write_lora
from tests.tiny import write_models_toml
from vignette.cli import main
from vignette.engine.catalogue import AdapterSpec, LoraSpec, ModelSpec, read_catalogue
from vignette.engine.loader import load_model
from vignette.engine.manifest import fingerprint, read_manifest, write_manifest
from vignette.errors import ConfigError

CPU = torch.device("cpu")
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def manifest_of(spec: ModelSpec, file: Path) -> Path:
    file.write_text(write_manifest(spec))
    return file


def damage(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


def refusal(spec: ModelSpec) -> str:
    with pytest.raises(ConfigError) as error:
        load_model(spec, CPU)
    return str(error.value)


def test_names_do_not_depend_on_where_the_files_lie(folder: Path, adapter_folder: Path, tmp_path: Path) -> None:
    additions = {
        "adapters": (AdapterSpec(id="sur", path=adapter_folder, any_encoder=True),),
        "loras": (LoraSpec(id="ink", path=write_lora(tmp_path / "any.safetensors", "peft")),),
    }
    spec = ModelSpec(id="tiny", path=folder, **additions)
    names = set(read_manifest(manifest_of(spec, tmp_path / "m")))
    assert {UNET, "model_index.json", "adapters/sur/config.json", "loras/ink/any.safetensors"} <= names
    moved = ModelSpec(id="tiny", path=Path(shutil.copytree(folder, tmp_path / "elsewhere")), **additions)
    assert load_model(moved.model_copy(update={"manifest": tmp_path / "m"}), CPU)


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="coreutils are not installed")
def test_coreutils_read_it_in_the_model_s_folder(folder: Path, tmp_path: Path) -> None:
    file = manifest_of(ModelSpec(id="tiny", path=folder), tmp_path / "m")
    command = ["sha256sum", "--check", "--quiet", str(file)]
    assert subprocess.run(command, cwd=folder, check=False).returncode == 0
    damage(folder / UNET)
    assert subprocess.run(command, cwd=folder, check=False, capture_output=True).returncode == 1


def test_every_kind_of_difference_is_named(folder: Path, tmp_path: Path) -> None:
    plain = ModelSpec(id="tiny", path=folder)
    (folder / "notes.txt").write_text("of the first day")
    spec = plain.model_copy(update={"manifest": manifest_of(plain, tmp_path / "m")})
    assert load_model(spec, CPU).version == fingerprint(spec)
    damage(folder / UNET)
    (folder / "unet" / "more.json").write_text("{}")
    (folder / "notes.txt").unlink()
    said = refusal(spec)
    assert f"{UNET} differs" in said
    assert "notes.txt is missing" in said
    assert "unet/more.json is not in it" in said
    assert "vignette models manifest tiny" in said


def test_a_damaged_manifest_is_named_with_its_line(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "m"
    spec = ModelSpec(id="tiny", path=folder, manifest=file)
    assert "cannot be read" in refusal(spec)
    file.write_text(f"{'0' * 64}  x.json\nnot a line\n")
    assert "line 2" in refusal(spec)


def test_a_wrong_version_says_what_would_name_the_file(folder: Path) -> None:
    assert "a manifest would name" in refusal(ModelSpec(id="tiny", path=folder, sha256="0" * 64))


def test_the_command_writes_it_and_the_check_reads_it(
    folder: Path,
    adapter_folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIGNETTE_DEVICE", "cpu")
    toml = write_models_toml(tmp_path, folder, adapter_folder)
    assert main(["models", "manifest", "tiny", "--models", str(toml)]) == 0
    (tmp_path / "tiny.sha256").write_text(capsys.readouterr().out)
    toml.write_text(toml.read_text().replace("default = true", 'default = true\nmanifest = "tiny.sha256"', 1))
    assert read_catalogue(toml).default.manifest == tmp_path / "tiny.sha256"
    assert main(["models", "check", "tiny", "--models", str(toml)]) == 0
    assert "loads and draws" in capsys.readouterr().out
    damage(folder / UNET)
    assert main(["models", "--models", str(toml), "check"]) == 2
    assert f"{UNET} differs" in capsys.readouterr().err
    assert main(["models", "check", "other", "--models", str(toml)]) == 2
    assert "this runner has: tiny" in capsys.readouterr().err
