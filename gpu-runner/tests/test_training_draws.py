"""How many predictions under the keyword prompts are kept of each picture, so that a step asks the UNet once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.tiny_training import ROWS, losses_of, small, write_imagefolder
from vignette.training.options import Options
from vignette.training.run import train


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ({"steps": 8}, 4),  # 32 samples of 6 pictures: 5 times
        ({"steps": 5}, 3),
        ({"steps": 8, "align_steps": 4}, 2),
        ({"steps": 1}, 1),  # not even once
        ({"steps": 8, "match_draws": 7}, 7),
        ({"steps": 8, "match_draws": 0}, 0),
        ({"steps": 8, "match_weight": 0.0}, 0),
        ({"steps": 8, "match_weight": 0.0, "match_draws": 2}, 0),
        ({"steps": 8, "align_steps": 8}, 0),  # no step asks the UNet
    ],
)
def test_as_many_as_the_run_sees_its_data_times(asked: dict, kept: int) -> None:
    options = Options(model=Path("m"), data=Path("d"), output=Path("o"), **{"batch_size": 4, **asked})
    assert options.draws(len(ROWS)) == kept


def test_a_run_keeps_them_and_says_how_many(sd15_folder: Path, tmp_path: Path) -> None:
    data = write_imagefolder(tmp_path / "data")
    for steps, asked, kept in ((5, {}, 3), (2, {"match_draws": 0}, 0)):
        options = small(sd15_folder, data, tmp_path / str(steps), steps=steps, **asked)
        train(options, "cpu")
        about = json.loads((options.output / "adapter" / "training.json").read_text())
        assert about["options"]["match_draws"] == about["run"]["match_draws"] == kept
        assert any((options.output / "cache").glob("predictions-*")) == (kept > 0)
        assert all(line["loss/match"] >= 0 for line in losses_of(options.output))
