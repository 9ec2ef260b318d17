"""Marks as the figures of the studies' tables, and pictures as a sheet."""

from __future__ import annotations

import json
import platform
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from vignette.evaluation.statistics import mean_interval, paired_gain, share_closed
from vignette.sur.checkpoint import CHECKSUM

from .judge_net import ATTRIBUTES


def about() -> dict[str, str]:
    """When and on what figures were made."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, torch {torch.__version__}, {torch.get_num_threads()} threads",
    }


def weights_of(adapter: Path) -> str:
    """SHA-256 of the weights of the SUR-adapter in a folder, as its configuration notes it."""
    return str(json.loads((adapter / "config.json").read_text(encoding="utf-8"))[CHECKSUM])


def row(values: np.ndarray) -> dict[str, float]:
    """Means of marks [N, 5] by attribute, and over all."""
    return {**{a: float(values[:, i].mean()) for i, a in enumerate(ATTRIBUTES)}, "mean": float(values.mean())}


def row_with_intervals(values: np.ndarray) -> dict[str, Any]:
    """The same beside the 95 % intervals of each."""
    mean = mean_interval(values.mean(1))
    found = {a: mean_interval(values[:, i]) for i, a in enumerate(ATTRIBUTES)}
    intervals = {a: (interval.low, interval.high) for a, interval in found.items()}
    return {**row(values), "interval": (mean.low, mean.high), "intervals": intervals}


def compared(base: np.ndarray, own: np.ndarray, ceiling: np.ndarray) -> dict[str, Any]:
    """How far `own` gets from `base` to `ceiling` on the mean of the marks [N, 5] each, and what it gains over `base` by attribute."""
    closed = share_closed(base.mean(1), own.mean(1), ceiling.mean(1))
    gains = {a: paired_gain(own[:, i], base[:, i]) for i, a in enumerate(ATTRIBUTES)}
    gains["mean"] = paired_gain(own.mean(1), base.mean(1))
    return {
        "closed": {**asdict(closed), "in_words": closed.in_words()},
        "gain": {a: (gain.low, gain.high) for a, gain in gains.items()},
    }


def contact_sheet(rows: list[np.ndarray], path: Path, columns: int = 8) -> None:
    """Write the first `columns` pictures of every row, uint8 [N, 128, 128, 3], below each other."""
    sheet = Image.new("RGB", (columns * 132, len(rows) * 132), "white")
    for y, pictures in enumerate(rows):
        for x, picture in enumerate(pictures[:columns]):
            sheet.paste(Image.fromarray(picture), (x * 132 + 2, y * 132 + 2))
    sheet.save(path)
