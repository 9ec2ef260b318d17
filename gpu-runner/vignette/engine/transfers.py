"""Copies between host and device for which neither waits, and how to know where the device is in its work."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Moment:
    """When the device came to this place in its work, which on CUDA is later than the host."""

    def __init__(self, device: torch.device) -> None:
        self._event = torch.cuda.Event(enable_timing=True) if device.type == "cuda" else None
        self._host = time.perf_counter()
        if self._event is not None:
            self._event.record(torch.cuda.current_stream(device))

    @property
    def is_past(self) -> bool:
        return self._event is None or self._event.query()

    def wait(self) -> None:
        if self._event is not None:
            self._event.synchronize()

    def seconds_until(self, end: Moment) -> float:
        """Both have to be past."""
        if self._event is None or end._event is None:
            return end._host - self._host
        return self._event.elapsed_time(end._event) / 1000


def to_device(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """
    A host's tensor on `device`, or one that is there already. From memory that is not pinned, CUDA copies only after all
    that is in its queue.
    """
    if device.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=device.type != "mps")


def to_host(tensor: torch.Tensor) -> torch.Tensor:
    """A copy on the host, which may not be read before a `Moment` taken afterwards is past."""
    if tensor.device.type != "cuda":
        return tensor.cpu()
    return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)


class HostNoise(TorchFunctionMode):
    """Inside, what a library draws on the host and moves with `.to(device)` goes as by `to_device`."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.Tensor.to and not kwargs and len(args) == 2 and isinstance(args[1], torch.device):
            return to_device(*args) if args[0].device.type == "cpu" else func(*args)
        return func(*args, **(kwargs or {}))
