"""What a pose must know of each animal's drawing: where it looks, where its eyes are, what wings it has.

Coordinates are those of the SVG, 0-32 from the top left, as drawn (unmirrored).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Facts:
    """`facing`: seen from the left side or from the front. `eyes`: (x, y, radius) each. `tucked`: the share of the height
    that a blanket covers in sleep. `wings`: white ones put on for a flight, the body's own colour, or none needed.
    `back`: where wings grow on an animal seen from the side.
    """

    facing: Literal["left", "front"]
    eyes: tuple[tuple[float, float, float], ...]
    tucked: float = 0.42
    wings: Literal["white", "own", "none"] = "white"
    back: tuple[float, float] = (17.0, 16.0)


def _pair(left: float, right: float, y: float, radius: float) -> tuple[tuple[float, float, float], ...]:
    return ((left, y, radius), (right, y, radius))


FACTS = {
    "cat": Facts("left", ((6.5, 12.0, 1.1), (2.9, 13.0, 0.0)), 0.44, back=(17, 16)),
    "dog": Facts("front", _pair(13, 19, 13.5, 1.6), 0.3),
    "rabbit": Facts("left", ((6.8, 13.8, 1.1),), 0.42, back=(18, 17)),
    "fox": Facts("front", _pair(12, 19, 18.5, 1.6), 0.24),
    "bird": Facts("left", ((10.0, 9.0, 1.3),), 0.44, "own", (18, 14)),
    "fish": Facts("left", ((7.5, 16.5, 0.9),), 0.4, back=(16, 11)),
    "butterfly": Facts("front", (), 0.4, "none"),
    "frog": Facts("front", _pair(9.5, 22.5, 8.5, 3.9), 0.34),
    "turtle": Facts("left", ((4.4, 22.6, 0.7),), 0.3, back=(17, 15)),
    "bear": Facts("front", _pair(12, 20, 16.4, 1.6), 0.28),
    "pig": Facts("left", ((7.5, 17.0, 1.1),), 0.42, back=(18, 13)),
    "cow": Facts("left", ((7.5, 9.6, 1.0),), 0.46, back=(18, 11)),
    "horse": Facts("left", ((5.5, 6.2, 0.9),), 0.46, back=(18, 15)),
    "dragon": Facts("left", ((10.5, 8.5, 1.1),), 0.42, "own", (17, 17)),
    "elephant": Facts("left", ((5.5, 13.5, 1.1),), 0.42, back=(19, 10)),
    "monkey": Facts("left", _pair(8.5, 11.5, 10.0, 1.0), 0.42, back=(16, 16)),
    "penguin": Facts("front", _pair(14.5, 17.5, 7.8, 0.9), 0.5, "own"),
    "owl": Facts("front", _pair(10, 22, 9, 3.6), 0.46, "own"),
    "duck": Facts("left", ((10.5, 6.5, 1.3),), 0.44, "own", (19, 18)),
    "lion": Facts("front", _pair(12, 20, 14.5, 1.6), 0.28),
    "koala": Facts("front", _pair(10, 22, 17.5, 1.6), 0.24),
    "panda": Facts("front", _pair(12, 20, 16.5, 1.7), 0.28),
}
