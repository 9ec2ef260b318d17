"""The engine's asyncio side: one end per request, whatever happens to it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.conftest import Gate
from tests.drawing import assert_same, draw, request
from vignette.engine import device_thread, stages
from vignette.engine.catalogue import Catalogue, Defaults, ModelSpec
from vignette.engine.engine import Engine, State
from vignette.engine.events import Failed, Finished, Progress, Started
from vignette.engine.loader import LoadedModel
from vignette.errors import ConfigError, Unavailable

pytestmark = pytest.mark.anyio


async def test_events_in_order_and_the_right_picture(engine: Engine, model: LoadedModel) -> None:
    events = [event async for event in engine.submit(request())]
    assert isinstance(events[0], Started)
    assert all(isinstance(event, Progress) for event in events[1:-1])
    assert isinstance(events[-1], Finished)
    assert_same(events[-1].pictures, draw(model, request()).pictures())
    assert engine.unfinished == 0


async def test_a_full_queue_says_when_to_come_back(engine: Engine, gate: Gate) -> None:
    gate.shut()
    tickets = [engine.submit(request(str(i))) for i in range(3)]
    with pytest.raises(Unavailable) as error:
        engine.submit(request("one too many"))
    assert error.value.retry_after > 0
    gate.open()
    for ticket in tickets:
        await ticket.result()
    await engine.submit(request("now there is room")).result()


async def test_a_cancel_ends_one_request_at_once(engine: Engine, gate: Gate) -> None:
    gate.shut()
    canceled, other = engine.submit(request("a")), engine.submit(request("b"))
    canceled.cancel()
    canceled.cancel()
    with pytest.raises(RuntimeError, match="canceled"):
        await canceled.result()
    assert engine.unfinished == 1
    gate.open()
    assert isinstance(await other.result(), Finished)


async def test_a_drain_finishes_what_is_under_way(engine: Engine) -> None:
    ticket = engine.submit(request())
    await engine.drain(seconds=60)
    assert isinstance(await ticket.result(), Finished)
    with pytest.raises(Unavailable, match="draining"):
        engine.submit(request("late"))


async def test_what_a_drain_cannot_finish_fails_with_a_sentence(engine: Engine, gate: Gate) -> None:
    gate.shut()
    ticket = engine.submit(request())
    await engine.drain(seconds=0)
    events = [event async for event in ticket]
    assert isinstance(events[-1], Failed)
    assert events[-1].code == "shutting_down"
    assert engine.unfinished == 0


async def test_a_broken_device_ends_every_request(engine: Engine, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered", 710)

    gate.shut()
    first = engine.submit(request("a"))
    second = engine.submit(request("b", width=48))
    monkeypatch.setattr(stages, "denoise", broken)
    gate.open()
    await engine.broken()
    assert engine.state is State.DEFUNCT
    for ticket in (first, second):
        with pytest.raises(RuntimeError, match="ask again"):
            await ticket.result()
    with pytest.raises(Unavailable, match="defunct"):
        engine.submit(request("c"))


async def test_models_that_cannot_be_loaded_are_named(catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ConfigError("The model tiny: its folder is gone.")

    monkeypatch.setattr(device_thread, "load_model", broken)
    engine = Engine(catalogue, torch.device("cpu"))
    engine.start()
    assert await engine.settled() is State.SETUP_FAILED
    assert engine.setup_error == "The model tiny: its folder is gone."
    with pytest.raises(Unavailable):
        engine.submit(request())
    await engine.stop()


async def test_poisoned_weights_are_named_before_anybody_draws_with_them(model_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model_folder, tmp_path / "poisoned"))
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    weights["conv_out.weight"][0, 0, 0, 0] = torch.nan
    save_file(weights, file, metadata={"format": "pt"})
    spec = ModelSpec(id="poisoned", path=folder, defaults=Defaults(width=64, height=64))
    engine = Engine(Catalogue(models=(spec,)), torch.device("cpu"))
    engine.start()
    assert await engine.settled() is State.SETUP_FAILED
    assert engine.setup_error
    assert "The model poisoned cannot draw" in engine.setup_error
    assert "NaN" in engine.setup_error
    await engine.stop()
