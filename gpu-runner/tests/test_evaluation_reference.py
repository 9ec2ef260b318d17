"""KID's reference: renders, a folder of pictures, or a file of features."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.tiny import write_adapter
from vignette.errors import ConfigError
from vignette.evaluation import cli
from vignette.evaluation.cases import miniature_cases, read_cases
from vignette.evaluation.files import open_picture
from vignette.evaluation.instruments.asked import Asked
from vignette.evaluation.reference import TOO_FEW, reference_from
from vignette.evaluation.scores import REMEDY
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


def test_features_as_wide_as_another_network_s_are_refused_at_once(tmp_path: Path) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((4, 13)))
    with pytest.raises(ConfigError, match="the reference has features 13 wide, the drawn pictures 12"):
        reference_from(str(tmp_path / "wide.npy"), [], colours, "colours", world=None)


def test_a_picture_too_large_to_unpack_is_named(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # an error from twice as many on
    with pytest.raises(ConfigError, match=r"0\.png is no picture that can be read \(.*bomb.*\); remove or replace it"):
        reference_from(str(pictures), [], colours, "colours", world=None)
    with pytest.raises(ConfigError, match="bomb.*; delete it, and it will be drawn again"):
        open_picture(pictures / "0.png", REMEDY)
    (pictures / "1.png").write_bytes(b"text")
    with pytest.raises(ConfigError, match=r"1\.png is no picture that can be read; remove"):
        open_picture(pictures / "1.png", "remove or replace it")


def test_kid_of_too_few_pictures_is_not_measured_and_the_report_is_written(
    models_toml: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(cli, "load_instruments", lambda *_: Asked(extractor=colours, features="colours"))
    set_file = tmp_path / "cases.jsonl"
    set_file.write_text("\n".join(c.model_dump_json() for c in read_cases()[:2]))
    broken = write_adapter(tmp_path / "broken", gain=5e37)
    failing = ["--variant", "name=base,model=tiny,prompt=narrative"]
    failing += ["--variant", f"name=broken,model=tiny,adapter={broken},prompt=narrative"]
    for name, more in (("few", ["--limit", "1"]), ("undrawn", failing)):
        arguments = ["--models", str(models_toml), "--set", str(set_file), "--kid-reference", str(pictures)]
        arguments += ["--steps", "1", "--device", "cpu", "-o", str(tmp_path / name), *more]
        assert cli.main(arguments) == 0
        figures = json.loads((tmp_path / name / "figures.json").read_text())
        assert figures["kid"] is None
        assert figures["missing_instruments"] == [TOO_FEW]
        assert "## Not measured" in (tmp_path / name / "report.md").read_text()
    assert f"Not measured: {TOO_FEW}" in capsys.readouterr().err


def test_the_first_command_of_the_docs_takes_the_bundled_model_and_judge(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VIGNETTE_MODELS", raising=False)
    arguments = ["--set", "miniature", "--limit", "2", "--kid-reference", "renders", "--steps", "2", "--device", "cpu"]
    assert cli.main([*arguments, "-o", str(tmp_path)]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert {v["model"] for v in figures["variants"]} == {"miniature"}
    assert {"miniature/mean", "clip_score/narrative"} <= figures["metrics"].keys()
    assert figures["kid"]["reference_size"] == 8
    labels = [i["label"] for i in figures["instruments"]]
    judge, score = labels
    assert judge.startswith("the miniature's judge (")
    assert score.startswith(
        "CLIPScore, 2.5 max(cos, 0) with no prefix, and the plain cosine, by the miniature's clip ("
    )
    for report in ("report.md", "report.html"):
        text = (tmp_path / report).read_text()
        assert "CLIPScore, 2.5 max(cos, 0) with no prefix" in text
        assert "by the miniature" in text


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
