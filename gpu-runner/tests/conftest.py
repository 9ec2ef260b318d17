from __future__ import annotations

import os
from pathlib import Path

# One thread: the models are tiny, and waiting for other threads would take longer than the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch

from tests.tiny import SD15, write_adapter, write_model, write_models_toml
from vignette.engine.catalogue import Catalogue, read_catalogue
from vignette.engine.loader import LoadedModel, load_model

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v-prediction with zero terminal SNR, like the miniature."""
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def sd15_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Epsilon prediction with Stable Diffusion 1.5's scheduler configuration."""
    return write_model(tmp_path_factory.mktemp("sd15"), scheduler=SD15, seed=7)


@pytest.fixture(scope="session")
def adapter_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapter"))


@pytest.fixture(scope="session")
def models_toml(tmp_path_factory: pytest.TempPathFactory, model_folder: Path, adapter_folder: Path) -> Path:
    return write_models_toml(tmp_path_factory.mktemp("catalogue"), model_folder, adapter_folder)


@pytest.fixture(scope="session")
def catalogue(models_toml: Path) -> Catalogue:
    return read_catalogue(models_toml)


@pytest.fixture(scope="session")
def model(catalogue: Catalogue) -> LoadedModel:
    return load_model(catalogue.default, torch.device("cpu"))
