"""What every stage of the training begins from: where it works, to what recipe, and what there is to go on from."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from .growth import covers
from .judge_net import world_of
from .recipe import Recipe
from .world import World


class Basis:
    """The training's options, as `Training` describes them, and what follows from them for a stage and a style."""

    def __init__(
        self,
        work: Path,
        recipe: Recipe,
        device: str = "auto",
        start: Path | None = None,
        new_words: bool = False,
        new_latents: bool = False,
        compiled: bool = False,
        only: Collection[str] = (),
        style: str | None = None,
    ):
        self.work, self.recipe, self.device, self.start = work, recipe, device, start
        self.words_start = None if new_words else start
        self.smaller = self._smaller()
        self.more_words = self.words_start is None or "vocabulary" in only or self.smaller is not None
        self.new_latents, self.compiled, self.only, self.style = new_latents, compiled, only, style

    def _smaller(self) -> World | None:
        """The world that the weights to go on from know, if it is another than they are to know; ValueError if that one has less."""
        known = world_of(self.start / "judge") if self.start else self.recipe.world
        if known == self.recipe.world:
            return None
        if not covers(self.recipe.world, known):
            raise ValueError(f"{self.start} knows things that the {self.recipe.world.name} edition does not have")
        return known

    @property
    def styles(self) -> tuple[str, ...]:
        """The art styles, each with a decoder and a denoiser of its own; they share everything else."""
        return self.recipe.world.styles

    def _kept(self, stage: str, style: str | None = None) -> bool:
        """Whether the stage's part, that of `style` if it has one for each, comes from `start` as it is."""
        if self.start is None:
            return False
        return bool(self.only and stage not in self.only) or (None not in (style, self.style) and style != self.style)

    def _has(self, style: str) -> bool:
        """Whether `start` has weights for `style`."""
        return self.start is not None and (self.start / style / "model_index.json").is_file()

    def _started(self, kind: type, style: str, part: str) -> Any:
        """The model of class `kind` (diffusers or transformers) in `start`, fp32, or None without `start`."""
        if self.start is None:
            return None
        folder = self.start / (style if self._has(style) else self.styles[0]) / part
        return kind.from_pretrained(folder, local_files_only=True, use_safetensors=True).float()
