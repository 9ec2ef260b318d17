"""How good the studies' pictures are, whatever they show: KID of the judge's features, and BRISQUE where its model is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from vignette.errors import ConfigError
from vignette.evaluation.instruments.brisque import load_brisque
from vignette.evaluation.kid import kid, kid_gain
from vignette.evaluation.statistics import paired_gain


@dataclass(frozen=True)
class Look:
    """What quality is measured by: the judge's `features` [N, D] of pictures, and their `brisque` [N] where it can be had."""

    features: np.ndarray
    brisque: np.ndarray | None = None


def brisque(pictures: np.ndarray) -> np.ndarray | None:
    """BRISQUE (Mittal et al. 2012) of uint8 pictures [N, H, W, 3], [N], lower is better; None without the package of its model."""
    try:
        metric, _ = load_brisque()
    except ConfigError:
        return None
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255
    return np.array([float(metric(picture[None])) for picture in pixels])


def quality(real: np.ndarray, own: Look, ceiling: Look | None) -> dict[str, Any]:
    """
    KID of `own` to the features `real` [M, D] and its mean BRISQUE; beside `ceiling`, what each has more than that: 95 %
    intervals, above 0 is worse.
    """
    found: dict[str, Any] = {"kid": kid(real, own.features).mean}
    if own.brisque is not None:
        found["brisque"] = float(own.brisque.mean())
    if ceiling is not None:
        worse = kid_gain(real, own.features, ceiling.features)
        found["kid_over_keyword"] = (worse.low, worse.high)
    if ceiling is not None and own.brisque is not None and ceiling.brisque is not None:
        coarser = paired_gain(own.brisque, ceiling.brisque)
        found["brisque_over_keyword"] = (coarser.low, coarser.high)
    return found
