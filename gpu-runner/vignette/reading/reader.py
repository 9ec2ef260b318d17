"""From the hidden states that the UNet is given to what people are told about them."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from vignette.errors import ConfigError
from vignette.reading.lexicon import Lexicon, find_lexicon, read_lexicon
from vignette.reading.probe import Probe, probe_for

if TYPE_CHECKING:
    from vignette.engine.catalogue import NoticeSpec
    from vignette.engine.loader import LoadedModel

SURE = 0.5
MOST_TAGS = 12
FEWEST_TAGS = 3


@dataclass(frozen=True)
class Understood:
    """`reading` is `[{"tag", "score"}]`, scores in [0, 1], strongest first; `notice` is a sentence or None."""

    reading: list[dict[str, Any]] = field(default_factory=list)
    notice: str | None = None


class Reader:
    """
    Args:
        lexicon: The phrases.
        probe: Fitted for `lexicon` and the model's text encoder, on the model's device.
        notice: When to tell that the model does not know what it is asked for.
        length: Tokens in a chunk of a prompt.
    """

    def __init__(self, lexicon: Lexicon, probe: Probe, notice: NoticeSpec | None = None, length: int = 77) -> None:
        self.lexicon = lexicon
        self.probe = probe
        self._notice = notice
        self._length = length
        self._tags = lexicon.tags
        groups = notice.groups if notice else ()
        self._telling = [[i for i, (group, _) in enumerate(lexicon.entries) if group == wanted] for wanted in groups]
        self._named = [_names(lexicon.phrases[group]) for group in groups]
        self._not_named = _whole(notice.not_named) if notice and notice.not_named else None

    def read(self, states: torch.Tensor, prompt: str) -> Understood:
        """
        Ranks the lexicon's phrases for the states of one prompt, `[L, D]`, by their best chunk: those that are more
        likely in it than not, at most `MOST_TAGS`, but the `FEWEST_TAGS` most likely in any case.
        """
        return self.understand(self.score(states).tolist(), prompt)

    def score(self, states: torch.Tensor) -> torch.Tensor:
        """How likely each phrase of the lexicon is in the prompt with these states, `[L, D]` to `[phrases]`."""
        return self.probe(states.unflatten(0, (-1, self._length))).amax(dim=0)

    def understand(self, scores: list[float], prompt: str) -> Understood:
        """What `read` says, from the scores."""
        ranked = sorted(zip(scores, self._tags, strict=True), key=lambda pair: -pair[0])
        sure = sum(score >= SURE for score, _ in ranked)
        shown = ranked[: min(max(sure, FEWEST_TAGS), MOST_TAGS)]
        return Understood(
            [{"tag": tag, "score": round(score, 3)} for score, tag in shown],
            self._notice.text if self._notice and self.familiarity(scores, prompt) < self._notice.below else None,
        )

    def familiarity(self, scores: list[float], prompt: str) -> float:
        """
        How surely the prompt holds what the model has learnt to draw: the product of the best scores of the notice's
        groups, where one that the prompt names in so many words, outside the notice's `not_named`, counts 1.
        """
        prompt = self._not_named.sub(" ", prompt) if self._not_named else prompt
        groups = zip(self._telling, self._named, strict=True)
        return math.prod(1.0 if named.search(prompt) else max(scores[i] for i in group) for group, named in groups)


def _names(phrases: Iterable[str]) -> re.Pattern[str]:
    """Finds any of `phrases` as words of their own, in the singular or a regular plural."""
    plurals = [p[:-1] + "ies" for p in phrases if p.endswith("y")]
    return _whole([*phrases, *plurals], "(?:e?s)?")


def _whole(phrases: Iterable[str], end: str = "") -> re.Pattern[str]:
    """Finds any of `phrases`, with `end` or without, as words of their own."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, phrases))}){end}\b", re.IGNORECASE)


def load_reader(model: LoadedModel) -> Reader | None:
    """The reader of a model whose entry in models.toml names a lexicon. Raises ConfigError for one that does not fit."""
    named, notice = model.spec.lexicon, model.spec.notice
    if named is None:
        return None
    file = find_lexicon(named)
    lexicon = read_lexicon(file)
    for group in notice.groups if notice else ():
        if group not in lexicon.phrases:
            known = ", ".join(lexicon.phrases)
            raise ConfigError(f"The model {model.spec.id}: notice.groups has {group!r}; {file.name} has {known}.")
    return Reader(lexicon, probe_for(file, lexicon, model, named.parent), notice, model.tokenizer.model_max_length)
