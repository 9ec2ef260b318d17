"""Where the miniature and what its studies write lie in the project."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "miniature"
FIGURES = ROOT.parents[1] / "docs" / "study"
DOCUMENTS = [FIGURES.with_suffix(".md"), FIGURES.with_name("reading.md"), ROOT.parents[1] / "README.md"]
PLOTS = ROOT.parents[1] / "docs" / "images" / "study"
