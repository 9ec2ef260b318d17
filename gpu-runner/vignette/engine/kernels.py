"""Which kernels a call may use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from vignette.engine.loader import LoadedModel
from vignette.engine.work import BatchKey


@contextmanager
def reproducibly(model: LoadedModel, key: BatchKey) -> Iterator[None]:
    """On CUDA the fastest kernels are not all reproducible; those that are have to be asked for."""
    if not key.deterministic or model.device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
