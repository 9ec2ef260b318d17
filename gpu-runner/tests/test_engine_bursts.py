"""Many requests at once: those that are being drawn go on."""

from __future__ import annotations

from itertools import groupby

import pytest
import torch

from tests.drawing import Drawing, assert_same, draw, request
from vignette.engine import stages
from vignette.engine.core import BEGINNINGS, BEGINNINGS_IN_COMPANY
from vignette.engine.loader import LoadedModel
from vignette.engine.request import GenerationRequest


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the device was asked for, `begin` a request or `call` the UNet, in its order."""
    done: list[str] = []
    prepare, denoise = stages.prepare, stages.denoise

    def begin(model: LoadedModel, asked: GenerationRequest) -> tuple:
        done.append("begin")
        return prepare(model, asked)

    def call(model: LoadedModel, conditioning: stages.Conditioning) -> torch.Tensor:
        done.append("call")
        return denoise(model, conditioning)

    monkeypatch.setattr(stages, "prepare", begin)
    monkeypatch.setattr(stages, "denoise", call)
    return done


def begun_at_once(done: list[str]) -> list[int]:
    return [len(list(run)) for what, run in groupby(done) if what == "begin"]


def test_a_burst_is_begun_a_few_at_a_time(model: LoadedModel, done: list[str]) -> None:
    long = request("long", num_inference_steps=20)
    burst = [request(str(k), seed=k, width=(32, 48)[k % 2], prompt=f"cat {k}") for k in range(12)]
    drawing = Drawing(model)
    drawing.run(long, at={2: lambda: [drawing.core.submit(r) for r in burst] and None})
    first, *later = begun_at_once(done)
    assert first == 1
    assert max(later) == BEGINNINGS_IN_COMPANY
    assert sum(later) == len(burst)
    for r in (long, *burst[:2]):
        assert_same(drawing.pictures(r.id), draw(model, r).pictures(r.id))


def test_where_nobody_waits_a_whole_call_is_begun(model: LoadedModel, done: list[str]) -> None:
    drawing = Drawing(model)
    drawing.run(*(request(str(k), seed=k, width=(32, 48)[k % 2]) for k in range(BEGINNINGS + 3)))
    assert begun_at_once(done) == [BEGINNINGS, BEGINNINGS_IN_COMPANY, 3 - BEGINNINGS_IN_COMPANY]
    assert all(drawing.pictures(str(k)) for k in range(BEGINNINGS + 3))
