"""Models that have files in common with a neighbour: links to its folders and shards are part of them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers.models import modeling_utils
from safetensors.torch import load_file, save_file

from tests.drawing import draw, request
from tests.test_engine_weights import kept, load, there_and_back
from tests.test_manifest import damage, manifest_of
from vignette.engine.catalogue import ModelSpec, read_catalogue
from vignette.engine.components import named_files
from vignette.engine.folders import files_below
from vignette.engine.loader import load_model
from vignette.engine.manifest import fingerprint, read_manifest
from vignette.errors import ConfigError
from vignette.reading.probe import _key
from vignette.training.frozen import FrozenModel
from vignette.training.store import hash_files

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
WHOLE, SHARD = "diffusion_pytorch_model.safetensors", "diffusion_pytorch_model-0000{}-of-00002.safetensors"
ENCODER = "text_encoder/model.safetensors"
OWN = {"unet": ("conv_out.weight", "conv_out.bias"), "vae": ("decoder.conv_out.weight", "decoder.conv_out.bias")}


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """`other`, which has all but `OWN` from its neighbour `day`."""
    day, other = Path(shutil.copytree(model_folder, tmp_path / "day")), tmp_path / "other"
    for part, own in OWN.items():
        (other / part).mkdir(parents=True)
        shutil.copy(day / part / "config.json", other / part)
        whole = load_file(day / part / WHOLE)
        (other / part / SHARD.format(1)).symlink_to(Path("..", "..", "day", part, WHOLE))
        save_file({name: whole[name] + 0.5 for name in own}, other / part / SHARD.format(2))
        index = {"metadata": {}, "weight_map": {name: SHARD.format(2 if name in own else 1) for name in whole}}
        (other / part / f"{WHOLE}.index.json").write_text(json.dumps(index))
    shutil.copy(day / "model_index.json", other)
    shutil.copytree(day / "scheduler", other / "scheduler")
    for name in ("text_encoder", "tokenizer"):
        (other / name).symlink_to(Path("..") / "day" / name)
    return other


def assert_own_numbers(folder: Path, part: str, module: torch.nn.Module) -> None:
    theirs, weights = load_file(folder.parent / "day" / part / WHOLE), module.state_dict()
    for name, tensor in theirs.items():
        assert torch.equal(weights[name], tensor + 0.5 if name in OWN[part] else tensor), name


def test_what_a_link_leads_to_is_in_the_version_and_the_manifest(folder: Path, tmp_path: Path) -> None:
    plain = ModelSpec(id="tiny", path=folder)
    names = [name for name, _ in named_files(plain)]
    assert {ENCODER, "tokenizer/tokenizer.json", f"unet/{SHARD.format(1)}", f"unet/{SHARD.format(2)}"} <= set(names)
    version, spec = fingerprint(plain), plain.model_copy(update={"manifest": manifest_of(plain, tmp_path / "m")})
    assert list(read_manifest(tmp_path / "m")) == names
    assert load_model(spec, CPU).version == version
    damage(folder.parent / "day" / ENCODER)
    assert fingerprint(plain) != version
    with pytest.raises(ConfigError, match=f"{ENCODER} differs"):
        load_model(spec, CPU)


def test_what_a_link_leads_to_is_in_the_hash_of_training(folder: Path) -> None:
    parts = ("text", "unet", "vae")
    before = hash_files(folder), [FrozenModel(folder, CPU).hash(part) for part in parts]
    damage(folder.parent / "day" / ENCODER)
    frozen = FrozenModel(folder, CPU)
    assert hash_files(folder) != before[0]
    assert [frozen.hash(part) == old for part, old in zip(parts, before[1], strict=True)] == [False, True, True]
    damage(folder / "unet" / SHARD.format(2))
    assert frozen.hash("unet") != before[1][1]


def test_every_weight_is_found_in_its_own_shard_or_the_neighbour_s(folder: Path) -> None:
    model = load(folder)
    assert kept(model) == set()
    files = {place: home.file for place, home in model.weights._homes.items()}
    assert files["unet", "conv_out.weight"] == folder / "unet" / SHARD.format(2)
    assert files["unet", "conv_in.weight"] == folder / "unet" / SHARD.format(1)
    drawn = draw(model, request()).pictures()[0]
    there_and_back(model)
    assert (draw(model, request()).pictures()[0] == drawn).all()
    assert (draw(load(folder.parent / "day"), request()).pictures()[0] != drawn).any()


def test_its_own_numbers_count_wherever_it_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also under HF_ENABLE_PARALLEL_LOADING, with which the shard that is read last would count."""
    monkeypatch.setattr(modeling_utils, "HF_ENABLE_PARALLEL_LOADING", True)
    for part in OWN:
        assert_own_numbers(folder, part, getattr(load(folder), part))
        assert_own_numbers(folder, part, FrozenModel(folder, CPU).part(part))


def test_a_neighbour_that_is_missing_is_named(folder: Path) -> None:
    shutil.rmtree(folder.parent / "day" / "unet")
    with pytest.raises(ConfigError, match=f"unet/{SHARD.format(1)}.*again"):
        load(folder)
    with pytest.raises(ConfigError, match=f"unet/{SHARD.format(1)}.*again"):
        FrozenModel(folder, CPU)


def test_links_that_lead_round_end(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder, other in ((one, two), (two, one)):
        folder.mkdir()
        (folder / "own.json").touch()
        (folder / "self").symlink_to(".")
        (folder / "up").symlink_to("..")
        (folder / "other").symlink_to(other)
        (folder / "nowhere.json").symlink_to("nothing")
    names = [file.relative_to(one).as_posix() for file in files_below(one)]
    assert names == ["other/own.json", "own.json", "up/two/own.json"]
    assert files_below(tmp_path / "none") == []


def test_the_bundled_ink_returns_as_it_was_and_reads_with_the_same_probe() -> None:
    """Shards and links of the weights that are in the repository."""
    catalogue = read_catalogue(ROOT / "models.toml")
    probes = list((ROOT / "miniature").glob("lexicon.*.safetensors"))
    model = load_model(catalogue.model("miniature-ink"), CPU, returns=True)
    adapter = {("adapter sur", name) for name, _ in model.adapters["sur"].named_parameters()}
    assert kept(model) == adapter
    before = {place: weight.clone() for place, weight in model.weights._parameters.items()}
    there_and_back(model)
    assert all(torch.equal(weight, before[place]) for place, weight in model.weights._parameters.items())
    lexicon = catalogue.default.lexicon
    assert lexicon is not None
    assert probes == [lexicon.with_name(f"lexicon.{_key(lexicon, model)}.safetensors")]
    assert list((ROOT / "miniature").glob("lexicon.*.safetensors")) == probes
