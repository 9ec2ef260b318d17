"""models.toml: every mistake is named with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from vignette.engine.catalogue import read_catalogue
from vignette.errors import ConfigError, InvalidInput

GOOD = """
[[models]]
id = "one"
path = "weights/one"
default = true
[models.defaults]
width = 128
height = 128
[models.limits]
max_width = 256
[[models.adapters]]
id = "sur"
path = "/elsewhere/sur"
default = true
[[models]]
id = "two"
path = "weights/two"
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "models.toml"
    file.write_text(text)
    return file


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    catalogue = read_catalogue(write(tmp_path, GOOD))
    one = catalogue.model("one")
    assert one.path == tmp_path / "weights/one"
    assert one.adapters[0].path == Path("/elsewhere/sur")
    assert catalogue.default is one
    assert catalogue.model("vignette/two").id == "two"
    assert one.default_adapter == "sur"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('id = "two"', 'id = "one"', "same id"),
        ("default = true\n[models.defaults]", "[models.defaults]", "exactly one model"),
        ("max_width = 256", "max_width = 100", "models[0]: defaults.width is 128"),
        ("max_width = 256", "max_widht = 256", "models[0].limits.max_widht"),
        ("width = 128", 'width = "wide"', "models[0].defaults.width"),
        ('path = "weights/two"', "", "models[1].path"),
        ("[[models]]", "[[models", "models.toml cannot be read"),
        ('id = "two"', 'id = "Two!"', "models[1].id"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as error:
        read_catalogue(write(tmp_path, GOOD.replace(old, new, 1)))
    assert expected in str(error.value)


def test_no_file_and_no_models(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--models"):
        read_catalogue(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="models"):
        read_catalogue(write(tmp_path, "models = []"))


def test_unknown_names_list_the_known_ones(tmp_path: Path) -> None:
    catalogue = read_catalogue(write(tmp_path, GOOD))
    with pytest.raises(InvalidInput, match="one, two"):
        catalogue.model("three")
    with pytest.raises(InvalidInput, match="it has: sur"):
        catalogue.model("one").adapter_id("other")
    assert catalogue.model("two").adapter_id(None) is None


def test_the_bundled_catalogue_is_valid() -> None:
    catalogue = read_catalogue(Path(__file__).parent.parent / "models.toml")
    assert catalogue.default.id == "miniature"
    assert catalogue.default.default_adapter == "sur"
    assert [model.id for model in catalogue.models] == ["miniature", "miniature-ink"]
    # The same world in another style: whoever asks for one may ask for the other.
    day, ink = (model.model_dump(exclude={"id", "path", "description", "default"}) for model in catalogue.models)
    assert day == ink
