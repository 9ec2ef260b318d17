"""What every training stage shares: a resumable loop with checkpoints, a log, and autocast where the processor gains by it."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from vignette.training.optim import Optimisers, multiplies_bfloat16


def pick_device(name: str = "auto") -> torch.device:
    """`cuda` where there is one, else `cpu` (`name` other than "auto" is taken as it is)."""
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def autocast(device: torch.device) -> torch.autocast:
    """bfloat16 autocast where it is faster (AMX: 1.4 times fp32, AVX-512 BF16: 2 times), else fp32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=multiplies_bfloat16(device))


class Rows:
    """An array whose rows batches are picked from: on a GPU it lies there as a whole, on a CPU it stays where it is, maybe
    memory-mapped.
    """

    def __init__(self, array: np.ndarray, device: torch.device):
        self._array, self._device = array, device
        self._tensor = torch.from_numpy(np.ascontiguousarray(array)).to(device) if device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, pick: np.ndarray) -> torch.Tensor:
        """The rows numbered `pick` [B], in the array's own type, on the device."""
        if self._tensor is None:
            return torch.from_numpy(np.array(self._array[pick]))
        return self._tensor[torch.from_numpy(pick).to(self._device)]


def halfway(before: nn.Module, after: nn.Module) -> nn.Module:
    """
    A model whose weights are the mean of those of one and of the same one after more lessons: what those teach costs some of
    what there was before, and half-way between lies much of both (Wortsman et al. 2022, https://arxiv.org/abs/2109.01903).
    """
    model, others = copy.deepcopy(before), after.state_dict()
    model.load_state_dict({name: (tensor + others[name]) / 2 for name, tensor in model.state_dict().items()})
    return model


class Ema:
    """An exponential moving average of a model's parameters, with the usual ramp at the start."""

    def __init__(self, model: nn.Module, decay: float):
        self.decay, self.count = decay, 0
        self.values = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model by one step."""
        self.count += 1
        weight = 1 - min(self.decay, (1 + self.count) / (10 + self.count))
        state = model.state_dict()
        torch._foreach_lerp_([self.values[k] for k in state], list(state.values()), weight)


@dataclass
class Stage:
    """One trained part: `loss_fn(step)` gives the loss of a batch that depends on `step` and the seed only, so a resumed run repeats it."""

    name: str
    folder: Path
    model: nn.Module
    optim: Optimisers
    steps: int
    loss_fn: Callable[[int], tuple[torch.Tensor, dict[str, float]]]
    ema_decay: float = 0.0
    save_every: int = 200
    clip: float = 1.0
    on_save: Callable[[int], None] | None = None

    @property
    def path(self) -> Path:
        """The checkpoint file, inside the (ignored) work folder; never shipped."""
        return self.folder / f"{self.name}.ckpt"

    def run(self) -> None:
        """Train from the last checkpoint to `steps`, then leave the averaged weights in the model."""
        ema = Ema(self.model, self.ema_decay) if self.ema_decay else None
        start = self._resume(ema)
        began, last, done = time.time(), time.time(), start
        for step in range(start, self.steps):
            torch.manual_seed(step * 9973 + 17)
            loss, parts = self.loss_fn(step)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optim.step(step)
            if ema:
                ema.update(self.model)
            if step % 20 == 19 or step + 1 == self.steps:
                pace = (time.time() - last) / (step + 1 - done)
                last, done = time.time(), step + 1
                detail = " ".join(f"{k} {v:.4f}" for k, v in parts.items())
                left = pace * (self.steps - step - 1) / 60
                print(
                    f"{self.name} {step + 1}/{self.steps} loss {loss.item():.4f} {detail} {pace:.3f} s/step, {left:.1f} min left",
                    flush=True,
                )
            if (step + 1) % self.save_every == 0 or step + 1 == self.steps:
                self._save(step + 1, ema)
        if ema:
            self.model.load_state_dict(ema.values)
        print(f"{self.name} done after {(time.time() - began) / 60:.1f} min", flush=True)

    def _save(self, step: int, ema: Ema | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {"step": step, "model": self.model.state_dict(), "optim": self.optim.state_dict()}
        if ema:
            state["ema"] = {"values": ema.values, "count": ema.count}
        partial = self.path.with_suffix(".part")
        torch.save(state, partial)
        partial.rename(self.path)
        if self.on_save:
            self.on_save(step)

    def _resume(self, ema: Ema | None) -> int:
        if not self.path.exists():
            return 0
        state = torch.load(self.path, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optim.load_state_dict(state["optim"])
        if ema:
            ema.values, ema.count = state["ema"]["values"], state["ema"]["count"]
        return state["step"]
