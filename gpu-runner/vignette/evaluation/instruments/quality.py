"""Image quality without a reference (BRISQUE, CLIP-IQA, MUSIQ and others) through the optional library pyiqa."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from PIL import Image

from vignette.errors import ConfigError
from vignette.evaluation.cases import Case
from vignette.evaluation.instruments.base import Metric, Reading

FLAG = "--quality"


class ImageQuality:
    """
    Metrics of pyiqa by its names, e.g. `brisque`, `clipiqa`, `musiq`, `niqe`, `piqe`.

    pyiqa fetches the weights of most metrics at first use and keeps them in its own cache; `piqe` needs none.
    """

    name = "quality"

    def __init__(self, names: Sequence[str], device: torch.device) -> None:
        pyiqa = _library()
        known = set(pyiqa.list_models(metric_mode="NR"))
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"{FLAG} {name}: pyiqa has no such metric without a reference; see pyiqa.list_models()."
                )
        self._metrics: dict[str, Any] = {}
        for name in names:
            try:
                self._metrics[name] = pyiqa.create_metric(name, device=device)
            except Exception as error:  # a download, a missing library, a broken cache: whatever pyiqa lets through
                raise ConfigError(f"{FLAG} {name}: pyiqa cannot make this metric ready ({error}).") from None
        self.metrics = tuple(
            Metric(f"quality/{name}", f"{name} (pyiqa)", higher_is_better=not metric.lower_better)
            for name, metric in self._metrics.items()
        )
        self.id = f"quality-{getattr(pyiqa, '__version__', '0')}-{'-'.join(names)}"

    @torch.inference_mode()
    def measure(self, images: Sequence[Image.Image], cases: Sequence[Case]) -> list[Reading]:
        readings = []
        for image in images:
            pixels = torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
            readings.append(Reading({f"quality/{n}": float(metric(pixels)) for n, metric in self._metrics.items()}))
        return readings


def _library() -> Any:
    try:
        return import_module("pyiqa")
    except ImportError:
        raise ConfigError(
            f"{FLAG} needs the library pyiqa, which is not installed: pip install -r gpu-runner/requirements-evaluate.txt."
            " Its licence, PolyForm Noncommercial 1.0.0, allows noncommercial use only."
        ) from None
