"""Which models.toml a command means: `--models`, else VIGNETTE_MODELS, else the bundled one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vignette.cli import MODELS_TOML, _parser, main
from vignette.evaluation.arguments import parser as evaluation_parser
from vignette.training import cli as training


@pytest.fixture
def other(models_toml: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VIGNETTE_MODELS", str(models_toml))
    return models_toml


def test_the_variable_names_it_for_every_command(
    other: Path, model_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert = ["adapter", "convert", "x.pt", "--eta", "0.1", "-o", "out"]
    for command in (["serve"], ["models"], ["models", "list"], convert):
        assert _parser().parse_args(command).models == other, command
    assert evaluation_parser().parse_args(["-o", "out"]).models == other
    assert training.model_folder("tiny", None) == model_folder
    assert main(["reading", "say", "a cat"]) == 2
    assert str(other) in capsys.readouterr().err


def test_the_option_outweighs_the_variable(other: Path) -> None:
    assert _parser().parse_args(["models", "--models", "mine.toml"]).models == Path("mine.toml")
    assert _parser().parse_args(["models", "check", "--models", "mine.toml"]).models == Path("mine.toml")


@pytest.mark.parametrize("value", [None, ""])
def test_without_either_it_is_the_bundled_one(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VIGNETTE_MODELS", raising=False)
    if value is not None:
        monkeypatch.setenv("VIGNETTE_MODELS", value)
    assert _parser().parse_args(["serve"]).models == MODELS_TOML
