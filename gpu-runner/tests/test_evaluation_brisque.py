"""BRISQUE's parts against their definitions, and with the authors' model: noise and blur are worse than what they were made of."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from tests.test_evaluation_run import CASES, VARIANTS, call
from vignette.errors import ConfigError
from vignette.evaluation.cases import read_cases
from vignette.evaluation.instruments import brisque
from vignette.evaluation.instruments.brisque import features
from vignette.evaluation.instruments.quality import ImageQuality

CPU = torch.device("cpu")
CASE = read_cases()[0]
needs_model = pytest.mark.skipif(find_spec("brisque") is None, reason="an extra: requirements-brisque.txt")


def scenery(seed: int, side: int = 256) -> Image.Image:
    """Edges at all scales and as much contrast in every octave, which is how photographs are (Ruderman 1994)."""
    rng = np.random.default_rng(seed)
    rows, columns = (np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    fall = 1 / np.maximum(np.hypot(rows, columns), 1 / side)
    ground = np.real(np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) * fall))
    canvas = 0.5 + 0.08 * ground / ground.std()
    y, x = np.mgrid[:side, :side]
    for _ in range(60):  # dead leaves (Lee, Mumford and Huang 2001): discs that hide one another
        radius, tone = 4 / rng.uniform(0.04, 1), rng.uniform(0.1, 0.9)
        inside = (x - rng.uniform(0, side)) ** 2 + (y - rng.uniform(0, side)) ** 2 < radius**2
        canvas[inside] = 0.35 * canvas[inside] + 0.65 * tone
    return Image.fromarray((255 * canvas.clip(0, 1)).astype(np.uint8)).convert("RGB")


def noisy(image: Image.Image, deviation: float) -> Image.Image:
    pixels = np.asarray(image) + np.random.default_rng(0).normal(0, deviation, (*image.size[::-1], 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def scores(*images: Image.Image) -> list[float]:
    quality = ImageQuality(["brisque"], CPU)
    return [reading.values["quality/brisque"] for reading in quality.measure(images, [CASE] * len(images))]


@needs_model
@pytest.mark.parametrize("seed", range(3))
def test_noise_and_blur_are_worse_than_the_picture_and_more_of_them_is_worse_still(seed: int) -> None:
    clean = scenery(seed)
    best, grain, grainy, soft, softer = scores(
        clean,
        noisy(clean, 10),
        noisy(clean, 30),
        clean.filter(ImageFilter.GaussianBlur(1.5)),
        clean.filter(ImageFilter.GaussianBlur(3)),
    )
    assert best < grain < grainy
    assert best < soft < softer


# What the package's own code gives (0.2.0 with OpenCV 5.0.0 and NumPy 2.2, 2026-12-01). It pads with zeros and leaves the
# picture of half the size unrounded, so a strong blur is farther off than these.
OWN = [
    (0, None, 10.718),
    (1, None, 6.946),
    (2, None, 10.000),
    (0, 10, 38.462),
    (2, 10, 37.839),
    (0, 30, 60.207),
    (1, 30, 61.134),
]


@needs_model
@pytest.mark.parametrize(("seed", "deviation", "own"), OWN)
def test_scores_are_near_those_of_the_package_s_own_code(seed: int, deviation: float | None, own: float) -> None:
    picture = scenery(seed)
    [score] = scores(noisy(picture, deviation) if deviation else picture)
    assert score == pytest.approx(own, abs=3.5 if deviation else 1.5)


@needs_model
def test_a_lower_score_is_better_and_a_picture_of_one_colour_has_none() -> None:
    quality = ImageQuality(["brisque"], CPU)
    [metric] = quality.metrics
    assert (metric.name, metric.higher_is_better) == ("quality/brisque", False)
    assert quality.id.startswith("quality-brisque@LIVE-")
    assert quality.measure([Image.new("RGB", (64, 64), "teal")], [CASE])[0].values == {}


@needs_model
def test_the_report_has_it(models_toml: Path, tmp_path: Path) -> None:
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, CASES)))
    chosen = [part for text in VARIANTS for part in ("--variant", text)]
    more = [*chosen, "--steps", "2", "--quality", "brisque"]
    assert call(models_toml, tmp_path / "set.jsonl", tmp_path / "out", *more) == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())["metrics"]["quality/brisque"]
    assert set(figures["means"]) == {"base", "adapted", "half", "ceiling"}
    assert not figures["higher_is_better"]
    for report in ("report.md", "report.html"):
        text = (tmp_path / "out" / report).read_text()
        assert text.count("brisque (LIVE) (lower is better)") == 2  # means and gains
        assert "quality: brisque (LIVE " in text


@needs_model
def test_the_model_is_read_whole() -> None:
    model, _ = brisque.load_brisque()
    assert model._vectors.shape == (770, 36)
    assert (model._ranges[0] < model._ranges[1]).all()
    assert float(model._weights.sum()) == pytest.approx(0, abs=1)  # as for any support vector regression


def test_independent_normal_contrasts_are_fitted_as_what_they_are() -> None:
    values = torch.randn(400, 400, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shape, mean, left, right = map(float, brisque._fitted(values))
    assert (shape, mean, left, right) == pytest.approx((2, 0, 1, 1), abs=0.05)
    _, mean, left, right = map(float, brisque._fitted(torch.where(values > 0, 2 * values, values)))
    assert (left, right) == pytest.approx((1, 4), abs=0.05)
    assert mean > 0.5


def test_features_do_not_mind_light_or_odd_sides() -> None:
    image = np.asarray(scenery(5))
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 255
    found = features(pixels)
    assert found.shape == (36,)
    assert features(0.9 * pixels + 0.05) == pytest.approx(found, rel=0.1, abs=0.02)
    assert features(pixels[..., :255, :255]) == pytest.approx(found, rel=0.1, abs=0.02)


def test_without_the_package_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brisque, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"gpu-runner/.venv/bin/pip install --no-deps -r gpu-runner/requirements-brisque.txt"
    ):
        ImageQuality(["brisque"], CPU)
    other = tmp_path / "brisque"
    (other / "models").mkdir(parents=True)
    (other / "models" / "svm.txt").write_text("gamma 1\nSV\n")
    (other / "models" / "normalize.pickle").write_bytes(b"\x80\x04N.")
    monkeypatch.undo()
    spec = type("Spec", (), {"submodule_search_locations": [str(other)]})
    monkeypatch.setattr(brisque, "find_spec", lambda name: spec)
    with pytest.raises(ConfigError, match="holds no model as version 0.2.0 has it"):
        ImageQuality(["brisque"], CPU)
