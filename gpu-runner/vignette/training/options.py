"""What a training run was asked to do, checked before anything is loaded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vignette.errors import ConfigError

ALIGNMENTS = ("mse", "words", "cosine", "kl", "kl-published", "attention")
DISTILLATIONS = ("cosine", "mse", "kl", "kl-published", "attention")
# Each takes as much of the disk as a picture's latents do, and four are spread over the schedule evenly.
MOST_DRAWS = 4
# The published recipe (run.sh of the official code): its denoising term was cut off from the adapter by a copy of the
# embeddings, so a faithful repetition has none (docs/adapter.md).
PUBLISHED: dict[str, Any] = {
    "layout": "token",
    "eta": 0.1,
    "batch_size": 4,
    "micro_batch_size": 1,
    "learning_rate": 1e-5,
    "muon_learning_rate": 0.0,
    "weight_decay": 1e-2,
    "warmup_steps": 0,
    "schedule": "constant",
    "denoise_weight": 0.0,
    "match_weight": 0.0,
    "align": "kl-published",
    "align_weight": 1e-5,
    "distil": "kl-published",
    "distil_weight": 1e-5,
    "teacher_layer": "last",
    "align_steps": 0,
    "keyword_share": 0.0,
    "ema_decay": 0.0,
    "feedforward_size": 2048,
    "dropout": 0.1,
}
# What an adapter is built with, and keeps.
BUILT = ("layout", "num_layers", "num_heads", "feedforward_size", "dropout", "eta", "mask_padding")


@dataclass(frozen=True)
class Options:
    """
    One training run. Two runs with equal options, data and weights have equal losses, on any number of processes; with
    dropout, whose masks are drawn by micro-batch, on the same number and with the same micro-batches.

    Args:
        model: Folder of the frozen diffusers model.
        data: Folder or file of narrative / keyword prompt / picture triples.
        output: Folder for checkpoints, logs and the finished adapter.
        resolution: Side in pixels that pictures are scaled and centre-cropped to; 0 takes the model's own.
        steps: Optimiser steps.
        batch_size: Samples per optimiser step, over all processes.
        micro_batch_size: Most samples in one UNet call of one process; the rest of its share is accumulated.
        muon_learning_rate: Peak length of Muon's update of a weight matrix per unit row, 0.02 for instance; vectors and
            positions stay with AdamW. 0 leaves everything to AdamW.
        align_steps: First steps that train alignment and distillation alone, which needs no UNet.
        denoise_weight, match_weight, align_weight, distil_weight: Loss weights; 0 leaves a loss out.
        match_draws: Noise and timestep draws per picture whose keyword prediction is cached; 0 predicts at every step,
            `None` leaves the number to [`draws`].
        snr_gamma: Gamma of min-SNR weighting of the denoising loss (https://arxiv.org/abs/2303.09556); 0 is none.
        caption_drop: Share of samples with the empty prompt on both sides, in [0, 1).
        keyword_share: Share of samples whose narrative is the keyword prompt itself, which must pass unharmed.
        teacher: Folder or hub id of a causal language model, or a .gguf file; `None` distils nothing.
        teacher_layer: "mean" (of layer-normalised layers), "last", or a layer's number, 0 being the embeddings.
        teacher_tokens: Distil every token instead of the mean of a sentence.
        asked: Options that somebody named, the default values among them.
    """

    model: Path
    data: Path
    output: Path
    resolution: int = 0
    steps: int = 5000
    batch_size: int = 16
    micro_batch_size: int = 16
    learning_rate: float = 1e-4
    muon_learning_rate: float = 0.0
    weight_decay: float = 1e-2
    warmup_steps: int = 100
    schedule: str = "cosine"
    max_grad_norm: float = 1.0
    align_steps: int = 0
    denoise_weight: float = 0.2
    match_weight: float = 4.0
    match_draws: int | None = None
    align: str = "mse"
    align_weight: float = 1.0
    distil: str = "cosine"
    distil_weight: float = 0.1
    snr_gamma: float = 5.0
    caption_drop: float = 0.0
    adapt_negative: bool = False
    keyword_share: float = 0.1
    teacher: str | None = None
    teacher_layer: str = "mean"
    teacher_tokens: bool = False
    layout: str = "sequence"
    num_layers: int = 2
    num_heads: int = 8
    feedforward_size: int | None = None
    dropout: float = 0.0
    eta: float = 1.0
    mask_padding: bool = False
    start: Path | None = None
    ema_decay: float = 0.999
    precision: str = "auto"
    gradient_checkpointing: bool = False
    seed: int = 0
    save_every: int = 500
    keep: int = 2
    sample_every: int = 500
    sample_count: int = 4
    sample_steps: int = 25
    sample_guidance: float = 7.5
    cache: Path | None = None
    asked: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "micro_batch_size", "save_every", "keep", "num_layers", "num_heads"):
            self._need(name, getattr(self, name) >= 1, "at least 1")
        for name in ("align_steps", "warmup_steps", "sample_every", "sample_count", "resolution", "seed"):
            self._need(name, getattr(self, name) >= 0, "0 or more")
        self._need("match_draws", self.match_draws is None or self.match_draws >= 0, "0 or more")
        for name in (
            "denoise_weight",
            "match_weight",
            "align_weight",
            "distil_weight",
            "snr_gamma",
            "weight_decay",
            "muon_learning_rate",
        ):
            value = getattr(self, name)
            self._need(name, math.isfinite(value) and value >= 0, "0 or more")
        for name in ("caption_drop", "keyword_share", "dropout", "ema_decay"):
            self._need(name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        for name in ("learning_rate", "max_grad_norm"):
            self._need(name, math.isfinite(getattr(self, name)) and getattr(self, name) > 0, "above 0")
        self._need("eta", 0 < self.eta <= 1, "in (0, 1]")
        self._need("sample_steps", self.sample_steps >= 1, "at least 1")
        self._need("layout", self.layout in ("sequence", "token"), "sequence or token")
        self._need("align", self.align in ALIGNMENTS, f"one of {', '.join(ALIGNMENTS)}")
        self._need("distil", self.distil in DISTILLATIONS, f"one of {', '.join(DISTILLATIONS)}")
        self._need("precision", self.precision in ("auto", "fp32", "bf16"), "auto, fp32 or bf16")
        self._need("schedule", self.schedule in ("cosine", "linear", "constant"), "cosine, linear or constant")
        layer = self.teacher_layer
        self._need("teacher_layer", layer in ("mean", "last") or layer.isdecimal(), "mean, last or a layer's number")
        if self.caption_drop + self.keyword_share >= 1:
            raise ConfigError("--caption-drop and --keyword-share together must leave some narratives: below 1.")
        if self.adapt_negative and self.caption_drop == 0:
            raise ConfigError("--adapt-negative needs --caption-drop above 0: the adapter has to meet empty prompts.")
        if self.teacher_tokens and self.distil != "attention":
            raise ConfigError(
                "--teacher-tokens needs --distil attention: the two models' tokens do not pair up by place."
            )
        if self.teacher and self.distil == "attention" and not self.teacher_tokens:
            raise ConfigError("--distil attention needs --teacher-tokens: one vector has no tokens to match.")
        if not (self.uses_unet or self.align_weight or (self.teacher and self.distil_weight)):
            raise ConfigError("Every loss has the weight 0; give at least one of them a weight above 0.")
        if not (self.align_weight or (self.teacher and self.distil_weight)) and self.align_steps:
            raise ConfigError("--align-steps has nothing to train: --align-weight is 0 and there is no teacher.")

    @property
    def checkpoints(self) -> Path:
        return self.output / "checkpoints"

    @property
    def uses_unet(self) -> bool:
        return bool(self.denoise_weight or self.match_weight)

    def draws(self, examples: int) -> int:
        """
        Keyword predictions to keep of each of so many pictures, so that a step asks the UNet once: as many as was asked
        for, or as the run sees its data times, from 1 to 4. Seen at least once, that is no more calls than it saves.
        """
        seen = (self.steps - self.align_steps) * self.batch_size
        if not self.match_weight or seen <= 0:
            return 0
        if self.match_draws is not None:
            return self.match_draws
        return min(max(1, seen // examples), MOST_DRAWS)

    def _need(self, name: str, holds: bool, what: str) -> None:
        if not holds:
            raise ConfigError(f"--{name.replace('_', '-')} must be {what}, not {getattr(self, name)}.")
