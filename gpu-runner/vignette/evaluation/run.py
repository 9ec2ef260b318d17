"""One evaluation from plan to report."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from vignette.evaluation import gallery as galleries
from vignette.evaluation.cases import Case
from vignette.evaluation.drawing import Job, Settings, draw, missing, plan
from vignette.evaluation.instruments.base import Instrument
from vignette.evaluation.reference import TOO_FEW, Reference
from vignette.evaluation.report import write_report
from vignette.evaluation.scores import Table, measure, tabulate
from vignette.evaluation.summary import main_metric, summarise, summarise_kid
from vignette.evaluation.variants import Variant


class Bar(Protocol):
    def update(self, n: float = 1) -> object: ...


# (title, total) to a progress bar.
Progress = Callable[[str, int], AbstractContextManager[Bar]]


@dataclass(frozen=True)
class Evaluation:
    """Everything that an evaluation is made of. `absent` are sentences about instruments that were not there."""

    variants: tuple[Variant, ...]
    cases: tuple[Case, ...]
    seeds: int
    settings: Settings
    instruments: tuple[Instrument, ...]
    baseline: Variant | None
    ceiling: Variant | None
    output: Path
    pictures: Path
    device: torch.device
    title: str = "Evaluation"
    reference: Reference | None = None
    shown: int = 24
    failures: int = 12
    absent: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        return len(self.variants), len(self.cases), self.seeds


def run(evaluation: Evaluation, progress: Progress, say: Callable[[str], None]) -> dict[str, Any]:
    """
    Draws what is missing, measures what was not measured, writes the report and returns the figures.

    Stopped at any point, the same call goes on there: pictures and readings are files named by their content.
    """
    jobs = plan(evaluation.variants, evaluation.cases, evaluation.seeds, evaluation.settings, evaluation.device)
    todo = missing(jobs, evaluation.pictures)
    say(f"{len(jobs)} pictures: {len({j.key for j in jobs}) - len(todo)} there already, {len(todo)} to draw.")
    with progress("drawing", len(todo)) as bar:
        failed = draw(jobs, evaluation.pictures, evaluation.device, lambda: bar.update(1))
    readings = []
    for instrument in evaluation.instruments:
        with progress(instrument.name, len(jobs)) as bar:
            found = measure(
                instrument, jobs, evaluation.pictures, evaluation.output / "scores", lambda n: bar.update(n)
            )
        readings.append((instrument, found))
    table = tabulate(jobs, evaluation.shape, readings)
    figures = _figures(evaluation, jobs, table, failed)
    files = write_report(evaluation.output, figures, *_galleries(evaluation, jobs, table))
    say(f"Report: {files[0]}")
    return figures


def _figures(evaluation: Evaluation, jobs: Sequence[Job], table: Table, failed: dict[str, str]) -> dict[str, Any]:
    baseline, ceiling = evaluation.baseline, evaluation.ceiling
    request = jobs[0].request
    figures: dict[str, Any] = {
        "title": evaluation.title,
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {evaluation.device.type}, PyTorch {torch.__version__}",
        "cases": len(evaluation.cases),
        "groups": dict(Counter(case.group for case in evaluation.cases)),
        "seeds": evaluation.seeds,
        "variants": [
            {
                "name": v.name,
                "model": str(v.model.id),
                "adapter": v.adapter.id if v.adapter else None,
                "scale": v.scale,
                "prompt": v.prompt,
            }
            for v in evaluation.variants
        ],
        "settings": f"{request.width} x {request.height} pixels, {request.scheduler}, {request.num_inference_steps} steps,"
        f" guidance scale {request.guidance_scale:g}."
        + (" Other models with their own defaults." if len({v.model.id for v in evaluation.variants}) > 1 else ""),
        "asked_settings": asdict(evaluation.settings),
        "instruments": [{"id": i.id, "name": i.name, "label": i.label} for i in evaluation.instruments],
        "baseline": baseline.name if baseline else None,
        "ceiling": ceiling.name if ceiling and ceiling is not baseline else None,
        "candidate": _candidate(evaluation).name,
        "not_drawn": failed,
        "missing_instruments": list(evaluation.absent),
        "metrics": summarise(evaluation.variants, table, baseline, ceiling),
        "kid": None,
    }
    if evaluation.reference:
        features = evaluation.reference.features_of(evaluation.variants, jobs, evaluation.pictures)
        if not features:
            figures["missing_instruments"].append(TOO_FEW)
            return figures
        figures["kid"] = {
            "reference": evaluation.reference.title,
            "features": evaluation.reference.features_title,
            **summarise_kid(features, evaluation.reference.features, baseline, ceiling),
        }
    return figures


def _galleries(
    evaluation: Evaluation, jobs: Sequence[Job], table: Table
) -> tuple[list[galleries.Row], list[galleries.Row]]:
    grid = np.empty(evaluation.shape, dtype=object)
    grid.reshape(-1)[:] = jobs
    name = main_metric(table)
    marks = table.values[name] if name else None
    spread = galleries.spread(evaluation.shown, evaluation.cases)
    worst: list[int] = []
    if marks is not None:
        metric = next(m for m in table.metrics if m.name == name)
        candidate = evaluation.variants.index(_candidate(evaluation))
        ceiling = evaluation.variants.index(evaluation.ceiling) if evaluation.ceiling else None
        worst = galleries.failures(
            evaluation.failures, marks[:, :, 0], candidate, ceiling, higher_is_better=metric.higher_is_better
        )
    shown, failed = (
        galleries.rows(indices, grid, evaluation.pictures, marks, table.said) for indices in (spread, worst)
    )
    return shown, failed


def _candidate(evaluation: Evaluation) -> Variant:
    """Whose failures are shown: the first with an adapter, else the first."""
    return next((v for v in evaluation.variants if v.adapter), evaluation.variants[0])
