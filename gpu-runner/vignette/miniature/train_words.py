"""The training's words: tokenizer and text encoder, in first and second lessons, and what they make of the prompts."""

from __future__ import annotations

import copy
import random
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.errors import ConfigError

from . import data, growth, judge_net, text, tokenizer, vocabulary
from .clip import Clip, load_pair
from .language.written import lines, retold
from .stage import autocast, pick_device
from .train_judges import Judges
from .world import FIRST


class Words(Judges):
    """The tokenizer, the text encoder with its image head, and the hidden states of the prompts."""

    @cached_property
    def tokenizer(self) -> CLIPTokenizer:
        """The tokenizer, trained once; to one of a smaller world the names of new things are added."""
        if self.words_start:
            known = tokenizer.load(self.words_start / self.styles[0] / "tokenizer")
            if self.smaller is None:
                return known
            names = growth.new_names(self.recipe.world, self.smaller)
            return growth.grown_tokenizer(known, names, self.work / "tokenizer")
        return tokenizer.train(self.work / "tokenizer", self.recipe.seed, self.recipe.language, self.recipe.world)

    @cached_property
    def clip(self) -> Clip:
        """The text encoder with its image head, after its first lessons. One that goes on from `start` keeps its weights;
        only the image head learns to read a judge that has learnt more. For a larger world it learns the names in that, too.
        """
        path, known = self.work / "clip.pt", None
        if self.words_start:
            encoder = self._started(CLIPTextModel, self.styles[0], "text_encoder")
            if self.smaller:
                before = tokenizer.load(self.words_start / self.styles[0] / "tokenizer")
                encoder = growth.grown_text_encoder(encoder, before, self.tokenizer)
            known = load_pair(self.words_start / "clip", encoder)
            if self._kept("reader") and not self.smaller:
                return known
        if not path.exists():
            steps = self.recipe.head_steps if known and not self.smaller else self.recipe.text_steps
            lessons = (
                *(self.features, self.dataset[1], self.tokenizer, self.work),
                *(steps, self.recipe.batch(128), self.recipe.seed, self.device),
            )
            if known and self.smaller:
                trained = growth.learn_names(known, *lessons, known=self.smaller)
            else:
                trained = text.train(*lessons, self.recipe.language, known)
            torch.save(trained.cpu().state_dict(), path)
        return self._saved(path)

    @cached_property
    def fluent(self) -> Clip:
        """The same after its second lessons, frozen: what is exported. The first language has no words for those."""
        if not self.more_words or self.recipe.language != "second":
            return self.clip
        path = self.work / "fluent.pt"
        if not path.exists():
            trained = vocabulary.train(
                copy.deepcopy(self.clip),
                self.features,
                self.dataset[1],
                self.told,
                self.tokenizer,
                self.work,
                self.recipe.vocabulary_steps,
                self.recipe.batch(128),
                seed=self.recipe.seed + 3,
                device=self.device,
            )
            torch.save(trained.cpu().state_dict(), path)
        return self._saved(path)

    def _saved(self, path: Path) -> Clip:
        model = Clip(text.build_encoder(self.tokenizer))
        model.load_state_dict(torch.load(path, weights_only=True))
        return model.eval().requires_grad_(False)

    @cached_property
    def told(self) -> vocabulary.Told:
        """The narratives that were written one by one, no more than there are scenes, each with a picture's features."""
        every, path = lines(self.recipe.world), self.work / "told.npy"
        if self.recipe.world != FIRST:
            # Most were written of the first edition's things; plain names give way to others.
            every = tuple(
                retold(*line, random.Random(f"{self.recipe.seed}/{i}"), self.recipe.world)
                for i, line in enumerate(every)
            )
        some = [every[i] for i in np.linspace(0, len(every) - 1, min(len(every), self.recipe.scenes)).astype(int)]
        scenes = [scene for scene, _ in some]
        if not path.exists():
            pictures = data.draw(scenes, self.recipe.world, self.styles[0])
            judge_net.features_of(self.reader, pictures, path, device=self.device)
        features = np.load(path, mmap_mode="r")
        if len(features) != len(some):
            raise ConfigError(f"{path} is of other narratives, since more have been written; delete it.")
        return vocabulary.Told(scenes, [text for _, text in some], features)

    @property
    def encoder(self) -> CLIPTextModel:
        """The text encoder alone, frozen."""
        return self.fluent.text

    @cached_property
    def embeddings(self) -> np.ndarray:
        """The keyword prompts' hidden states, fp16 [scenes, 77, 256], memory-mapped."""
        path = self.work / "keywords.npy"
        if not path.exists():
            prompts = [s.keywords for s in self.scenes]
            self.work.mkdir(parents=True, exist_ok=True)
            out = np.lib.format.open_memmap(
                path.with_suffix(".part"), mode="w+", dtype=np.float16, shape=(len(prompts), text.LENGTH, text.WIDTH)
            )
            where = pick_device(self.device)
            encoder = copy.deepcopy(self.encoder).to(where)
            for start in range(0, len(prompts), 1024):
                with autocast(where):
                    states = text.hidden_states(encoder, self.tokenizer, prompts[start : start + 1024])
                out[start : start + 1024] = states.numpy()
            out.flush()
            path.with_suffix(".part").rename(path)
        return np.load(path, mmap_mode="r")

    @cached_property
    def empty(self) -> torch.Tensor:
        """The empty prompt's hidden states, fp16 [1, 77, 256]."""
        return text.hidden_states(self.encoder, self.tokenizer, [""])
