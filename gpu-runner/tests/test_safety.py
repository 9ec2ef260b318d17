"""A picture that should not be shown gets a flag and a reason, or is refused with one; none is silently blackened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import httpx
import numpy as np
import pytest

from tests.serving import INPUT, finished
from vignette.engine.catalogue import SafetySpec
from vignette.engine.loader import LoadedModel
from vignette.engine.safety import Detector, SafetyCheck, load_check
from vignette.errors import ConfigError, DrawingFailed
from vignette.server.service import PredictionService

PICTURE = np.zeros((8, 8, 3), np.uint8)


def check(detector: Detector, **spec: Any) -> SafetyCheck:
    return SafetyCheck(SafetySpec(detector="tests.test_safety:strict", **spec), detector)


def strict() -> Detector:
    """A detector of one's own, as models.toml names it: every second picture that it sees is a violin."""
    seen = []

    def detect(picture: np.ndarray) -> dict[str, float]:
        assert picture.dtype == np.uint8
        assert picture.shape[2:] == (3,)
        seen.append(picture)
        return {"violin": 0.9, "bow": 0.6, "chair": 0.1} if len(seen) % 2 == 0 else {"chair": 0.4}

    return detect


def test_only_what_is_likely_enough_counts() -> None:
    scores = {"violin": 0.6, "bow": 0.9, "chair": 0.49}
    assert check(lambda picture: scores).look(PICTURE) == "bow (0.90), violin (0.60)"
    assert check(lambda picture: scores, threshold=0.8).look(PICTURE) == "bow (0.90)"
    assert check(lambda picture: scores, threshold=1).look(PICTURE) is None


def test_a_detector_that_breaks_lets_nothing_pass() -> None:
    def broken(picture: np.ndarray) -> dict[str, float]:
        raise ValueError("a reason for the log")

    with pytest.raises(DrawingFailed) as error:
        check(broken).look(PICTURE)
    assert error.value.code == "unchecked"
    assert "a reason" not in error.value.message


@pytest.mark.parametrize("detector", ["tests.test_safety:nothing", "no.such.module:strict"])
def test_a_detector_that_is_not_there_is_named(detector: str) -> None:
    with pytest.raises(ConfigError, match=r"The model tiny: safety\.detector '" + detector):
        load_check("tiny", SafetySpec(detector=detector))


def test_no_table_is_no_check() -> None:
    assert load_check("tiny", None) is None


@pytest.fixture
def serve_with(client: httpx.AsyncClient, service: PredictionService) -> Iterator[Callable[[str], httpx.AsyncClient]]:
    models = service.engine.models
    kept = dict(models)

    def serve(policy: str) -> httpx.AsyncClient:
        spec = SafetySpec(detector="tests.test_safety:strict", policy=policy)  # type: ignore[arg-type]
        models["tiny"] = replace(kept["tiny"], check=load_check("tiny", spec))
        return client

    yield serve
    models.update(kept)


@pytest.mark.anyio
async def test_a_flag_comes_with_its_reason_and_the_picture(serve_with: Callable[[str], httpx.AsyncClient]) -> None:
    client = serve_with("flag")
    done = await finished(client, INPUT | {"num_images": 2})
    assert done["status"] == "succeeded"
    assert done["metrics"]["flagged"] == [False, True]
    assert done["metrics"]["flag_reasons"] == [None, "violin (0.90), bow (0.60)"]
    assert all([(await client.get(url)).status_code == 200 for url in done["output"]])
    assert 'vignette_flagged_total{policy="flag"} 1.0' in (await client.get("/metrics")).text


@pytest.mark.anyio
async def test_a_refusal_says_why_and_gives_nothing_out(serve_with: Callable[[str], httpx.AsyncClient]) -> None:
    client = serve_with("refuse")
    done = await finished(client, INPUT | {"num_images": 2})
    assert (done["status"], done["error_code"], done["output"]) == ("failed", "flagged", None)
    assert "violin (0.90)" in done["error"]
    assert (await client.get(f"/files/{done['id']}/0.png")).status_code == 404
    assert 'vignette_flagged_total{policy="refuse"} 1.0' in (await client.get("/metrics")).text


class FakeNudeDetector:
    """NudeNet 3.4's `NudeDetector`, as far as it is asked; it takes arrays as OpenCV reads files."""

    def detect(self, image: object) -> list[dict[str, Any]]:
        assert isinstance(image, np.ndarray)
        assert image.flags["C_CONTIGUOUS"]
        assert image[0, 0].tolist() == [10, 100, 200]  # blue first
        return [
            {"class": "FACE_FEMALE", "score": 0.9, "box": [0, 0, 4, 4]},
            {"class": "BUTTOCKS_EXPOSED", "score": 0.55, "box": [0, 0, 4, 4]},
            {"class": "BUTTOCKS_EXPOSED", "score": 0.8, "box": [2, 2, 4, 4]},
            {"class": "FEMALE_BREAST_COVERED", "score": 0.9, "box": [2, 2, 4, 4]},
        ]


def test_nudenet_is_the_default_and_only_what_is_exposed_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = ModuleType("nudenet")
    fake.NudeDetector = FakeNudeDetector  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nudenet", fake)
    loaded = load_check("tiny", SafetySpec())
    assert loaded
    picture = np.full((16, 16, 3), (200, 100, 10), np.uint8)
    assert loaded.look(picture) == "buttocks exposed (0.80)"


def test_nudenet_that_is_not_installed_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nudenet", None)
    with pytest.raises(ConfigError, match=r"requirements-safety\.txt"):
        load_check("tiny", SafetySpec())


def test_the_real_nudenet_looks_at_a_picture(model: LoadedModel) -> None:
    pytest.importorskip("nudenet", reason="requirements-safety.txt is not installed")
    loaded = load_check("tiny", SafetySpec())
    assert loaded
    assert loaded.look(np.full((64, 96, 3), 128, np.uint8)) is None
