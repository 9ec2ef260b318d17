"""The text encoder's second lessons: the many words beyond those of its first, whose own meaning stays as it is.

Whatever reads hidden states (denoisers, adapters) can only tell apart what the text encoder does, and to an encoder a word
that it has never met is noise. So it meets them here, before it is frozen, as CLIP has met most of English: in narratives
with the grammar's whole vocabulary and in those written one by one, each beside a picture of what it tells.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from transformers import CLIPTokenizer

from vignette.training.optim import Optimisers, linear

from .clip import Clip, shift
from .language import tell
from .stage import Rows, Stage, autocast, pick_device
from .text import LENGTH, alike_by, numbered, place_and_action
from .world import Scene

# Mean squares beside a cross-entropy: at this weight keyword prompts' states move by 0.0007 in 1,200 steps (measured).
KEEP = 50.0
KEYWORDS_SHARE = 0.25
WRITTEN_SHARE = 0.375
# Texts of like length go through together: most of a mixed batch would be padding.
PARTS = 3
Groups = dict[Hashable, np.ndarray]


class Told(NamedTuple):
    """Narratives that were written one by one, the scene of each, and the judge's features of its picture [N, 128, 8, 8]."""

    scenes: list[Scene]
    texts: list[str]
    features: np.ndarray


def thing_and_colour(scene: Scene) -> Hashable:
    """What scenes have in common that counts, actions and places tell apart."""
    return len(scene.groups), scene.groups[0].thing, scene.groups[0].colour


class Turns:
    """The scenes that batches are about: in a quarter of them all have place and first action in common, and in half of them
    the first thing and its colour. Among random ones the thing alone finds the picture, and a place hardly ever decides.
    """

    def __init__(self, scenes: list[Scene], told: list[Scene]):
        everyone: tuple[Groups, Groups] = {None: np.arange(len(scenes))}, {None: np.arange(len(told))}
        placed, tinted = ((alike_by(key, scenes), alike_by(key, told)) for key in (place_and_action, thing_and_colour))
        # Few scenes may have no group that both kinds of narratives tell of.
        self._kinds = [
            kind if kind[0].keys() & kind[1].keys() else everyone for kind in (everyone, placed, tinted, tinted)
        ]

    def pick(self, step: int, seed: int, scenes: int, told: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of that many `scenes` and `told` narratives for a step, which takes its turn by its number."""
        chance = np.random.default_rng((seed, step))
        ours, theirs = self._kinds[step % len(self._kinds)]
        keys = [key for key in ours if key in theirs]
        key = keys[chance.integers(len(keys))]
        return chance.choice(ours[key], scenes), chance.choice(theirs[key], told)


def train(
    clip: Clip,
    features: np.ndarray,
    scenes: list[Scene],
    told: Told,
    tokenizer: CLIPTokenizer,
    folder: Path,
    steps: int,
    batch: int = 128,
    seed: int = 0,
    device: str = "auto",
) -> Clip:
    """Contrastive training as in `text.train`, of `clip` as that left it; `features` [N, 128, 8, 8] are the judge's of the
    picture of each scene. A quarter of a batch are keyword prompts, whose hidden states are held to what they were; the
    rest are narratives, of the grammar and as `told`, half and half.

    Which scenes a batch is about, `Turns` says.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    before = copy.deepcopy(clip.text).to(where).eval().requires_grad_(False)
    model = clip.to(where).requires_grad_(True).train()
    optim = Optimisers(model, linear(steps), muon_lr=0.005, adam_lr=5e-4, adam_only=("embedding", "projection"))
    names = numbered((*scenes, *told.scenes))
    turns = Turns(scenes, told.scenes)
    prompts, by_hand = round(batch * KEYWORDS_SHARE), round(batch * WRITTEN_SHARE)
    known, rows, told_rows = batch - by_hand, Rows(features, where), Rows(told.features, where)

    def encoded(texts: list[str], padding: bool | str = True) -> torch.Tensor:
        return tokenizer(texts, padding=padding, truncation=True, max_length=LENGTH, return_tensors="pt").input_ids.to(
            where
        )

    def loss_fn(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        rng = random.Random(f"{seed}/{step}")
        ours, theirs = turns.pick(step, seed, known, by_hand)
        texts = [scenes[i].keywords for i in ours[:prompts]]
        texts += [tell("second", scenes[i], rng, vocabulary="wide") for i in ours[prompts:]]
        texts += [told.texts[i] for i in theirs]
        lengths = [0] * prompts + [
            len(ids) for ids in tokenizer(texts[prompts:], truncation=True, max_length=LENGTH).input_ids
        ]
        order = np.argsort(lengths, kind="stable")
        parts = [[texts[i] for i in part] for part in np.array_split(order[prompts:], PARTS) if len(part)]
        # What lies far behind the prompt's last word is all the same: now and then is enough.
        first = encoded(texts[:prompts], "max_length" if step % 4 == 2 else True)
        seen = torch.cat([rows[ours].float(), told_rows[theirs].float()])[torch.from_numpy(order).to(where)]
        with autocast(where):
            found = model.contrast(
                [first, *map(encoded, parts)], seen, np.concatenate([names[ours], names[len(scenes) + theirs]])[order]
            )
            with torch.no_grad():
                kept = before(input_ids=first).last_hidden_state
        moved = shift(found.states, kept, first, model.text.config.eos_token_id)
        hand = torch.from_numpy(order >= known)
        return found.loss + KEEP * moved, {
            "contrast": found.loss.item(),
            "moved": moved.item() / 2,
            "told": found.whole.cpu()[prompts:][~hand[prompts:]].mean().item(),
            "written": found.whole.cpu()[hand].mean().item(),
        }

    Stage("vocabulary", folder, model, optim, steps, loss_fn, ema_decay=0.99, save_every=100).run()
    return model.eval().requires_grad_(False)
