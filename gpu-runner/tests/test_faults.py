"""What breaks takes down the request it belongs to, and no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tests.drawing import Drawing, assert_same, draw, request
from vignette.engine import decoding, stages
from vignette.engine.decoding import Decoding
from vignette.engine.events import Event, Failed, Finished
from vignette.engine.loader import LoadedModel
from vignette.engine.request import GenerationRequest
from vignette.engine.stages import Conditioning, Row


def failure(events: list[Event]) -> Failed:
    assert isinstance(events[-1], Failed), events[-1]
    return events[-1]


def sabotage_unet(monkeypatch: pytest.MonkeyPatch, check: Callable[[tuple[Row, ...]], None]) -> None:
    original = stages.denoise

    def denoise(model: LoadedModel, conditioning: Conditioning) -> torch.Tensor:
        check(conditioning.rows)
        return original(model, conditioning)

    monkeypatch.setattr(stages, "denoise", denoise)


def test_nan_is_a_failure_and_not_a_black_picture(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    original = stages.step

    def step(row: Row, predicted: torch.Tensor) -> None:
        original(row, predicted)
        if row.request.id == "bad":
            row.latents[0, 0, 0, 0] = torch.nan

    monkeypatch.setattr(stages, "step", step)
    drawing = draw(model, request("bad"), request("good", seed=8))
    failed = failure(drawing.events["bad"])
    assert failed.code == "invalid_picture"
    assert "NaN" in failed.message
    monkeypatch.undo()
    assert_same(drawing.pictures("good"), draw(model, request("good", seed=8)).pictures("good"))


def test_an_adapter_that_explodes_is_named(model: LoadedModel) -> None:
    adapter = model.adapters["sur"]
    weight = adapter.encoder.proj_out.weight
    kept = weight.detach().clone()
    try:
        with torch.no_grad():
            weight.fill_(torch.nan)
        drawing = draw(model, request("bad", adapter="sur"), request("good"))
    finally:
        with torch.no_grad():
            weight.copy_(kept)
    assert failure(drawing.events["bad"]).code == "invalid_embedding"
    assert drawing.pictures("good")


def test_a_scheduler_that_raises_fails_its_own_request(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    original = stages.step

    def step(row: Row, predicted: torch.Tensor) -> None:
        if row.request.id == "bad" and row.position == 2:
            raise IndexError("index 21 is out of bounds")
        original(row, predicted)

    monkeypatch.setattr(stages, "step", step)
    drawing = draw(model, request("bad", num_images=2), request("good"))
    failed = failure(drawing.events["bad"])
    assert failed.code == "internal"
    assert "index" not in failed.message
    assert len([e for e in drawing.events["bad"] if isinstance(e, Failed | Finished)]) == 1
    assert drawing.pictures("good")


def test_what_the_log_has_of_a_failure_names_its_prediction(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    original = decoding.decode

    def step(row: Row, predicted: torch.Tensor) -> None:
        raise IndexError("index 21 is out of bounds")

    def decode(model: LoadedModel, rows: list[Row]) -> Decoding:
        raise RuntimeError("decoder")

    monkeypatch.setattr(decoding, "decode", decode)
    draw(model, request("undecodable"))
    monkeypatch.setattr(decoding, "decode", original)
    monkeypatch.setattr(stages, "step", step)
    draw(model, request("unstepped"))
    named = [record.__dict__.get("prediction") for record in caplog.records if record.exc_info]
    assert named == ["undecodable", "unstepped"]


def test_a_batch_that_raises_is_drawn_one_by_one(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(rows: tuple[Row, ...]) -> None:
        if any(row.request.id == "bad" for row in rows):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    sabotage_unet(monkeypatch, check)
    drawing = draw(model, request("good", seed=1), request("bad"), request("fine", seed=2))
    assert failure(drawing.events["bad"]).code == "internal"
    monkeypatch.undo()
    for id, seed in (("good", 1), ("fine", 2)):
        assert_same(drawing.pictures(id), draw(model, request(id, seed=seed)).pictures(id))


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        torch.AcceleratorError("CUDA error: out of memory", 2),
        RuntimeError("can't allocate memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 17 GB)"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    ],
)
def test_out_of_memory_halves_the_batch(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch, error: RuntimeError
) -> None:
    def check(rows: tuple[Row, ...]) -> None:
        if len(rows) > 2:
            raise error

    sabotage_unet(monkeypatch, check)
    drawing = draw(model, *(request(str(i), seed=i) for i in range(4)))
    assert max(drawing.calls) == 2
    monkeypatch.undo()
    for i in range(4):
        assert_same(drawing.pictures(str(i)), draw(model, request(str(i), seed=i)).pictures(str(i)))


def test_a_picture_that_never_fits_fails_alone(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(rows: tuple[Row, ...]) -> None:
        if rows[0].request.width == 64:
            raise torch.OutOfMemoryError("CUDA out of memory")

    sabotage_unet(monkeypatch, check)
    drawing = draw(model, request("large", width=64), request("small"))
    failed = failure(drawing.events["large"])
    assert failed.code == "out_of_memory"
    assert "smaller" in failed.message
    assert drawing.pictures("small")


def test_a_picture_that_cannot_be_decoded_fails_alone(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    original = decoding.decode

    def decode(model: LoadedModel, rows: list[Row]) -> Decoding:
        if any(row.request.id == "bad" for row in rows):
            raise RuntimeError("decoder")
        return original(model, rows)

    monkeypatch.setattr(decoding, "decode", decode)
    drawing = draw(model, request("bad"), request("good"))
    assert failure(drawing.events["bad"]).code == "internal"
    assert drawing.pictures("good")


def test_a_picture_that_is_too_large_to_decode_says_so(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    original = decoding.decode

    def decode(model: LoadedModel, rows: list[Row]) -> Decoding:
        if len(rows) > 1 or rows[0].request.id == "large":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(model, rows)

    monkeypatch.setattr(decoding, "decode", decode)
    drawing = draw(model, request("large"), request("small", seed=8))
    assert failure(drawing.events["large"]).code == "out_of_memory"
    assert drawing.pictures("small")


def test_a_request_without_memory_for_its_preparation_fails_alone(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = stages.prepare

    def prepare(model: LoadedModel, asked: GenerationRequest) -> tuple:
        if asked.id == "large":
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(model, asked)

    monkeypatch.setattr(stages, "prepare", prepare)
    drawing = draw(model, request("large"), request("small"))
    assert failure(drawing.events["large"]).code == "out_of_memory"
    assert drawing.pictures("small")


def test_what_fails_otherwise_in_a_smaller_batch_fails_alone(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(rows: tuple[Row, ...]) -> None:
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if any(row.request.id == "bad" for row in rows):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    sabotage_unet(monkeypatch, check)
    drawing = draw(model, request("bad"), *(request(str(i), seed=i) for i in range(3)))
    assert failure(drawing.events["bad"]).code == "internal"
    assert all(drawing.pictures(str(i)) for i in range(3))


def test_a_broken_device_is_not_hidden(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(rows: tuple[Row, ...]) -> None:
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered", 700)

    sabotage_unet(monkeypatch, check)
    drawing = Drawing(model)
    drawing.core.submit(request())
    with pytest.raises(torch.AcceleratorError):
        drawing.core.tick()


def test_canceled_work_is_forgotten_wherever_it_is(model: LoadedModel) -> None:
    drawing = Drawing(model)
    drawing.core.cancel("unknown")
    drawing.core.submit(request("waiting"))
    drawing.core.cancel("waiting")
    assert drawing.core.idle
    drawing.core.submit(request("drawing"))
    drawing.core.tick()
    drawing.core.cancel("drawing")
    assert drawing.core.idle
    drawing.core.tick()
    assert drawing.calls == [1]
    assert not drawing.core._planner.next_batch()
