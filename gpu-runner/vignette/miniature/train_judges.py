"""The training's judge: it learns to read drawn pictures, then decoded ones too, and what it sees the others learn from."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from vignette.errors import ConfigError

from . import growth, judge_net, vae
from .train_pictures import Pictures
from .world import Scene

# Of each style, drawn and decoded.
READER_PICTURES = 5000


def lessons(scenes: Sequence[Scene], count: int) -> np.ndarray:
    """The numbers of at most `count` of `scenes`, in order and once each; at least half are of two kinds, the harder to read."""
    pairs = np.array([i for i, scene in enumerate(scenes) if len(scene.groups) > 1], int)
    some = pairs[np.linspace(0, len(pairs) - 1, min(count // 2, len(pairs))).astype(int)]
    every = np.linspace(0, len(scenes) - 1, count - len(some)).astype(int)
    return np.union1d(some, every)


class Judges(Pictures):
    """The judge, the reader that it becomes, and the reader's features of the pictures."""

    @cached_property
    def judge(self) -> judge_net.Judge:
        """The trained judge."""
        folder = self.work / "judge"
        if self.start and self._kept("judge"):
            return judge_net.Judge.load(self.start / "judge")
        if not (folder / "config.json").exists():
            known = judge_net.Judge.load(self.start / "judge") if self.start else None
            judge_net.train(
                *self.dataset,
                self.work,
                self.recipe.judge_steps,
                self.recipe.batch(64),
                device=self.device,
                start=growth.grown_judge(known, self.recipe.world, self.recipe.seed) if known else None,
                world=self.recipe.world,
            ).save(folder)
        judge = judge_net.Judge.load(folder)
        if judge.world != self.recipe.world:
            raise ConfigError(f"{self.work} holds a training of the {judge.world.name} edition; name another folder.")
        return judge

    @cached_property
    def reader(self) -> judge_net.Judge:
        """The judge, used to the decoder's softness too: half of its lessons are what the decoder makes of latents. Half-way
        between before and after, that is.
        """
        folder = self.work / "reader"
        if self._kept("reader"):
            return self.judge
        if not (folder / "config.json").exists():
            pick = lessons(self.scenes, min(READER_PICTURES, self.recipe.scenes))
            pictures: list[np.ndarray] = []
            for style in self.styles:
                drawn = self._pictures(style)[pick]
                latents = vae.encode(self.vae, drawn, device=self.device)
                decoded = vae.decode_all(self.polished[style], latents, seed=self.recipe.seed, device=self.device)
                pictures += [drawn, decoded]
            trained = judge_net.train(
                np.concatenate(pictures),
                [self.scenes[i] for i in pick] * len(pictures),
                folder,
                self.recipe.reader_steps,
                self.recipe.batch(64),
                seed=self.recipe.seed + 1,
                device=self.device,
                start=copy.deepcopy(self.judge.net),
                world=self.recipe.world,
            )
            judge_net.halfway(self.judge, trained).save(folder)
        return judge_net.Judge.load(folder)

    def features_of(self, style: str) -> np.ndarray:
        """The reader's features of all pictures of `style`, fp16 [N, 128, 8, 8], memory-mapped."""
        path = self.work / f"features-{style}.npy"
        if not path.exists():
            judge_net.features_of(self.reader, self._pictures(style), path, device=self.device)
        return np.load(path, mmap_mode="r")

    @cached_property
    def features(self) -> np.ndarray:
        """The same of all pictures of all styles."""
        every = [self.features_of(style) for style in self.styles]
        return every[0] if len(every) == 1 else np.concatenate(every)
