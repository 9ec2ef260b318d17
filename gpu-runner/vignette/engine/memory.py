"""How many pictures of a shape fit into the device's memory: learnt from what earlier calls took, kept on disk."""

from __future__ import annotations

import gc
import json
import logging
import os
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

log = logging.getLogger(__name__)

# Left free, for what PyTorch's allocator cannot use, as in SGLang's dynamic batching.
RESERVE = 0.02


class MemoryProfile:
    """
    Peak bytes by shape and number of pictures. A shape that was never measured starts with one picture; from the
    first measurement on, its cap is what a straight line through the measurements promises to fit, and at most
    twice what was measured.

    Args:
        capacity: Bytes of the device; None, as on the CPU, leaves every cap as it is configured.
        file: Where the measurements outlive the process, or None. A file that cannot be read starts empty.
    """

    def __init__(self, capacity: int | None, file: Path | None = None) -> None:
        self._capacity = capacity
        self._file = file
        self._peaks: dict[str, dict[int, int]] = {}
        self._failed: dict[str, int] = {}
        if file is not None and file.is_file():
            try:
                raw = json.loads(file.read_text(encoding="utf-8"))
                self._peaks = {
                    shape: {int(n): int(b) for n, b in found.items()} for shape, found in raw["peaks"].items()
                }
                self._failed = {shape: int(n) for shape, n in raw["failed"].items()}
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                log.warning("The memory profile %s is not readable (%s); shapes are measured again.", file, error)

    def cap(self, shape: Hashable, configured: int) -> int:
        """The most pictures of `shape` in a call, between 1 and `configured`."""
        if self._capacity is None:
            return configured
        name = repr(shape)
        peaks = self._peaks.get(name)
        if not peaks:
            return 1
        most = max(peaks)
        fits = 2 * most if self._promise(peaks, 2 * most) else self._largest(peaks, most)
        below_failure = self._failed.get(name, configured + 1) - 1
        return max(1, min(configured, fits, below_failure))

    def record(self, shape: Hashable, pictures: int, peak: int) -> None:
        """`pictures` of `shape` were drawn in one call, with at most `peak` bytes allocated."""
        known = self._peaks.setdefault(repr(shape), {})
        if peak > known.get(pictures, 0):
            known[pictures] = peak
            self._save()

    @contextmanager
    def measured(self, device: torch.device, shape: Hashable, pictures: int) -> Iterator[None]:
        """Records what is allocated inside; only on CUDA, whose allocator keeps count."""
        if device.type != "cuda":
            yield
            return
        torch.cuda.reset_peak_memory_stats(device)
        yield
        self.record(shape, pictures, torch.cuda.max_memory_allocated(device))

    def fail(self, shape: Hashable, pictures: int) -> None:
        """`pictures` of `shape` did not fit."""
        name = repr(shape)
        self._failed[name] = min(pictures, self._failed.get(name, pictures))
        self._save()

    def _largest(self, peaks: dict[int, int], most: int) -> int:
        return next((n for n in range(2 * most, 1, -1) if self._promise(peaks, n)), 1)

    def _promise(self, peaks: dict[int, int], pictures: int) -> bool:
        few, most = min(peaks), max(peaks)
        # One measurement says nothing of the fixed part: all of it is taken to grow.
        slope = (peaks[most] - peaks[few]) / (most - few) if most > few else peaks[most] / most
        assert self._capacity is not None  # noqa: S101  # `cap` has looked
        return peaks[most] + slope * (pictures - most) <= self._capacity * (1 - RESERVE)

    def _save(self) -> None:
        if self._file is None or self._capacity is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        scratch = self._file.with_suffix(".part")
        scratch.write_text(json.dumps({"peaks": self._peaks, "failed": self._failed}), encoding="utf-8")
        os.replace(scratch, self._file)


def free_unused() -> None:
    """Gives back what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
