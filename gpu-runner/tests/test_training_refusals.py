"""What is wrong with a run's folders is told before anything is encoded, all at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.tiny_training import small, write_imagefolder, write_teacher
from vignette.errors import ConfigError
from vignette.training.run import train


def test_all_cut_pictures_are_named_before_anything_is_encoded(sd15_folder: Path, tmp_path: Path) -> None:
    data = write_imagefolder(tmp_path / "data")
    names = ["1.jpg", "3.jpg", "5.jpg"]
    with (data / "metadata.jsonl").open("a") as lines:
        for name in names:
            lines.write(json.dumps({"file_name": name, "text": "a story", "prompt": "1cat"}) + "\n")
            Image.effect_noise((64, 64), 60).convert("RGB").save(data / name)
            # The header is whole, so only decoding shows it.
            (data / name).write_bytes((data / name).read_bytes()[:-500])
    options = small(sd15_folder, data, tmp_path / "run", teacher=str(write_teacher(tmp_path / "teacher")))
    with pytest.raises(ConfigError) as error:
        train(options, "cpu")
    assert all(f"({name}): the picture is cut off; copy it again" in str(error.value) for name in names)
    assert not options.output.exists()


@pytest.mark.parametrize("below", [".", "run"])
@pytest.mark.parametrize("option", ["output", "cache"])
def test_a_file_in_place_of_a_folder_is_named(option: str, below: str, sd15_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine")
    folders = {"output": tmp_path / "run", option: tmp_path / "taken" / below}
    with pytest.raises(ConfigError, match="taken is a file; give the name of a folder with (-o|--cache)") as error:
        train(small(sd15_folder, write_imagefolder(tmp_path / "data"), **folders), "cpu")
    assert str(error.value).endswith("-o." if option == "output" else "--cache.")
    assert (tmp_path / "taken").read_text() == "mine"
