"""A model that is a single safetensors file is compared as a folder is, by its id in models.toml."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.test_loader_single_file import write_single_file
from tests.tiny import write_models_toml
from vignette.engine.catalogue import Catalogue, read_catalogue
from vignette.errors import ConfigError
from vignette.evaluation import drawing
from vignette.evaluation.cases import choose, read_cases
from vignette.evaluation.drawing import Settings, draw, picture_file, plan
from vignette.evaluation.variants import parse_variant

CPU = torch.device("cpu")
CASES = choose(read_cases(), ["colour"], 1)
SETTINGS = Settings(num_inference_steps=2, guidance_scale=4.0, width=64, height=64)


@pytest.fixture
def catalogue(sd15_folder: Path, adapter_folder: Path, tmp_path: Path) -> Catalogue:
    file = write_single_file(sd15_folder, tmp_path / "single.safetensors")
    config = shutil.copytree(sd15_folder, tmp_path / "config")
    entries = "".join(
        f'[[models]]\nid = "{id}"\npath = "{file}"\n{more}\n'
        for id, more in (("single", f'config = "{config}"'), ("bare", ""))
    )
    return read_catalogue(write_models_toml(tmp_path, sd15_folder, adapter_folder, more=entries))


def test_it_draws_what_its_folder_draws(catalogue: Catalogue, tmp_path: Path) -> None:
    variants = [parse_variant(f"model={id},prompt=keywords", catalogue) for id in ("tiny", "single")]
    jobs = plan(variants, CASES, 1, SETTINGS, CPU)
    assert draw(jobs, tmp_path / "pictures", CPU) == {}
    files = [picture_file(tmp_path / "pictures", job.key) for job in jobs]
    assert len({job.key for job in jobs}) == 2
    assert len({Image.open(file).tobytes() for file in files}) == 1


def test_another_configuration_is_another_picture(catalogue: Catalogue, tmp_path: Path) -> None:
    variant = parse_variant("model=single,prompt=keywords", catalogue)
    [before] = plan([variant], CASES, 1, SETTINGS, CPU)
    file = tmp_path / "config" / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"beta_start": 0.001}))
    drawing._fingerprint.cache_clear()
    [after] = plan([variant], CASES, 1, SETTINGS, CPU)
    assert after.key != before.key


def test_it_may_be_named_by_its_path_where_it_is_listed(catalogue: Catalogue, tmp_path: Path) -> None:
    assert parse_variant(f"model={tmp_path}/single.safetensors,prompt=keywords", catalogue).model.id == "single"
    (tmp_path / "other.safetensors").touch()
    with pytest.raises(ConfigError, match=r"is a single file; list it in models\.toml with a `config` folder"):
        parse_variant(f"model={tmp_path}/other.safetensors,prompt=keywords", catalogue)


def test_without_a_config_the_remedy_is_named(catalogue: Catalogue) -> None:
    with pytest.raises(ConfigError, match="The model bare is a single file; name a diffusers folder"):
        plan([parse_variant("model=bare,prompt=keywords", catalogue)], CASES, 1, SETTINGS, CPU)
