"""Finished pictures are copied from the device while it goes on drawing."""

from __future__ import annotations

import pytest
import torch

from tests.drawing import Drawing, assert_same, draw, request
from vignette.engine import decoding, stages
from vignette.engine.core import EngineCore
from vignette.engine.decoding import Decoding, decode
from vignette.engine.decodings import CHUNK, CHUNK_IN_COMPANY
from vignette.engine.events import Event, Failed, Finished, Progress, Started
from vignette.engine.loader import LoadedModel
from vignette.engine.request import GenerationRequest
from vignette.engine.stages import Row
from vignette.engine.transfers import Moment
from vignette.engine.unet_calls import AHEAD


class SlowDevice:
    """A stand-in for a GPU that comes no further than somebody has waited for, as one with a long queue."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queued = self.reached = 0
        self._place: dict[Moment, int] = {}
        original = Moment.__init__

        def begin(moment: Moment, device: torch.device) -> None:
            original(moment, device)
            self.queued += 1
            self._place[moment] = self.queued

        def wait(moment: Moment) -> None:
            self.reached = max(self.reached, self._place[moment])

        monkeypatch.setattr(Moment, "__init__", begin)
        monkeypatch.setattr(Moment, "is_past", property(lambda moment: self._place[moment] <= self.reached))
        monkeypatch.setattr(Moment, "wait", wait)


def test_others_go_on_while_a_picture_is_on_its_way(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    SlowDevice(monkeypatch)
    told: list[tuple[str, Event]] = []
    core = EngineCore({model.spec.id: model}, lambda id, event: told.append((id, event)))
    short, long = request("short", num_inference_steps=2), request("long", num_inference_steps=6, seed=8)
    for asked in (short, long):
        core.submit(asked)
    while not core.idle:
        core.tick()
    ends = [id for id, event in told if isinstance(event, Finished)]
    steps = [event.step for id, event in told if id == "long" and isinstance(event, Progress)]
    assert ends == ["short", "long"]
    end = next(k for k, pair in enumerate(told) if isinstance(pair[1], Finished))
    before = [event.step for id, event in told[:end] if id == "long" and isinstance(event, Progress)]
    assert before == steps[: len(before)]
    assert before[-1] > 2  # steps were taken between the short one's last and its picture
    assert steps[-1] == 6
    monkeypatch.undo()
    pictures = {id: event.pictures for id, event in told if isinstance(event, Finished)}
    for asked in (short, long):
        assert_same(pictures[asked.id], draw(model, asked).pictures(asked.id))


def test_decoding_does_not_stall_who_waits_for_a_step(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """While others are drawn, a few pictures are decoded between two steps; when all are done, many at once."""
    done, original = [], decoding.decode

    def noted(model: LoadedModel, rows: list[Row]) -> Decoding:
        done.append(len(rows))
        return original(model, rows)

    monkeypatch.setattr(decoding, "decode", noted)
    crowd = [request(str(k), seed=k) for k in range(CHUNK)]
    drawing = draw(model, *crowd, request("long", num_inference_steps=20))
    assert done == [*[CHUNK_IN_COMPANY] * (CHUNK // CHUNK_IN_COMPANY), 1]
    assert drawing.calls[5:] == [1] * 15
    done.clear()
    draw(model, *crowd)
    assert done == [CHUNK]


def test_the_device_is_kept_busy_and_never_outrun(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever joins or cancels waits for one step that is queued already, not for all of the others'."""
    SlowDevice(monkeypatch)
    drawing = Drawing(model)
    original, behind = stages.denoise, []

    def noted(model: LoadedModel, conditioning: stages.Conditioning) -> torch.Tensor:
        behind.append(len(behind) - len(drawing.calls))
        return original(model, conditioning)

    monkeypatch.setattr(stages, "denoise", noted)
    drawing.run(request(num_inference_steps=6))
    assert behind == [0, *[AHEAD] * 5]
    assert len(drawing.calls) == 6
    assert [type(event) for event in drawing.events["a"]][:2] == [Started, Progress]


def test_invalid_states_fail_their_own_request_once_the_device_has_said_so(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    device, original = SlowDevice(monkeypatch), stages.prepare

    def prepare(model: LoadedModel, asked: GenerationRequest) -> tuple:
        rows, prompt = original(model, asked)
        if asked.id == "bad":
            for row in rows:
                row.cond = torch.full_like(row.cond, torch.nan)
        return rows, prompt

    monkeypatch.setattr(stages, "prepare", prepare)
    drawing = Drawing(model)
    for id, steps in (("bad", 6), ("brief", 1), ("good", 6)):
        drawing.core.submit(request(id, num_inference_steps=steps, seed=3, scheduler="EulerDiscreteScheduler"))
    drawing.core.tick()
    assert device.reached == 0  # admitted and drawn without a wait
    assert drawing.events == {}
    drawing.run()
    (failed,) = drawing.events["bad"]
    assert isinstance(failed, Failed)
    assert failed.code == "invalid_embedding"
    assert len(drawing.pictures("brief")) == 1
    monkeypatch.undo()
    alone = draw(model, request("good", num_inference_steps=6, seed=3, scheduler="EulerDiscreteScheduler"))
    assert_same(drawing.pictures("good"), alone.pictures("good"))


@pytest.mark.parametrize("asked", [{"num_inference_steps": 1}, {"preview_every": 1}])
def test_invalid_states_are_named_before_any_picture(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, asked: dict
) -> None:
    """As soon as one comes from the device, what it said before is there too."""
    SlowDevice(monkeypatch)
    monkeypatch.setattr(model.adapters["sur"], "forward", lambda states, mask, scale: states * torch.nan)
    drawing = draw(model, request(adapter="sur", scheduler="EulerDiscreteScheduler", **asked))
    assert [event.code for event in drawing.events["a"] if isinstance(event, Failed)] == ["invalid_embedding"]
    assert len(drawing.events["a"]) == 1


def test_a_picture_on_its_way_is_canceled_and_its_id_is_free(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    SlowDevice(monkeypatch)
    told: list[tuple[str, Event]] = []
    core = EngineCore({model.spec.id: model}, lambda id, event: told.append((id, event)))
    core.submit(request("gone", num_inference_steps=2))
    core.submit(request("stays", num_inference_steps=6))
    for _ in range(2):
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
