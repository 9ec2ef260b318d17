"""Attention weights in prompts, in the syntax of AUTOMATIC1111/stable-diffusion-webui (wiki, "Features")."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

ROUND = 1.1
MAX_WEIGHT = 10.0
_TOKEN = re.compile(r"\\[\\()\[\]]|:\s*(\d+(?:\.\d*)?|\.\d+)\s*\)|[()\[\]]|[^\\()\[\]:]+|.", re.S)


@dataclass
class _Open:
    """A bracket that waits for its partner; `start` is the first fragment inside of it."""

    bracket: str
    start: int


def parse_weights(text: str) -> list[tuple[str, float]]:
    r"""
    Splits a prompt into fragments and their weights.

    `(word)` weighs 1.1 times as much, `((word))` 1.21 times, `[word]` 1/1.1 times, `(word:1.3)` 1.3 times; `\(`, `\)`, `\[`,
    `\]` and `\\` are the characters themselves. A bracket without a partner is text, unlike in the original, where
    it would weigh all that follows.

    Returns:
        Fragments in order, none empty, neighbours of different weight. A text without brackets is one fragment.
    """
    fragments: list[tuple[str, float]] = []
    opened: list[_Open] = []
    for token in _TOKEN.finditer(text):
        found, number = token.group(), token.group(1)
        if found in ("(", "["):
            opened.append(_Open(found, len(fragments)))
            fragments.append((found, 1.0))
        elif opened and opened[-1].bracket == "(" and (found == ")" or number is not None):
            _close(fragments, opened.pop(), ROUND if number is None else float(number))
        elif opened and opened[-1].bracket == "[" and found == "]":
            _close(fragments, opened.pop(), 1 / ROUND)
        else:
            fragments.append((found[1:] if len(found) == 2 and found[0] == "\\" else found, 1.0))
    return _joined(fragments)


def heaviest(text: str) -> float:
    """The largest weight in a prompt, at least 1."""
    return max((weight for _, weight in parse_weights(text)), default=1.0)


def _close(fragments: list[tuple[str, float]], opening: _Open, factor: float) -> None:
    inside = fragments[opening.start + 1 :]
    fragments[opening.start :] = [(text, weight * factor) for text, weight in inside]


def _joined(fragments: list[tuple[str, float]]) -> list[tuple[str, float]]:
    joined: list[tuple[str, float]] = []
    for text, weight in fragments:
        if joined and math.isclose(joined[-1][1], weight):
            joined[-1] = (joined[-1][0] + text, weight)
        elif text:
            joined.append((text, weight))
    return joined
