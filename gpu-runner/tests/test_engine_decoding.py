"""Finished pictures are copied from the device while it goes on drawing."""

from __future__ import annotations

import pytest
import torch

from tests.drawing import assert_same, draw, request
from vignette.engine.core import EngineCore
from vignette.engine.decoding import Moment, decode
from vignette.engine.events import Event, Finished, Progress
from vignette.engine.loader import LoadedModel
from vignette.engine.stages import Row


class SlowDevice:
    """A stand-in for a GPU that is never done before it is waited for, as one with a long queue."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits = 0
        monkeypatch.setattr(Moment, "is_past", property(lambda moment: False))
        monkeypatch.setattr(Moment, "wait", self._wait)

    def _wait(self) -> None:
        self.waits += 1


def test_others_go_on_while_a_picture_is_on_its_way(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    device = SlowDevice(monkeypatch)
    told: list[tuple[str, Event]] = []
    core = EngineCore({model.spec.id: model}, lambda id, event: told.append((id, event)))
    short, long = request("short", num_inference_steps=2), request("long", num_inference_steps=6, seed=8)
    for asked in (short, long):
        core.submit(asked)
    while not core.idle:
        core.tick()
    ends = [id for id, event in told if isinstance(event, Finished)]
    steps = [event.step for id, event in told if id == "long" and isinstance(event, Progress)]
    assert (ends, steps) == (["short", "long"], [1, 2, 3, 4, 5, 6])
    before_the_first = told[: told.index(next(pair for pair in told if isinstance(pair[1], Finished)))]
    assert [event.step for id, event in before_the_first if id == "long" and isinstance(event, Progress)] == steps
    assert device.waits == 2
    monkeypatch.undo()
    pictures = {id: event.pictures for id, event in told if isinstance(event, Finished)}
    for asked in (short, long):
        assert_same(pictures[asked.id], draw(model, asked).pictures(asked.id))


def test_a_picture_on_its_way_is_canceled_and_its_id_is_free(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    SlowDevice(monkeypatch)
    told: list[tuple[str, Event]] = []
    core = EngineCore({model.spec.id: model}, lambda id, event: told.append((id, event)))
    core.submit(request("gone", num_inference_steps=2))
    core.submit(request("stays", num_inference_steps=6))
    for _ in range(4):
        core.tick()
    core.cancel("gone")
    core.submit(request("gone", num_inference_steps=8, seed=11))
    while not core.idle:
        core.tick()
    ends = [(id, event.pictures[0]) for id, event in told if isinstance(event, Finished)]
    assert [id for id, _ in ends] == ["stays", "gone"]
    monkeypatch.undo()
    again = draw(model, request("gone", num_inference_steps=8, seed=11)).pictures("gone")
    assert_same([ends[1][1]], again)


def test_several_pictures_of_one_request_that_cannot_be_decoded_fail_it_once(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(model: LoadedModel, rows: list[Row]) -> None:
        raise RuntimeError("decoder")

    monkeypatch.setattr("vignette.engine.decoding.decode", broken)
    assert len([e for e in draw(model, request(num_images=3)).events["a"] if not isinstance(e, Progress)]) == 2


def test_pixels_are_rounded_as_diffusers_rounds_them(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    values = torch.linspace(-1.2, 1.2, 3 * 32 * 32).reshape(1, 3, 32, 32)
    monkeypatch.setattr(model.vae, "decode", lambda latents, return_dict: (values,))
    row = type("Row", (), {"latents": torch.zeros(1, 4, 16, 16)})()
    (picture,) = decode(model, [row]).pictures()
    expected = ((values / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).numpy() * 255).round().astype("uint8")[0]
    assert (picture == expected).all()
