"""The loop: batches to gradients to weights, on one process or many, with checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from diffusers.training_utils import EMAModel

from vignette.sur import SURAdapter
from vignette.training import checkpoint
from vignette.training.batches import Batches, Draw
from vignette.training.forward import losses, weights
from vignette.training.frozen import FrozenModel
from vignette.training.journal import Journal
from vignette.training.optim import Optimisers
from vignette.training.options import Options
from vignette.training.samples import Samples


class TrainingStopped(Exception):
    """Training cannot or should not go on; the message says why and what helps."""


class Trainer:
    """
    Trains `adapter` in place. The global batch is cut over processes and micro-batches by place, every loss is a sum
    over its samples divided by the batch size, and gradients are summed, so neither cut changes what is learnt.

    Args:
        same: What a resumed run has to share ([`checkpoint.identity`]).
        interrupted: Asked after every step; `True` saves and stops, on all processes at the same step.
    """

    def __init__(
        self, options: Options, frozen: FrozenModel, adapter: SURAdapter, batches: Batches, accelerator: Accelerator,
        same: Mapping[str, Any], samples: Samples | None = None, interrupted: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self.options, self.frozen, self.batches, self.accelerator = options, frozen, batches, accelerator
        self.adapter = adapter.to(accelerator.device, torch.float32).requires_grad_(True).train()
        self.parameters = list(adapter.parameters())
        self.optimisers = Optimisers(
            self.adapter, partial(pace, options), options.muon_learning_rate, options.learning_rate,
            adam_only=("position", "teacher_head"), betas=(0.9, 0.999), weight_decay=options.weight_decay,
        )  # fmt: skip
        self.ema = EMAModel(self.parameters, decay=options.ema_decay) if options.ema_decay else None
        self.same, self.samples, self.interrupted = dict(same), samples, interrupted
        self.names = [name for name, weight in weights(options).items() if weight]
        self.main = accelerator.is_main_process

    @property
    def checkpoints(self) -> Path:
        return self.options.checkpoints

    def run(self) -> int:
        """
        Trains from the last checkpoint to the end; returns the steps done, fewer than asked if it was interrupted.

        Raises:
            ConfigError: A checkpoint of another run.
            TrainingStopped: A loss or gradient became NaN or infinite.
        """
        options = self.options
        last = checkpoint.latest(self.checkpoints)
        start = checkpoint.load(last, self.adapter, self.ema, self.optimisers, self.same) if last else 0
        self.accelerator.wait_for_everyone()
        journal = Journal(options.output, start, options.steps, quiet=not self.main)
        try:
            for step in range(start, options.steps):
                began = time.perf_counter()
                numbers, stop = self.step(step)
                numbers["samples_per_second"] = options.batch_size / (time.perf_counter() - began)
                journal.step(step + 1, numbers)
                done = step + 1
                if done % options.save_every == 0 or done == options.steps or stop:
                    self._save(done)
                if self.samples and self.main and (done % options.sample_every == 0 or done == options.steps):
                    journal.samples(done, self._grid(), self.samples.caption)
                if stop:
                    return done
        finally:
            journal.close()
        return options.steps

    def step(self, step: int) -> tuple[dict[str, float], bool]:
        """One optimiser step; its numbers and whether somebody asked to stop."""
        options = self.options
        with_unet = options.uses_unet and step >= options.align_steps
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        first, last = (options.batch_size * r // world for r in (rank, rank + 1))
        # Rows: the losses by name, and whether this process was asked to stop. Columns: places in the global batch.
        table = torch.zeros(len(self.names) + 1, options.batch_size, device=self.accelerator.device)
        for at in range(first, last, options.micro_batch_size):
            places = range(at, min(at + options.micro_batch_size, last))
            draws = [self.batches.draw(step, place) for place in places]
            self._backward(step, draws, table[:, at : places[-1] + 1], with_unet)
        table[-1, 0] = float(self.interrupted())
        table = self.accelerator.reduce(table, reduction="sum")
        self._check(step, table)
        norm = self._apply(step)
        if not math.isfinite(norm):
            raise TrainingStopped(self._advice(step, "The gradient"))
        wanted = weights(options)
        means = {name: table[i].mean().item() for i, name in enumerate(self.names)}
        numbers = {f"loss/{name}": value for name, value in means.items() if with_unet or name in ("align", "distil")}
        total = sum(wanted[name] * value for name, value in means.items())
        extra = {"learning_rate": options.learning_rate * pace(options, step), "gradient_norm": norm}
        return {"loss": total, **numbers, **extra}, bool(table[-1].any())

    def _backward(self, step: int, draws: Sequence[Draw], table: torch.Tensor, with_unet: bool) -> None:
        batch = self.batches.load(draws, with_unet)
        # Dropout alone draws from the global generator.
        torch.manual_seed(hash((self.options.seed, step, draws[0].noise_seed)) & 0x7FFFFFFF)
        found = losses(self.adapter, self.frozen, batch, self.options, with_unet)
        wanted = weights(self.options)
        loss = sum((wanted[name] * values.sum() for name, values in found.items()), torch.zeros(()))
        (loss / self.options.batch_size).backward()
        for i, name in enumerate(self.names):
            if name in found:
                table[i] = found[name].detach()

    def _apply(self, step: int) -> float:
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in self.parameters])
        flat = self.accelerator.reduce(flat, reduction="sum")
        norm = flat.norm().item()
        flat *= min(1.0, self.options.max_grad_norm / (norm + 1e-6))
        for parameter, gradient in zip(self.parameters, flat.split([p.numel() for p in self.parameters]), strict=True):
            parameter.grad = gradient.view_as(parameter)
        if math.isfinite(norm):
            self.optimisers.step(step)
            if self.ema is not None:
                self.ema.step(self.parameters)
        return norm

    def _check(self, step: int, table: torch.Tensor) -> None:
        for i, name in enumerate(self.names):
            bad = (~torch.isfinite(table[i])).nonzero().flatten().tolist()
            if bad:
                rows = ", ".join(self.batches.draw(step, place).example.name for place in bad[:3])
                raise TrainingStopped(self._advice(step, f"The {name} loss of {rows}"))

    def _advice(self, step: int, what: str) -> str:
        last = checkpoint.latest(self.checkpoints)
        kept = f"the last checkpoint, {last}, is whole" if last else "no checkpoint was written yet"
        return (
            f"{what} became NaN or infinite at step {step + 1}; {kept}. A lower --learning-rate, --precision fp32 or"
            " removing the rows named helps."
        )

    def _save(self, done: int) -> None:
        if self.main:
            checkpoint.save(
                self.checkpoints, done, self.adapter, self.ema, self.optimisers, self.same, self.options.keep
            )
        self.accelerator.wait_for_everyone()

    def _grid(self) -> Any:
        assert self.samples is not None  # noqa: S101
        if self.ema is None:
            return self.samples.grid(self.adapter)
        self.ema.store(self.parameters)
        self.ema.copy_to(self.parameters)
        try:
            return self.samples.grid(self.adapter)
        finally:
            self.ema.restore(self.parameters)


def pace(options: Options, step: int) -> float:
    """The learning rates' factor at a step: a linear warm-up, then constant, linear or cosine to zero. A function of the
    step alone, so a resumed run needs no state for it."""
    if step < options.warmup_steps:
        return (step + 1) / options.warmup_steps
    progress = (step - options.warmup_steps) / max(1, options.steps - options.warmup_steps)
    return {"constant": 1.0, "linear": 1 - progress, "cosine": (1 + math.cos(math.pi * progress)) / 2}[options.schedule]
