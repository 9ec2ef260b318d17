"""What the programs tell people to type is there to be typed."""

from __future__ import annotations

import re
from pathlib import Path

from vignette.errors import PIP_INSTALL

RUNNER = Path(__file__).resolve().parents[1]
SOURCES = {file: file.read_text() for file in (RUNNER / "vignette").rglob("*.py")}


def test_libraries_are_installed_into_the_runner_s_own_environment() -> None:
    assert PIP_INSTALL.startswith("gpu-runner/.venv/bin/")
    assert [file.name for file, text in SOURCES.items() if re.search(r"(?<!bin/)pip install", text)] == []


def test_every_file_of_requirements_that_is_named_is_there() -> None:
    named = {name for text in SOURCES.values() for name in re.findall(r"requirements[a-z-]*\.txt", text)}
    assert "requirements-train.txt" in named
    assert {name for name in named if not (RUNNER / name).is_file()} == set()
