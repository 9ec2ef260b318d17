"""Every picture through every instrument, remembered line by line so that nothing is measured twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vignette.evaluation.drawing import Job, picture_file
from vignette.evaluation.files import open_picture
from vignette.evaluation.instruments.base import Instrument, Metric, Reading

CHUNK = 32
REMEDY = "delete it, and it will be drawn again"


@dataclass(frozen=True)
class Table:
    """Figures by metric name, `[variants, cases, seeds]`, NaN where not measured, and what was said at each place."""

    metrics: tuple[Metric, ...]
    values: dict[str, np.ndarray]
    said: dict[tuple[int, int, int], tuple[str, ...]]


def measure(
    instrument: Instrument,
    jobs: Sequence[Job],
    pictures: Path,
    scores: Path,
    measured: Callable[[int], object] = lambda count: None,
) -> dict[str, Reading]:
    """
    One reading for each job whose picture exists, by [`reading_key`]; `measured` is told how many were done.

    Readings are appended to `scores/<instrument id>.jsonl` as they come; a line cut off by a crash is measured again.
    """
    file = scores / f"{instrument.id}.jsonl"
    known = _remembered(file)
    wanted = {reading_key(job): job for job in jobs if picture_file(pictures, job.key).is_file()}
    todo = [(key, job) for key, job in wanted.items() if key not in known]
    scores.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        if file.stat().st_size and not file.read_bytes().endswith(b"\n"):
            stream.write("\n")
        for start in range(0, len(todo), CHUNK):
            chunk = todo[start : start + CHUNK]
            images = [open_picture(picture_file(pictures, job.key), REMEDY) for _, job in chunk]
            for (key, _), reading in zip(chunk, instrument.measure(images, [j.case for _, j in chunk]), strict=True):
                known[key] = reading
                stream.write(json.dumps({"key": key, "values": reading.values, "said": reading.said}) + "\n")
            stream.flush()
            measured(len(chunk))
    return {key: known[key] for key in wanted}


def reading_key(job: Job) -> str:
    """A picture and the case it is held against."""
    return hashlib.sha256(f"{job.key}/{job.case.model_dump_json()}".encode()).hexdigest()


def tabulate(
    jobs: Sequence[Job],
    shape: tuple[int, int, int],
    readings: Sequence[tuple[Instrument, dict[str, Reading]]],
) -> Table:
    """Readings of jobs in the order of [`~vignette.evaluation.drawing.plan`] as arrays of `shape`, with each judge's mean."""
    metrics: list[Metric] = []
    values: dict[str, np.ndarray] = {}
    said: dict[tuple[int, int, int], tuple[str, ...]] = {}
    for instrument, by_key in readings:
        for metric in instrument.metrics:
            values[metric.name] = np.full(shape, np.nan)
        for index, job in enumerate(jobs):
            place = tuple(int(i) for i in np.unravel_index(index, shape))
            reading = by_key.get(reading_key(job), Reading({}))
            for name, value in reading.values.items():
                values[name][place] = value
            said[place] = said.get(place, ()) + reading.said  # type: ignore[index, arg-type]  # three indices
        present = [m for m in instrument.metrics if np.isfinite(values[m.name]).any()]
        judged = [m.name for m in present if m.judged]
        metrics += present
        if len(judged) > 1:
            mean = Metric(f"{instrument.name}/mean", f"mean over what {instrument.name} judged", judged=True)
            values[mean.name] = _mean_of_measured(np.stack([values[name] for name in judged]))
            metrics.append(mean)
    return Table(tuple(metrics), {m.name: values[m.name] for m in metrics}, said)


def _mean_of_measured(stack: np.ndarray) -> np.ndarray:
    counted = np.isfinite(stack)
    total = np.where(counted, stack, 0).sum(0)
    return np.where(counted.any(0), total / np.maximum(counted.sum(0), 1), np.nan)


def _remembered(file: Path) -> dict[str, Reading]:
    known = {}
    for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
        try:
            row = json.loads(line)
            known[row["key"]] = Reading(row["values"], tuple(row["said"]))
        except (ValueError, KeyError, TypeError):
            continue
    return known
