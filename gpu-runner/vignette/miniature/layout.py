"""Where the second edition's things stand: depth by size and feet line, neighbours staggered, flyers in the sky."""

from __future__ import annotations

import random
from dataclasses import dataclass

from .world import Group, Scene

SIZE = 128
HORIZON = {"meadow": 0.56, "snow": 0.56, "beach": 0.6, "night": 0.64, "desert": 0.58, "room": 0.66}
# number of things -> the range of their size in pixels
_SPANS = {1: (62, 80), 2: (50, 60), 3: (42, 50), 4: (38, 44)}


@dataclass(frozen=True)
class Spot:
    """One thing of a scene: its centre and the ground beneath it, its size, and how high it is above the ground; pixels."""

    group: Group
    x: float
    ground: float
    size: float
    lift: float
    mirrored: bool
    tilt: float


def place_things(rng: random.Random, scene: Scene) -> list[Spot]:
    """The things of `scene`, farthest first. Members of a kind stand side by side, every other one farther back."""
    groups = list(scene.groups)
    rng.shuffle(groups)
    members = [g for g in groups for _ in range(g.count)]
    total = len(members)
    size = rng.uniform(*_SPANS[total])
    near, far = rng.uniform(117, 124), max(HORIZON[scene.place] * SIZE + 12, 94) + rng.uniform(0, 4)
    forward = rng.randrange(2)
    spots = []
    for slot, group in enumerate(members):
        pitch = SIZE / total
        x = (slot + 0.5) * pitch + rng.uniform(-0.08, 0.08) * pitch if total > 1 else rng.uniform(46, 82)
        reach = size * (0.62 if group.action == "flying" else 0.5)
        x = min(max(x, reach), SIZE - reach)
        ground = near - rng.uniform(0, 8) if total == 1 or (slot + forward) % 2 else far + rng.uniform(0, 6)
        scale = 0.9 + 0.1 * (ground - far) / (near - far)
        lift = {"jumping": size * rng.uniform(0.16, 0.26), "flying": rng.uniform(0.4, 0.5) * SIZE}.get(
            group.action or "", 0.0
        )
        if group.action == "flying":
            # The sky is the upper half: a near flyer must rise further than a far one.
            lift = ground - rng.uniform(0.42, 0.5) * SIZE - (0 if (slot + forward) % 2 else 0.06 * SIZE)
        tilt = 0.0 if group.action == "sleeping" else rng.uniform(-5, 5)
        spots.append(Spot(group, x, ground, size * scale, lift, rng.random() < 0.5, tilt))
    return sorted(spots, key=lambda spot: spot.ground)
