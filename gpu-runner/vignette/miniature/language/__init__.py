"""How people ask for pictures: the second edition's English, from words to phrases to sentences to small stories."""

from __future__ import annotations

import random

from .. import captions
from ..words import NOUNS
from ..world import Scene
from .distraction import distract
from .grammar import caption, held_out_shapes, narrative, of_two_kinds, training_shapes
from .teller import Words
from .written import written

__all__ = [
    "LANGUAGES",
    "Words",
    "caption",
    "distract",
    "held_out_shapes",
    "narrative",
    "of_two_kinds",
    "tell",
    "training_shapes",
    "written",
]

LANGUAGES = ("first", "second")


def tell(language: str, scene: Scene, rng: random.Random, held_out: bool = False, vocabulary: Words = "known") -> str:
    """A narrative of `scene` in one of `LANGUAGES`. Training in the second hears the first one too, a quarter of the time,
    where that has words for what is there. Only the second has other vocabularies than the known.
    """
    if language == "first" or (not held_out and rng.random() < 0.25 and all(g.thing in NOUNS for g in scene.groups)):
        return captions.narrative(scene, rng, held_out)
    return narrative(scene, rng, held_out, vocabulary)
