"""Prompt syntax of the Stable Diffusion tools, turned into the plain keywords that a text encoder was trained on.

Source: AUTOMATIC1111/stable-diffusion-webui wiki, "Features" (attention, prompt editing, alternating words, BREAK,
composable diffusion); ComfyUI's `embedding:name`; NovelAI's braces; InvokeAI's `++`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

ROUND, CURLY = 1.1, 1.05
# A weight beyond it, of a thousand brackets for example, is none that a tool could draw with.
HEAVIEST = 1e6
MOST_STEPS = 10_000
# Brackets further within are taken out like the others, but say nothing; each costs time for all that it holds.
DEEPEST = 100
# The patterns take time in proportion to the text: nowhere can two repetitions in a row match the same characters.
_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)"
_TOKEN = re.compile(r"\\.|<[^<>\n]{1,200}>|:\s*([+-]?" + _NUMBER + r")\s*\)|[()\[\]{}]|[^\\()\[\]{}<:]+|.", re.S)
_NETWORK = re.compile(r"<(lora|lyco|lycoris|hypernet)\s*:([^:<>]+)(?::([^<>]*))?>", re.I)
_EMBEDDING = re.compile(r"\bembedding:([\w./\\-]+)", re.I)
_EDITING = re.compile(r"(?:(?P<before>[^:]*):)?(?P<after>[^:]*):\s*(?P<when>" + _NUMBER + r")\s*", re.S)
_BREAK = re.compile(r"\b(?:BREAK|ADDCOMM|ADDBASE|ADDROW|ADDCOL)\b")
_AND = re.compile(r"\bAND\b(?=\s+[(\w])")
_AND_WEIGHT = re.compile(r":\s*[+-]?" + _NUMBER + r"\s*(?=\bAND\b|$)")
_INVOKE = re.compile(r"(?<=[\w)\"])(?:\+{1,6}|-{2,6})(?=[\s,)]|$)")


@dataclass
class ParsedPrompt:
    """
    Attributes:
        text (`str`): the plain prompt.
        weights (`list[tuple[str, float]]`): phrases whose attention weight is not 1, in order.
        networks (`list[tuple[str, str, str]]`): kind, name and weight of every `<lora:…>` and its relatives.
        embeddings (`list[str]`): textual inversions that were named.
    """

    text: str
    weights: list[tuple[str, float]] = field(default_factory=list)
    networks: list[tuple[str, str, str]] = field(default_factory=list)
    embeddings: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        return {
            "prompt": self.text,
            "weights": self.weights,
            "networks": self.networks,
            "embeddings": self.embeddings,
        }


def parse_prompt(raw: str, *, steps: int = 20) -> ParsedPrompt:
    """Reads `raw` as the tools do: an unbalanced closing bracket is text, an unbalanced opening one is none.

    Args:
        raw (`str`): a prompt in any of the syntaxes above.
        steps (`int`, defaults to 20): sampling steps, for edits given as a step number (`[cat:dog:10]`).
    """
    parsed = ParsedPrompt("")

    def embedding(match: re.Match[str]) -> str:
        parsed.embeddings.append(match.group(1))
        return " "

    def network(match: re.Match[str]) -> str:
        parsed.networks.append((match.group(1).lower(), match.group(2).strip(), (match.group(3) or "1").strip()))
        return " "

    # Names of files may hold brackets' characters and words such as AND, so they go first.
    raw = _EMBEDDING.sub(embedding, _NETWORK.sub(network, raw))
    if _AND.search(raw):
        raw = _AND.sub(",", _AND_WEIGHT.sub(" ", raw))
    raw = _BREAK.sub(",", raw)
    raw = _INVOKE.sub("", raw)
    segments: list[list[Any]] = []
    stacks: dict[str, list[int]] = {")": [], "]": [], "}": []}
    closing = {"(": ")", "[": "]", "{": "}"}
    for match in _TOKEN.finditer(raw):
        token, weight = match.group(0), match.group(1)
        if token.startswith("\\") and len(token) == 2:
            segments.append([token[1] if token[1] in "()[]{}<>:\\" else token, 1.0])
        elif token in closing:
            stacks[closing[token]].append(len(segments))
        elif weight is not None and stacks[")"]:
            _close(segments, stacks[")"], ")", steps, float(weight))
        elif stacks.get(token):
            _close(segments, stacks[token], token, steps)
        elif token.startswith("<") and len(token) > 2:
            parsed.embeddings.append(token[1:-1].strip())
            segments.append([" ", 1.0])
        else:
            segments.append([token, 1.0])
    # What was never closed weighs as if it had been.
    for close, stack in stacks.items():
        while stack:
            _close(segments, stack, close, steps)

    parsed.text = _tidy("".join(text for text, _ in segments))
    for text, factor in _merged(segments):
        phrase = _tidy(text)
        if phrase and abs(factor - 1.0) > 1e-6:
            parsed.weights.append((phrase, round(factor, 4)))
    return parsed


def _multiply(segments: list[list[Any]], start: int, factor: float) -> None:
    factor = min(max(factor, -HEAVIEST), HEAVIEST)
    for segment in segments[start:]:
        segment[1] = min(max(segment[1] * factor, -HEAVIEST), HEAVIEST)


def _close(segments: list[list[Any]], opened: list[int], bracket: str, steps: int, weight: float | None = None) -> None:
    depth, start = len(opened), opened.pop()
    if depth > DEEPEST:
        return
    inside = "".join(text for text, _ in segments[start:]) if bracket in "]}" else ""
    if "|" in inside:
        segments[start:] = [[" ".join(part.strip() for part in inside.split("|")), 1.0]]
    elif bracket == "]" and (edit := _EDITING.fullmatch(inside)):
        segments[start:] = [[_longest_drawn(edit, steps), 1.0]]
    else:
        _multiply(segments, start, {")": ROUND, "]": 1 / ROUND, "}": CURLY}[bracket] if weight is None else weight)


def _longest_drawn(edit: re.Match[str], steps: int) -> str:
    """`[before:after:when]`: the words that were in force for the larger part of the steps."""
    when = float(edit["when"])
    share = when if when < 1 or "." in edit["when"] else when / min(max(steps, 1), MOST_STEPS)
    return (edit["before"] or "") if share > 0.5 else edit["after"]


def _merged(segments: list[list[Any]]) -> list[tuple[str, float]]:
    merged: list[tuple[list[str], float]] = []
    for text, factor in segments:
        if merged and abs(merged[-1][1] - factor) < 1e-9:
            merged[-1][0].append(text)
        else:
            merged.append(([text], factor))
    return [("".join(texts), factor) for texts, factor in merged]


def _tidy(text: str) -> str:
    parts = (re.sub(r"\s+", " ", part).strip() for part in re.split(r"[,\n\r]+", text))
    return ", ".join(part for part in parts if part and part.strip(" .;|:"))
