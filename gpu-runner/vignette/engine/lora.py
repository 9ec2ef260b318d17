"""LoRAs (https://arxiv.org/abs/2106.09685) in a model's weights: merged, and taken out without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch

from vignette.engine.transfers import to_device

# Ids with their scales, sorted by id; equal sets share UNet calls.
Loras = tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class LowRank:
    """A weight's change, `scale * up @ down`: `up` is `[out, r]`, `down` is `[r, in]`. They wait in the host's memory."""

    up: torch.Tensor
    down: torch.Tensor
    scale: float

    def delta(self, device: torch.device) -> torch.Tensor:
        """`[out, in]` on `device` in float32."""
        up, down = (to_device(side, device).float() for side in (self.up, self.down))
        return self.scale * (up @ down)


# A LoRA's changes by (part, module): ("unet", "mid_block.attentions.0.proj_in").
Lora = dict[tuple[str, str], LowRank]


@dataclass
class LoraSwitch:
    """
    Puts one set of LoRAs at a time into the weights of a part of the model, in place, so that compiled graphs stay valid.
    What it changes it restores from copies, bit for bit. Parts are apart, because prompts are encoded for one set while the
    UNet draws with another.
    """

    parts: dict[str, Any]
    loras: dict[str, Lora]
    _current: dict[str, Loras] = field(default_factory=dict)
    _originals: dict[tuple[str, str], torch.Tensor] = field(default_factory=dict)

    @property
    def most_copied(self) -> int:
        """Bytes of all copies that any of its LoRAs may need."""
        return sum(self._weight(place).nbytes for place in {place for lora in self.loras.values() for place in lora})

    @torch.no_grad()
    def use(self, wanted: Loras, *parts: str) -> None:
        """After this the weights of `parts` are the model's plus `wanted`; what is in place already costs nothing."""
        for part in parts:
            if wanted != self._current.get(part, ()):
                self._switch(part, wanted)

    def forget(self) -> None:
        """Takes out what is in place and gives the copies' memory back."""
        self.use((), *self.parts)
        self._originals.clear()

    def _switch(self, part: str, wanted: Loras) -> None:
        self._restore(part, self._current.pop(part, ()))
        try:
            for place in self._places(part, wanted):
                self._merge(place, wanted)
        except Exception:  # out of memory, say: half of a LoRA must not stay in everybody's weights
            self._restore(part, wanted)
            raise
        self._current[part] = wanted

    def _merge(self, place: tuple[str, str], wanted: Loras) -> None:
        weight = self._weight(place)
        if place not in self._originals:
            self._originals[place] = weight.detach().clone()
        change = sum(
            scale * self.loras[id][place].delta(weight.device) for id, scale in wanted if place in self.loras[id]
        )
        weight.copy_(self._originals[place].float() + torch.as_tensor(change).view_as(weight))

    def _restore(self, part: str, loras: Loras) -> None:
        for place in self._places(part, loras):
            if place in self._originals:
                self._weight(place).copy_(self._originals[place])

    def _places(self, part: str, loras: Loras) -> Iterator[tuple[str, str]]:
        yield from dict.fromkeys(place for id, _ in loras for place in self.loras[id] if place[0] == part)

    def _weight(self, place: tuple[str, str]) -> torch.Tensor:
        part, name = place
        return self.parts[part].get_submodule(name).weight
