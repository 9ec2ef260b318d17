"""What the miniature knows: things, tints, actions, places, and the scenes made of them.

The world comes in editions. Weights know exactly one: its things are the judge's labels and its words the vocabulary, so
an edition never changes once weights have been trained on it; a larger world is a new edition beside it.
"""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass, replace

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
class World:
    """One edition: what may stand in a scene, how often two kinds meet in one, and the art styles it is drawn in.

    Of two kinds each has one of `pair_counts`, and both together at most `MAX_COUNT`.
    """

    name: str
    animals: tuple[str, ...]
    objects: tuple[str, ...]
    styles: tuple[str, ...]
    two_kinds_share: float
    pair_counts: tuple[int, ...]
    colours: tuple[str, ...] = COLOURS
    actions: tuple[str, ...] = ACTIONS
    places: tuple[str, ...] = PLACES

    @property
    def things(self) -> tuple[str, ...]:
        """Animals, then objects; the order of the judge's labels."""
        return self.animals + self.objects


FIRST = World("first", ANIMALS, OBJECTS, ("day", "ink"), TWO_KINDS_SHARE, (1, 2))
SECOND = World(
    "second",
    (
        *("cat", "dog", "rabbit", "fox", "bird", "fish", "butterfly", "frog", "turtle", "bear", "pig", "cow"),
        *("horse", "dragon", "elephant", "monkey", "penguin", "owl", "duck", "lion", "koala", "panda"),
    ),
    (
        *("apple", "banana", "strawberry", "pizza", "cupcake", "doughnut", "carrot", "mushroom", "cactus"),
        *("sunflower", "tulip", "tree", "pine tree", "balloon", "umbrella", "car", "bicycle", "airplane", "rocket"),
        *("sailboat", "house", "castle", "tent", "ball", "star", "crown", "gift", "teddy bear", "robot", "snowman"),
        *("ghost", "candle", "guitar", "chair"),
    ),
    ("day", "ink"),
    0.3,
    (1, 2, 3),
)
WORLDS = {world.name: world for world in (FIRST, SECOND)}


def world_named(name: str) -> World:
    """The edition called `name`; ValueError listing the editions when there is none."""
    if name not in WORLDS:
        raise ValueError(f"there is no edition {name!r} of the miniature's world; there are {', '.join(WORLDS)}")
    return WORLDS[name]


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


def parse_keywords(prompt: str) -> Scene:
    """The scene whose `keywords` are `prompt`; ValueError when they are no scene's."""
    groups: list[Group] = []
    *tags, last = prompt.split(", ")
    for tag in tags:
        counted = re.fullmatch(r"([1-4])(.+)", tag)
        colour, _, thing = tag.partition(" ")
        if counted:
            groups.append(Group(counted[2], int(counted[1])))
        elif groups and colour in COLOURS and thing == groups[-1].thing:
            groups[-1] = replace(groups[-1], colour=colour)
        elif groups and tag in ACTIONS:
            groups[-1] = replace(groups[-1], action=tag)
    scene = Scene(tuple(groups), last.removesuffix(" background"))
    if scene.keywords != prompt or not groups or scene.place not in PLACES:
        raise ValueError(f"{prompt!r} are no scene's keywords, like '3cat, purple cat, sleeping, beach background'")
    return scene


def is_held_out(group: Group, place: str) -> bool:
    """A fixed pseudo-random 15 % of all (thing, colour, action, place) combinations; counts do not enter."""
    name = f"{group.thing}/{group.colour}/{group.action}/{place}"
    return int(hashlib.sha256(name.encode()).hexdigest()[:8], 16) / 2**32 < HELD_OUT_SHARE


def _group(rng: random.Random, world: World, thing: str, counts: tuple[int, ...]) -> Group:
    colour = rng.choice(world.colours) if rng.random() < 0.75 else None
    action = rng.choice((*world.actions, None)) if thing in world.animals else None
    return Group(thing, rng.choice(counts), colour, action)


def sample_scene(rng: random.Random, held_out: bool = False, world: World = FIRST) -> Scene:
    """Draw a scene from the training world, or, with `held_out`, one that holds a combination never trained on."""
    while True:
        place = rng.choice(world.places)
        if rng.random() < world.two_kinds_share:
            first, second = rng.sample(world.things, 2)
            a = _group(rng, world, first, world.pair_counts)
            b = _group(rng, world, second, tuple(n for n in world.pair_counts if n + a.count <= MAX_COUNT))
            groups: tuple[Group, ...] = (a, b)
        else:
            groups = (_group(rng, world, rng.choice(world.things), (1, 2, 3, 4)),)
        scene = Scene(groups, place)
        if scene.held_out == held_out:
            return scene
