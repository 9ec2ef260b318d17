"""How many pictures fit: learnt, kept, and never trusted beyond what was seen."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from tests.drawing import Drawing, request
from vignette.engine import decoding, stages
from vignette.engine.loader import LoadedModel
from vignette.engine.memory import REMEMBERED_SECONDS, MemoryProfile
from vignette.engine.stages import Row
from vignette.engine.work import Work

SHAPE = ("v1", 512, 512, True, 1)


def test_without_a_gpu_the_configured_cap_stands() -> None:
    assert MemoryProfile(None).cap(SHAPE, 16) == 16


def test_a_new_shape_starts_alone_and_grows_with_what_is_known() -> None:
    profile = MemoryProfile(1000)
    assert profile.cap(SHAPE, 16) == 1
    profile.record(SHAPE, 1, 300)
    assert profile.cap(SHAPE, 16) == 2  # at most twice what was measured
    profile.record(SHAPE, 2, 350)
    assert profile.cap(SHAPE, 16) == 4
    profile.record(SHAPE, 4, 450)
    profile.record(SHAPE, 8, 650)
    assert profile.cap(SHAPE, 16) == 14  # 650 + 50 * 6 = 950 <= 980
    assert profile.cap(SHAPE, 10) == 10
    assert profile.cap(("v1", 1024, 1024, True, 1), 16) == 1


def test_only_what_a_call_itself_takes_is_taken_to_grow() -> None:
    profile = MemoryProfile(1000)
    profile.record(SHAPE, 1, 50, beside=550)
    assert profile.cap(SHAPE, 16) == 2
    profile.record(SHAPE, 2, 80, beside=550)
    profile.record(SHAPE, 4, 140, beside=550)
    assert profile.cap(SHAPE, 16) == 8
    profile.record(("another",), 1, 10, beside=800)  # another model has come to the device
    assert profile.cap(SHAPE, 16) == 5  # 140 + 30 <= 980 - 800
    profile.record(("another",), 1, 10, beside=500)
    assert profile.cap(SHAPE, 16) == 8


def test_what_libraries_allocate_at_the_first_call_promises_nothing() -> None:
    profile = MemoryProfile(1000)
    profile.record(SHAPE, 1, 500, beside=100)
    profile.record(SHAPE, 2, 480, beside=100)
    assert profile.cap(SHAPE, 16) == 4
    profile.record(SHAPE, 4, 800, beside=100)
    assert profile.cap(SHAPE, 16) == 4


def test_sizes_that_are_far_apart_are_reached() -> None:
    profile = MemoryProfile(1000)
    profile.record(SHAPE, 1, 100)
    assert profile.cap(SHAPE, 16, (1, 8, 16)) == 8
    assert profile.cap(SHAPE, 16, (1, 16)) == 9  # as far as the line goes
    assert profile.cap(SHAPE, 16, (1, 2, 16)) == 2


class Allocator:
    """PyTorch's counts on CUDA: `now` bytes are allocated, and at most `peak` since the last reset."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = self.peak = 0
        monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: self.now)
        monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: self.peak)
        monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: self.allocate(0))

    def allocate(self, size: int) -> None:
        """And frees it."""
        self.peak = self.now + size


def test_on_cuda_the_weights_are_not_measured_again_with_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    allocator, profile = Allocator(monkeypatch), MemoryProfile(1000)
    allocator.now = 600
    allocator.allocate(300)  # before the call
    with profile.measured(torch.device("cuda"), SHAPE, 1):
        allocator.allocate(60)
    assert profile.cap(SHAPE, 16) == 2
    with profile.measured(torch.device("cuda"), SHAPE, 2):
        allocator.allocate(120)
    assert profile.cap(SHAPE, 16) == 4


class Clock:
    now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("capacity", [1000, None])
def test_half_of_what_did_not_fit_is_the_cap_for_an_hour(capacity: int | None) -> None:
    clock = Clock()
    profile = MemoryProfile(capacity, clock=clock)
    profile.record(SHAPE, 8, 100)
    assert profile.fail(SHAPE, 12) == profile.cap(SHAPE, 16) == 6
    clock.now += REMEMBERED_SECONDS - 1
    assert profile.cap(SHAPE, 16) == 6
    clock.now += 1
    assert profile.cap(SHAPE, 16) == 16
    assert profile.fail(SHAPE, 1) == profile.cap(SHAPE, 16) == 1
    clock.now -= 10 * REMEMBERED_SECONDS  # a clock that is set back
    assert profile.cap(SHAPE, 16) == 16


