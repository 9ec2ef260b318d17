"""Pictures side by side: which cases are shown, and how they become part of a report."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from vignette.evaluation.cases import Case
from vignette.evaluation.drawing import Job, picture_file

THUMB = 256
SHEET_THUMB = 160


@dataclass(frozen=True)
class Shown:
    """One picture in a report; `file` is None where drawing failed. `mark` is its main figure, None if not measured."""

    variant: str
    file: Path | None
    mark: float | None
    said: tuple[str, ...]


@dataclass(frozen=True)
class Row:
    """One case with the pictures of all variants for one seed."""

    case: Case
    seed: int
    shown: tuple[Shown, ...]


def spread(count: int, cases: Sequence[Case]) -> list[int]:
    """Indices of up to `count` cases, evenly over the set, so that every group is seen."""
    return sorted({int(i) for i in np.linspace(0, len(cases) - 1, min(count, len(cases))).round()})


def failures(count: int, marks: np.ndarray, candidate: int, ceiling: int | None, higher_is_better: bool) -> list[int]:
    """
    Indices of up to `count` cases that the candidate draws worst; of equals, first those the ceiling draws best, since
    the model could have drawn them.

    Args:
        marks: The main metric, `[variants, cases]`, NaN where not measured.
    """
    sign = 1 if higher_is_better else -1
    worst = sign * marks[candidate]
    able = -sign * marks[ceiling] if ceiling is not None else np.zeros_like(worst)
    order = np.lexsort((np.arange(len(worst)), np.nan_to_num(able, nan=np.inf), worst))
    best = np.nanmax(worst) if np.isfinite(worst).any() else 0.0
    return [int(i) for i in order if np.isfinite(worst[i]) and worst[i] < best][:count]


def rows(
    indices: Sequence[int],
    jobs: np.ndarray,
    pictures: Path,
    marks: np.ndarray | None,
    said: dict[tuple[int, int, int], tuple[str, ...]],
) -> list[Row]:
    """
    The first seed's pictures of these cases.

    Args:
        jobs: `[variants, cases, seeds]` of [`~vignette.evaluation.drawing.Job`].
        marks: `[variants, cases, seeds]` of the main metric.
    """
    out = []
    for index in indices:
        shown = []
        for variant in range(jobs.shape[0]):
            job: Job = jobs[variant, index, 0]
            file = picture_file(pictures, job.key)
            mark = None if marks is None or not np.isfinite(marks[variant, index, 0]) else marks[variant, index, 0]
            shown.append(
                Shown(
                    job.variant.name,
                    file if file.is_file() else None,
                    None if mark is None else float(mark),
                    said.get((variant, index, 0), ()),
                )
            )
        out.append(Row(jobs[0, index, 0].case, jobs[0, index, 0].seed, tuple(shown)))
    return out


def data_uri(file: Path) -> str:
    """The picture, at most 256 pixels wide and high, as a WebP `data:` URI."""
    stream = io.BytesIO()
    with Image.open(file) as image:
        thumb = image.convert("RGB")
        thumb.thumbnail((THUMB, THUMB), Image.Resampling.LANCZOS)
        thumb.save(stream, "WEBP", quality=88)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode()


def sheet(shown: Sequence[Row]) -> bytes:
    """All rows as one PNG, a case a row, a variant a column."""
    columns = len(shown[0].shown)
    canvas = Image.new("RGB", (columns * (SHEET_THUMB + 4), len(shown) * (SHEET_THUMB + 4)), "white")
    for y, row in enumerate(shown):
        for x, picture in enumerate(row.shown):
            if picture.file is None:
                continue
            with Image.open(picture.file) as image:
                thumb = image.convert("RGB").resize((SHEET_THUMB, SHEET_THUMB), Image.Resampling.LANCZOS)
            canvas.paste(thumb, (x * (SHEET_THUMB + 4) + 2, y * (SHEET_THUMB + 4) + 2))
    stream = io.BytesIO()
    canvas.save(stream, "PNG")
    return stream.getvalue()
