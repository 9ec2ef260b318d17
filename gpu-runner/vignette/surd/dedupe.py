"""Near duplicates by Hamming distance between 64-bit perceptual hashes, without comparing every pair."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Generic, TypeVar

Name = TypeVar("Name")
BITS = 64
# Beyond it, bands have so few bits that every picture shares one with nearly every other.
FARTHEST = 8


class NearDuplicates(Generic[Name]):
    """Finds an earlier picture whose hash differs in at most `distance` bits.

    The bits are cut into `distance + 1` bands. Two hashes that differ in `distance` bits agree in at least one whole
    band (pigeonhole), so only pictures that share a band are compared (multi-index hashing, Norouzi et al., 2012).

    Args:
        distance (`int`): 0 to `FARTHEST`; 0 means equal hashes.
    """

    def __init__(self, distance: int) -> None:
        if not 0 <= distance <= FARTHEST:
            raise ValueError(f"distance must be from 0 to {FARTHEST}")
        self._distance = distance
        edges = [BITS * i // (distance + 1) for i in range(distance + 2)]
        self._bands = [(low, (1 << (high - low)) - 1) for low, high in pairwise(edges)]
        self._seen: list[dict[int, list[tuple[int, Name]]]] = [defaultdict(list) for _ in self._bands]

    def earlier(self, value: int) -> tuple[Name, int] | None:
        """Name and distance of the nearest earlier picture within reach, the first of equals."""
        best: tuple[int, Name] | None = None
        for (shift, mask), table in zip(self._bands, self._seen, strict=True):
            for other, name in table.get(value >> shift & mask, ()):
                away = (value ^ other).bit_count()
                if away <= self._distance and (best is None or away < best[0]):
                    best = away, name
        return (best[1], best[0]) if best else None

    def add(self, value: int, name: Name) -> None:
        for (shift, mask), table in zip(self._bands, self._seen, strict=True):
            table[value >> shift & mask].append((value, name))