def test_it_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "state" / "memory.json"
    first = MemoryProfile(1000, file, "A card")
    first.record(SHAPE, 4, 400)
    first.record(("larger",), 4, 400)
    first.fail(("larger",), 7)
    again = MemoryProfile(1000, file, "A card")
    assert again.cap(SHAPE, 16) == first.cap(SHAPE, 16) == 8
    assert again.cap(("larger",), 16) == first.cap(("larger",), 16) == 3


def test_another_device_is_measured_anew(tmp_path: Path) -> None:
    file = tmp_path / "memory.json"
    MemoryProfile(1000, file, "A card").record(SHAPE, 4, 400)
    assert MemoryProfile(1000, file, "Another card").cap(SHAPE, 16) == 1
    assert MemoryProfile(500, file, "A card").cap(SHAPE, 16) == 1


def test_a_full_disk_costs_nobody_a_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    profile = MemoryProfile(1000, tmp_path / "file" / "memory.json")
    with caplog.at_level(logging.WARNING):
        profile.record(SHAPE, 1, 100)
        profile.fail(("larger",), 2)
    assert "cannot be kept" in caplog.text
    assert profile.cap(SHAPE, 16) == 2


OF_THIS_DEVICE = '{"device": "", "capacity": 1000, '


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"taken": 3}',
        OF_THIS_DEVICE + '"taken": {"a": {"x": 1}}, "failed": {}}',
        OF_THIS_DEVICE + '"taken": {}, "failed": {"a": 3}}',
    ],
)
def test_a_damaged_file_starts_empty(tmp_path: Path, content: str) -> None:
    file = tmp_path / "memory.json"
    file.write_text(content)
    assert MemoryProfile(1000, file).cap(SHAPE, 16) == 1


def test_the_engine_draws_no_more_at_once_than_the_profile_allows(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    profile = MemoryProfile(1000)
    drawing = Drawing(model, profile)
    original = stages.denoise

    def measured(model: LoadedModel, conditioning: stages.Conditioning) -> torch.Tensor:
        rows = conditioning.rows
        shape = drawing.core._unet.shape(Work(rows[0].request).key)
        profile.record(shape, len(rows), 200 + 200 * len(rows))
        return original(model, conditioning)

    monkeypatch.setattr(stages, "denoise", measured)
    drawing.run(*(request(str(k), seed=k) for k in range(8)))
    assert drawing.calls[:3] == [1, 2, 3]
    assert max(drawing.calls) == 3  # 200 + 3 * 200 fits into 1000 with its reserve, a fourth does not
    assert all(drawing.pictures(str(k)) for k in range(8))


def test_pictures_are_decoded_as_many_at_once_as_fit(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = MemoryProfile(1000)
    drawing = Drawing(model, profile)
    original, tried = decoding.decode, []

    def measured(model: LoadedModel, rows: list[Row]) -> decoding.Decoding:
        tried.append(len(rows))
        if len(rows) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        profile.record(drawing.core._decodings.shape(Work(rows[0].request).key), len(rows), 100 * len(rows))
        return original(model, rows)

    monkeypatch.setattr(decoding, "decode", measured)
    cap = MemoryProfile.cap.__get__(profile)
    monkeypatch.setattr(profile, "cap", lambda shape, most, sizes=(): cap(shape, most) if "decoding" in shape else 16)
    for _ in range(3):
        drawing.run(*(request(str(k), seed=k) for k in range(16)))
    assert all(drawing.pictures(str(k)) for k in range(16))
    assert tried[:2] == [1, 2]
    assert [size for size in tried if size > 2] == [4]


def test_memory_that_somebody_else_had_for_a_while_is_used_again(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, original = Clock(), stages.denoise
    drawing = Drawing(model, MemoryProfile(None, clock=clock))

    def crowded(model: LoadedModel, conditioning: stages.Conditioning) -> torch.Tensor:
        if len(conditioning.rows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return original(model, conditioning)

    monkeypatch.setattr(stages, "denoise", crowded)
    drawing.run(*(request(str(k), seed=k) for k in range(4)))
    assert set(drawing.calls) == {1}
    monkeypatch.undo()
    drawing.run(*(request(str(k), seed=k) for k in range(4)))
    assert set(drawing.calls) == {1}
    clock.now += REMEMBERED_SECONDS
    drawing.calls.clear()
    drawing.run(*(request(str(k), seed=k) for k in range(4)))
    assert set(drawing.calls) == {4}
