"""KID's reference: renders, a folder of pictures, or a file of features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vignette.errors import ConfigError
from vignette.evaluation import cli
from vignette.evaluation.cases import miniature_cases, read_cases
from vignette.evaluation.reference import reference_from
from vignette.miniature.world import FIRST


def colours(images: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(i.resize((2, 2)), dtype=float).ravel() / 255 for i in images])


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for i in range(3):
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    return tmp_path


def test_a_folder_a_file_and_renders(pictures: Path, tmp_path: Path) -> None:
    folder = reference_from(str(pictures), [], colours, "colours", world=None)
    np.save(tmp_path / "features.npy", folder.features)
    file = reference_from(str(tmp_path / "features.npy"), [], colours, "colours", world=None)
    np.testing.assert_array_equal(folder.features, file.features)
    renders = reference_from("renders", miniature_cases(2, FIRST), colours, "colours", world=FIRST)
    assert renders.features.shape == (8, 12)
    assert len(np.unique(renders.features, axis=0)) == 8


def test_renders_are_in_the_style_that_the_models_draw_in() -> None:
    def renders(*folders: str) -> np.ndarray:
        paths, cases = [Path("weights", name) for name in folders], miniature_cases(1, FIRST)
        return reference_from("renders", cases, colours, "colours", world=FIRST, folders=paths).features

    assert (renders("ink", "ink") != renders("day")).any()
    np.testing.assert_array_equal(renders("tiny", "day"), renders())
    with pytest.raises(ConfigError, match="the variants in day and ink; evaluate the styles apart"):
        renders("day", "ink")


def test_what_is_no_reference_is_named(tmp_path: Path) -> None:
    for asked, expected in (
        ("renders", "only the set miniature has renders"),
        (str(tmp_path), "neither a file of features nor a folder with at least 2 pictures"),
        ("nosuch", "--kid-reference nosuch"),
    ):
        with pytest.raises(ConfigError, match=expected):
            reference_from(asked, read_cases(), colours, "colours", world=None)


def test_the_miniature_s_set_is_judged_and_has_kid_without_more_flags(models_toml: Path, tmp_path: Path) -> None:
    from vignette.miniature.judge_net import Judge, JudgeNet
    from vignette.miniature.world import FIRST

    torch.manual_seed(0)
    Judge(JudgeNet(FIRST), FIRST).save(tmp_path / "judge")
    arguments = ["--models", str(models_toml), "--judge", str(tmp_path / "judge"), "--set", "miniature", "--limit", "4"]
    arguments += ["--kid-reference", "renders", "--steps", "2", "--device", "cpu", "-o", str(tmp_path / "out")]
    assert cli.main(arguments) == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert [v["name"] for v in figures["variants"]] == ["base/narrative", "adapter/narrative", "base/keywords"]
    assert {"miniature/object", "miniature/place", "miniature/mean"} <= figures["metrics"].keys()
    assert {"clip_score/narrative", "cosine/keywords"} <= figures["metrics"].keys()
    assert figures["kid"]["reference_size"] == 16
    assert set(figures["kid"]["variants"]["adapter/narrative"]) >= {"mean", "minus_baseline", "minus_ceiling"}
    assert "## KID" in (tmp_path / "out" / "report.md").read_text()
