"""What the miniature knows: things, tints, actions, places, and the scenes made of them."""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

ANIMALS = (
    "cat",
    "dog",
    "rabbit",
    "fox",
    "bird",
    "fish",
    "butterfly",
    "frog",
    "turtle",
    "pig",
    "elephant",
    "penguin",
)
OBJECTS = (
    "apple",
    "strawberry",
    "mushroom",
    "cactus",
    "sunflower",
    "tree",
    "balloon",
    "umbrella",
    "car",
    "rocket",
    "house",
    "star",
)
THINGS = ANIMALS + OBJECTS
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink")
ACTIONS = ("sleeping", "jumping", "flying")
PLACES = ("meadow", "snow", "beach", "night", "desert", "room")
MAX_COUNT = 4
HELD_OUT_SHARE = 0.15
TWO_KINDS_SHARE = 0.2


@dataclass(frozen=True)
class Group:
    """Some things of one kind: `count` (1-4) of `thing`, tinted `colour` (None: natural), doing `action` (None: at rest)."""

    thing: str
    count: int = 1
    colour: str | None = None
    action: str | None = None


@dataclass(frozen=True)
class Scene:
    """One or two groups of different kinds in a place."""

    groups: tuple[Group, ...]
    place: str

    @property
    def keywords(self) -> str:
        """The keyword prompt, e.g. ``3cat, purple cat, sleeping, beach background``."""
        tags: list[str] = []
        for group in self.groups:
            tags.append(f"{group.count}{group.thing}")
            if group.colour:
                tags.append(f"{group.colour} {group.thing}")
            if group.action:
                tags.append(group.action)
        return ", ".join([*tags, f"{self.place} background"])

    @property
    def held_out(self) -> bool:
        """Whether any (thing, colour, action, place) of the scene belongs to the combinations never trained on."""
        return any(is_held_out(group, self.place) for group in self.groups)


def is_held_out(group: Group, place: str) -> bool:
    """A fixed pseudo-random 15 % of all (thing, colour, action, place) combinations; counts do not enter."""
    name = f"{group.thing}/{group.colour}/{group.action}/{place}"
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT_SHARE


def _group(rng: random.Random, thing: str, counts: tuple[int, ...]) -> Group:
    colour = rng.choice(COLOURS) if rng.random() < 0.75 else None
    action = rng.choice((*ACTIONS, None)) if thing in ANIMALS else None
    return Group(thing, rng.choice(counts), colour, action)


def sample_scene(rng: random.Random, held_out: bool = False) -> Scene:
    """Draw a scene from the training world, or, with `held_out`, one whose first group is a combination never trained on."""
    while True:
        place = rng.choice(PLACES)
        if rng.random() < TWO_KINDS_SHARE:
            first, second = rng.sample(THINGS, 2)
            groups = (_group(rng, first, (1, 2)), _group(rng, second, (1, 2)))
        else:
            groups = (_group(rng, rng.choice(THINGS), (1, 2, 3, 4)),)
        scene = Scene(groups, place)
        if scene.held_out == held_out:
            return scene
