"""How true pictures are to others of the same, in figures; all are uint8 [N, H, W, 3]."""

from __future__ import annotations

import numpy as np


def psnr(pictures: np.ndarray, others: np.ndarray) -> float:
    """The mean of the pictures' peak signal-to-noise ratios, in dB; infinite where two are the same."""
    error = np.square(pictures.astype(np.float32) - others).mean((1, 2, 3))
    with np.errstate(divide="ignore"):
        return float(np.mean(10 * np.log10(255**2 / error)))


def edges(pictures: np.ndarray) -> float:
    """The mean absolute difference between neighbouring values, 0 to 255: what blur takes away and haloes add."""
    values = pictures.astype(np.float32)
    return float((np.abs(np.diff(values, axis=1)).mean() + np.abs(np.diff(values, axis=2)).mean()) / 2)
