"""How many pictures of a shape fit into the device's memory: learnt from what earlier calls took, kept on disk."""

from __future__ import annotations

import gc
import json
import logging
import os
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

log = logging.getLogger(__name__)

# Left free, for what PyTorch's allocator cannot use, as in SGLang's dynamic batching.
RESERVE = 0.02
# For so long a size that failed is not tried again; who took the memory may be gone by then.
REMEMBERED_SECONDS = 3600.0


class MemoryProfile:
    """
    The most bytes that calls took beyond what was allocated before them, by shape and number of pictures. A shape that
    was never measured starts with one picture; from the first measurement on, its cap is what a straight line through
    the measurements promises to fit beside the rest, and at most twice what was measured. Half of a size that failed is
    the cap for an hour.

    Args:
        capacity: Bytes of the device; None, as on the CPU, leaves every cap as it is configured until a size fails.
        file: Where the measurements outlive the process, or None. A file that cannot be read, or that is of another
            device, starts empty.
        device: The device's name.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        capacity: int | None,
        file: Path | None = None,
        device: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._capacity = capacity
        self._file = file
        self._device = device
        self._clock = clock
        self._taken: dict[str, dict[int, int]] = {}
        # The size that failed last, and when.
        self._failed: dict[str, tuple[int, float]] = {}
        # What was allocated before the last call: weights, and pictures under way.
        self._beside = 0
        if file is not None and file.is_file():
            try:
                self._read(json.loads(file.read_text(encoding="utf-8")))
            except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
                log.warning("The memory profile %s is not readable (%s); shapes are measured again.", file, error)

    def cap(self, shape: Hashable, configured: int, sizes: Sequence[int] = ()) -> int:
        """
        The most pictures of `shape` in a call, between 1 and `configured`; `sizes` are those that calls are padded to,
        ascending, if they are.
        """
        name = repr(shape)
        fits = configured if self._capacity is None else self._fitting(self._taken.get(name, {}), sizes)
        failed, when = self._failed.get(name, (0, 0.0))
        if failed and 0 <= self._clock() - when < REMEMBERED_SECONDS:
            fits = min(fits, failed // 2)
        return max(1, min(configured, fits))

    def record(self, shape: Hashable, pictures: int, taken: int, beside: int = 0) -> None:
        """`pictures` of `shape` were drawn in one call, with at most `taken` bytes allocated, `beside` more than those."""
        self._beside = beside
        known = self._taken.setdefault(repr(shape), {})
        if taken > known.get(pictures, 0):
            known[pictures] = taken
            self._save()

    @contextmanager
    def measured(self, device: torch.device, shape: Hashable, pictures: int) -> Iterator[None]:
        """Records what is allocated inside; only on CUDA, whose allocator keeps count."""
        if device.type != "cuda":
            yield
            return
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield
        self.record(shape, pictures, torch.cuda.max_memory_allocated(device) - before, before)

    def fail(self, shape: Hashable, pictures: int) -> int:
        """`pictures` of `shape` did not fit. Returns what may be tried now, at least 1."""
        self._failed[repr(shape)] = (pictures, self._clock())
        self._save()
        return max(1, pictures // 2)

    def _fitting(self, taken: dict[int, int], sizes: Sequence[int]) -> int:
        if not taken:
            return 1
        most = max(taken)
        # Sizes that lie further apart than 1, 2, 4 could never be reached by doubling.
        reach = max(2 * most, min((size for size in sizes if size > most), default=0))
        return next((n for n in range(reach, 1, -1) if self._promise(taken, n)), 1)

    def _promise(self, taken: dict[int, int], pictures: int) -> bool:
        *smaller, most = sorted(taken)
        # One measurement says nothing of the fixed part: all of it is taken to grow. A size's first call can hold what
        # libraries allocate once, so that the line seems to fall.
        few = smaller[-1] if smaller else 0
        slope = max(0.0, (taken[most] - taken.get(few, 0)) / (most - few))
        assert self._capacity is not None  # noqa: S101  # `cap` has looked
        return taken[most] + slope * (pictures - most) <= self._capacity * (1 - RESERVE) - self._beside

    def _read(self, kept: dict[str, Any]) -> None:
        if (kept["device"], kept["capacity"]) != (self._device, self._capacity):
            log.info("The memory profile %s is of another device; shapes are measured again.", self._file)
            return
        taken = {shape: {int(n): int(b) for n, b in found.items()} for shape, found in kept["taken"].items()}
        failed = {shape: (int(n), float(when)) for shape, (n, when) in kept["failed"].items()}
        self._taken, self._failed = taken, failed

    def _save(self) -> None:
        if self._file is None or self._capacity is None:
            return
        kept = {"device": self._device, "capacity": self._capacity, "taken": self._taken, "failed": self._failed}
        scratch = self._file.with_suffix(".part")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(kept), encoding="utf-8")
            os.replace(scratch, self._file)
        except OSError as error:
            # Inside a call: no picture must fail for it.
            log.warning("The memory profile %s cannot be kept (%s); the next start measures again.", self._file, error)


def free_unused() -> None:
    """Gives back what nothing refers to any more."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
