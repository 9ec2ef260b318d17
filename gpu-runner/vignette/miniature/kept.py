"""Pictures that took long to make, kept by what they are made from: a study that was cut off, or has another judge, makes them once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np


def kept(
    folder: Path | None, source: np.ndarray, settings: tuple[object, ...], make: Callable[[], np.ndarray]
) -> np.ndarray:
    """
    What `make` gives, from `folder` where it was made of the same `source` and `settings` before.

    Args:
        folder: Keeps each array as a file, whole or not at all; None keeps nothing.
        source: What it is made from, byte for byte.
        settings: What else it depends on, the weights' fingerprint among it; all of them with a `repr` of their own value.
    """
    if folder is None:
        return make()
    name = hashlib.sha256(np.ascontiguousarray(source).tobytes() + str(settings).encode()).hexdigest()[:16]
    path = folder / f"{name}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part.npy")
        np.save(partial, make())
        partial.rename(path)
    return np.load(path)
