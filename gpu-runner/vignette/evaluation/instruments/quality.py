"""Image quality without a reference: BRISQUE from here, CLIP-IQA, MUSIQ and others through the optional library pyiqa."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from PIL import Image

from vignette.errors import PIP_INSTALL, ConfigError
from vignette.evaluation.cases import Case
from vignette.evaluation.instruments.base import Metric, Reading
from vignette.evaluation.instruments.brisque import load_brisque

FLAG = "--quality"


class ImageQuality:
    """
    `brisque`, and metrics of pyiqa by its names, e.g. `clipiqa`, `musiq`, `niqe`, `piqe`.

    pyiqa fetches the weights of most metrics at first use and keeps them in its own cache; `piqe` needs none. BRISQUE is
    the same whether pyiqa is there or not.
    """

    name = "quality"

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        self._metrics: dict[str, Any] = {}
        origins = {}
        for name in names:
            if name == "brisque":
                self._metrics[name], version = load_brisque()
                origins[name] = f"LIVE {version}"
        others = [name for name in names if name not in origins]
        if others:
            pyiqa = _library()
            self._metrics |= _made(pyiqa, others, device)
            origins |= dict.fromkeys(others, f"pyiqa {getattr(pyiqa, '__version__', '0')}")
        self.metrics = tuple(
            Metric(f"quality/{n}", f"{n} ({origins[n].split()[0]})", higher_is_better=not self._metrics[n].lower_better)
            for n in names
        )
        self.label = ", ".join(f"{name} ({origins[name]})" for name in names)
        self.id = "quality-" + "-".join(f"{name}@{origins[name].replace(' ', '-')}" for name in names)

    @torch.inference_mode()
    def measure(self, images: Sequence[Image.Image], cases: Sequence[Case]) -> list[Reading]:
        readings = []
        for image in images:
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
            values = {f"quality/{name}": float(metric(pixels)) for name, metric in self._metrics.items()}
            # A picture of one colour has no BRISQUE.
            readings.append(Reading({name: value for name, value in values.items() if math.isfinite(value)}))
        return readings


def _made(pyiqa: Any, names: Sequence[str], device: torch.device) -> dict[str, Any]:
    known = set(pyiqa.list_models(metric_mode="NR"))
    for name in names:
        if name not in known:
            raise ConfigError(f"{FLAG} {name}: pyiqa has no such metric without a reference; see pyiqa.list_models().")
    made = {}
    for name in names:
        try:
            made[name] = pyiqa.create_metric(name, device=device)
        except Exception as error:  # a download, a missing library, a broken cache: whatever pyiqa lets through
            raise ConfigError(f"{FLAG} {name}: pyiqa cannot make this metric ready ({error}).") from None
    return made


def _library() -> Any:
    try:
        return import_module("pyiqa")
    except ImportError:
        raise ConfigError(
            f"{FLAG} needs the library pyiqa for all but brisque, which is not installed: {PIP_INSTALL} -r"
            " gpu-runner/requirements-evaluate.txt. Its licence, PolyForm Noncommercial 1.0.0, allows noncommercial use only."
        ) from None
