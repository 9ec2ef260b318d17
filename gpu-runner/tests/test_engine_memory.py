"""How many pictures fit: learnt, kept, and never trusted beyond what was seen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.drawing import Drawing, request
from vignette.engine import decoding, stages
from vignette.engine.loader import LoadedModel
from vignette.engine.memory import MemoryProfile
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


def test_what_did_not_fit_is_not_tried_again() -> None:
    profile = MemoryProfile(1000)
    profile.record(SHAPE, 8, 100)
    profile.fail(SHAPE, 12)
    assert profile.cap(SHAPE, 16) == 11


def test_it_outlives_the_process(tmp_path: Path) -> None:
    file = tmp_path / "state" / "memory.json"
    first = MemoryProfile(1000, file)
    first.record(SHAPE, 4, 400)
    first.fail(SHAPE, 7)
    assert MemoryProfile(1000, file).cap(SHAPE, 16) == first.cap(SHAPE, 16) == 6


@pytest.mark.parametrize("content", ["", "[]", '{"peaks": 3}', '{"peaks": {"a": {"x": 1}}, "failed": {}}'])
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
    monkeypatch.setattr(profile, "cap", lambda shape, configured: cap(shape, configured) if "decoding" in shape else 16)
    cap = MemoryProfile.cap.__get__(profile)
    for _ in range(3):
        drawing.run(*(request(str(k), seed=k) for k in range(16)))
    assert all(drawing.pictures(str(k)) for k in range(16))
    assert tried[:2] == [1, 2]
    assert sum(size > 2 for size in tried) == 2  # four, and then three, once each
