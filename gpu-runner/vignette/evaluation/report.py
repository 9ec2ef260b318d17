"""The report: figures.json for machines, report.md with contact sheets, report.html in one file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from vignette.evaluation.files import write_atomically
from vignette.evaluation.gallery import Row, data_uri, sheet

TEMPLATES = Path(__file__).parent / "templates"


def write_report(folder: Path, figures: dict[str, Any], gallery: Sequence[Row], failed: Sequence[Row]) -> list[Path]:
    """
    Writes `figures.json`, `report.md` (with `gallery.png` and `failures.png` beside it) and `report.html`, which holds
    its pictures and asks nothing of the network. Returns the files, the HTML first.
    """
    files = {
        "report.html": _render("report.html.j2", figures, gallery, failed, escape=True),
        "report.md": _render("report.md.j2", figures, gallery, failed, escape=False),
        "figures.json": json.dumps(figures, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
    }
    for name, content in files.items():
        write_atomically(folder / name, content)
    for name, shown in (("gallery.png", gallery), ("failures.png", failed)):
        if shown:
            write_atomically(folder / name, sheet(shown))
        else:
            (folder / name).unlink(missing_ok=True)
    return [folder / name for name in files]


def _render(template: str, figures: dict[str, Any], gallery: Sequence[Row], failed: Sequence[Row], escape: bool) -> str:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=escape,  # noqa: S701  # Markdown has its own escaping, the filter `cell`
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": _number, "signed": _signed, "verdict": _verdict, "cell": _cell}
    environment.filters["uri"] = lambda file: Markup(data_uri(file))  # noqa: S704  # base64
    return environment.get_template(template).render(f=figures, gallery=gallery, failed=failed)


def _number(value: float, judged: bool) -> str:
    """Judged shares in percent, everything else with four significant digits."""
    return f"{100 * value:.1f} %" if judged else f"{value:.4g}"


def _signed(value: float, judged: bool) -> str:
    """Judged gains in points with one decimal, everything else with four, and no minus before nothing."""
    shown, places = (100 * value, 1) if judged else (value, 4)
    return f"{round(shown, places) + 0.0:+.{places}f}"


def _verdict(gain: dict[str, Any], higher_is_better: bool) -> str:
    """What a gain is whose interval excludes zero, and nothing of another."""
    if gain["low"] <= 0 <= gain["high"]:
        return ""
    return "better" if (gain["low"] > 0) == higher_is_better else "worse"


def _cell(text: object) -> str:
    """Text as one Markdown table cell in which nothing is markup."""
    escaped = str(text)
    for mark in "\\`*_{}[]<>|#":
        escaped = escaped.replace(mark, "\\" + mark)
    return " ".join(escaped.split())
