"""Sentences for scenes: a frame, a telling that fits it, and the small accidents of typing."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import cache

from ..world import Scene
from . import frames, pairs, tellings
from .frames import Frame
from .teller import Teller, Words, sentence
from .tellings import Telling

_PLAIN = ("{N}", "a picture of {N}", "a drawing of {N}", "{S}")
_PLAIN_TELLINGS = ("plainly", "place_first", "there_is", "plain_view")


@cache
def _shapes(held_out: bool) -> dict[str, tuple[tuple[Frame, Telling], ...]]:
    """All pairs of frame and telling by the telling's kind. A held-out frame may have a telling that training has too,
    and the other way round, but never both.
    """
    if not held_out:
        pairs = [(f, t) for f in frames.TRAINING for t in tellings.TRAINING]
    else:
        pairs = [(f, t) for f in frames.HELD_OUT for t in (*tellings.HELD_OUT, *tellings.TRAINING)]
        pairs += [(f, t) for f in frames.TRAINING for t in tellings.HELD_OUT]
    found = [(f, t) for f, t in pairs if f.kind == t.kind]
    return {kind: tuple(p for p in found if p[0].kind == kind) for kind in "SND"}


def training_shapes() -> list[tuple[str, str]]:
    """Every training shape as (frame, name of the telling)."""
    return [(f.text, t.name) for kind in _shapes(False).values() for f, t in kind]


def held_out_shapes() -> list[tuple[str, str]]:
    """Every shape that no training stage sees, as (frame, name of the telling)."""
    return [(f.text, t.name) for kind in _shapes(True).values() for f, t in kind]


def narrative(scene: Scene, rng: random.Random, held_out: bool = False, vocabulary: Words = "known") -> str:
    """A sentence or small story that means `scene`; `held_out` takes shapes that no training stage sees."""
    kind = rng.choices("SND", (5, 4, 3))[0]
    fitting = [pair for pair in _shapes(held_out)[kind] if pair[1].fits(scene)]
    frame, telling = rng.choice(fitting)
    return _write(scene, rng, frame, telling.tell, vocabulary)


def of_two_kinds(scene: Scene, rng: random.Random, vocabulary: Words = "known") -> str:
    """A narrative of `scene`, which has two kinds, that says once what both share; its kinds stand in the scene's order."""
    frame = rng.choice(frames.TRAINING)
    return _write(scene, rng, frame, pairs.TELLINGS[frame.kind], vocabulary)


def caption(scene: Scene, rng: random.Random) -> str:
    """A plain English caption of `scene`."""
    text = rng.choice(_PLAIN)
    kind = text[text.index("{") + 1]
    frame = Frame(text, kind, ("now",))
    fitting = [t for t in tellings.TRAINING if t.kind == kind and t.name in _PLAIN_TELLINGS]
    return _write(scene, rng, frame, rng.choice(fitting).tell, "known")


def _write(scene: Scene, rng: random.Random, frame: Frame, tell: Callable[[Teller], str], vocabulary: Words) -> str:
    teller = Teller(scene, rng, rng.choice(frame.when), vocabulary)
    told = re.sub(r" +([,.?!])", r"\1", re.sub(r"\s+", " ", tell(teller))).strip()
    text = frame.text.replace("{X}", teller.stranger())
    field = "{" + frame.kind + "}"
    before, after = text.split(field)
    if before.endswith("? "):
        told = sentence(told)
    text = before + told + after
    return _typed(text, rng)


def _typed(text: str, rng: random.Random) -> str:
    """As people type: mostly with capitals and full stops, often without."""
    text = re.sub(r"([.?!])\.", r"\1", text).replace(" i ", " I ")
    if rng.random() < 0.65:
        text = text[0].upper() + text[1:]
        text = text if text[-1] in ".?!" or rng.random() < 0.3 else text + "."
    elif text.endswith(".") and rng.random() < 0.5:
        text = text[:-1]
    if rng.random() < 0.08:
        text = text.lower()
    return text
