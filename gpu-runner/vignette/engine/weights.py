"""A model's weights as something that can leave the device and be read from its files again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError, safe_open

# A part of the model and one of its parameters: ("unet", "conv_in.weight").
Place = tuple[str, str]
# Numbers of a weight that are looked at before all of them are.
SAMPLE = 64


class Home(NamedTuple):
    """Where a weight's numbers stand on the disk."""

    file: Path
    key: str


def parameters_of(parts: Mapping[str, torch.nn.Module]) -> dict[Place, torch.nn.Parameter]:
    return {(part, name): weight for part, module in parts.items() for name, weight in module.named_parameters()}


def find_homes(files: Iterable[Path], weights: Mapping[Place, torch.Tensor]) -> dict[Place, Home]:
    """
    Which safetensors hold which of `weights`, that lie on the host. They are known by their numbers: libraries rename,
    cast and reshape what they load, and every kind of checkpoint has names of its own. What is put together from several
    tensors, or is in no file, has no home.
    """
    found: dict[Place, Home] = {}
    dtypes = {weight.dtype for weight in weights.values()}
    known: dict[tuple[torch.dtype, int, bytes], list[Home]] = defaultdict(list)
    with ExitStack() as stack:
        opened: dict[Path, Any] = {}
        for file in (file for file in files if file.suffix == ".safetensors"):
            try:
                opened[file] = stack.enter_context(safe_open(file, "pt"))
            except (OSError, SafetensorError):  # one that lies beside those that were loaded
                continue
            for key in opened[file].keys():  # noqa: SIM118  # it is no dictionary
                tensor = opened[file].get_tensor(key)
                for dtype in dtypes:
                    known[_mark(tensor, dtype)].append(Home(file, key))
        for place, weight in weights.items():
            for home in known[_mark(weight, weight.dtype)]:
                if torch.equal(opened[home.file].get_tensor(home.key).to(weight.dtype).view_as(weight), weight):
                    found[place] = home
                    break
    return found


class Weights:
    """
    While they are away, the parameters stay what they are, but empty: what refers to them, compiled code for one, need
    not be made again.

    Args:
        parts: The model's modules by name, on their device.
        homes: Where weights are read again. Those without a home are kept in the host's memory while they are away.
    """

    def __init__(self, parts: Mapping[str, torch.nn.Module], homes: Mapping[Place, Home]) -> None:
        self._parameters = parameters_of(parts)
        self._homes = {place: home for place, home in homes.items() if place in self._parameters}
        self._kept: dict[Place, torch.Tensor] = {}
        # Size and strides of those that are away.
        self._layout: dict[Place, tuple[torch.Size, tuple[int, ...]]] = {}

    @property
    def are_here(self) -> bool:
        return not self._layout

    @torch.inference_mode(False)
    def drop(self) -> None:
        """Gives the device's memory back."""
        for place, weight in self._parameters.items():
            self._layout[place] = weight.shape, weight.stride()
            if place not in self._homes:
                self._kept[place] = weight.detach().to("cpu", copy=True)
        self._empty()

    def read(self) -> dict[Place, torch.Tensor]:
        """
        All that is away, in the host's own memory. Changes nothing, so another thread may call it as long as they are away.

        Raises:
            OSError, SafetensorError, RuntimeError: A file is missing, or not what it was.
        """
        found = dict(self._kept)
        by_file: dict[Path, list[tuple[Place, str]]] = defaultdict(list)
        for place, home in self._homes.items():
            by_file[home.file].append((place, home.key))
        for file, wanted in by_file.items():
            with safe_open(file, "pt") as weights:
                for place, key in wanted:
                    # What safetensors gives is a view of the file, read from the disk only when it is used.
                    own = torch.empty(self._layout[place][0], dtype=self._parameters[place].dtype)
                    found[place] = own.copy_(weights.get_tensor(key).view(own.shape))
        return found

    @torch.inference_mode(False)
    def put(self, found: Mapping[Place, torch.Tensor]) -> None:
        """Copies what `read` has found to the device. What fails, as for want of memory, leaves them away."""
        try:
            for place, (size, strides) in self._layout.items():
                weight = self._parameters[place]
                there = torch.empty_strided(size, strides, dtype=weight.dtype, device=weight.device)
                weight.data = there.copy_(found[place])
        except Exception:
            self._empty()
            raise
        self._layout.clear()
        self._kept.clear()

    def _empty(self) -> None:
        for weight in self._parameters.values():
            weight.data = torch.empty(0, dtype=weight.dtype, device=weight.device)


def _mark(tensor: torch.Tensor, dtype: torch.dtype) -> tuple[torch.dtype, int, bytes]:
    """The same for equal numbers; for other ones it seldom is."""
    return dtype, tensor.numel(), tensor.flatten()[:SAMPLE].to(dtype).float().numpy().tobytes()
