from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

# One thread: the models are tiny, and waiting for other threads would take longer than the work.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"

import httpx
import pytest
import torch

from tests.lives import Lives
from tests.processes import Receiver, Runner, Start
from tests.serving import Inbox, build_service, client_of
from tests.tiny import SD15, write_adapter, write_model, write_models_toml
from tests.tiny_miniature import TinyMiniature, train_tiny
from vignette.engine import device_thread
from vignette.engine.catalogue import Catalogue, read_catalogue
from vignette.engine.engine import Engine, State
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.observer import Observer, UNetCall
from vignette.server.service import PredictionService

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
def tiny_miniature(tmp_path_factory: pytest.TempPathFactory) -> TinyMiniature:
    return train_tiny(tmp_path_factory.mktemp("miniature"))


@pytest.fixture
def work(tiny_miniature: TinyMiniature) -> Path:
    """The work folder of the tiny miniature's training."""
    return tiny_miniature.work


@pytest.fixture
def exported(tiny_miniature: TinyMiniature) -> Path:
    """The tiny miniature's exported weights."""
    return tiny_miniature.weights


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


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Gate(Observer):
    """Holds the device's thread after a UNet call until it is opened."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self._open.set()

    def shut(self) -> None:
        self._open.clear()

    def open(self) -> None:
        self._open.set()

    def unet_called(self, call: UNetCall) -> None:
        self._open.wait(timeout=60)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def engine(
    catalogue: Catalogue, model: LoadedModel, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Engine]:
    monkeypatch.setattr(device_thread, "load_model", lambda spec, device, **_: model)
    engine = Engine(catalogue, torch.device("cpu"), max_queue=3, observer=gate)
    engine.start()
    assert await engine.settled() is State.READY
    yield engine
    gate.open()
    await engine.stop()


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def service(engine: Engine, inbox: Inbox, tmp_path: Path) -> AsyncIterator[PredictionService]:
    service = build_service(engine, inbox, tmp_path)
    yield service
    await service.close()


@pytest.fixture
async def client(service: PredictionService) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(service) as client:
        yield client


@pytest.fixture
async def lives(engine: Engine, inbox: Inbox, tmp_path: Path) -> AsyncIterator[Lives]:
    lives = Lives(engine, inbox, tmp_path / "state")
    yield lives
    await lives.kill()


@pytest.fixture
def start(models_toml: Path, tmp_path: Path) -> Iterator[Start]:
    """Starts `vignette serve` with further arguments; all share one state folder, and none outlives the test."""
    started: list[Runner] = []

    def start(*arguments: str, models: Path = models_toml, **options: Any) -> Runner:
        started.append(Runner(models, tmp_path / "state", *arguments, **options))
        return started[-1]

    yield start
    for runner in started:
        if runner.process.poll() is None:
            runner.process.kill()
        runner.process.communicate()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()
