"""Which rows stay. Every drop has one reason: the first of `REASONS` that holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vignette.surd.dedupe import NearDuplicates
from vignette.surd.record import NSFW_LEVELS

REASONS = {
    "malformed": "its sidecar, or its row, cannot be read",
    "nsfw": "the source rates the picture, or an equal one, above --nsfw",
    "unrated": "the source gives no rating, and the picture is from the web, or --drop-unrated was given",
    "empty prompt": "no keyword prompt, or nothing of it is left without its syntax",
    "language": "prompt or narrative is in another language than --language",
    "no picture": "the picture is missing, or its address gave none",
    "unreadable": "the file is no PNG, JPEG or WebP that can be decoded",
    "too small": "the shorter side is below --min-side",
    "too long": "the longer side is more than --max-aspect times the shorter",
    "duplicate": "the same bytes, or the same picture by its source's name",
    "near duplicate": "a perceptual hash within --near-duplicates bits of an earlier picture",
    "nudity": "--nsfw-detector found it in the picture",
    "no narrative": "no narrative came with it, and no captioner wrote one",
    "clip": "the narrative or the prompt fits the picture worse than --min-clip-text or --min-clip-prompt",
}


@dataclass(frozen=True)
class Thresholds:
    """
    Attributes:
        min_side (`int`): pixels; 0 keeps every size.
        max_aspect (`float`): longer side by shorter side.
        nsfw (`int`): highest level kept, see `NSFW_LEVELS`; what a detector finds counts as the highest level there is.
        nsfw_score (`float`): a detector's finding is believed from this score on, 0 to 1.
        drop_unrated (`bool`, *optional*): what no source rates; `None` drops it where it is from the web.
        language (`str`): ISO 639-1 code, or `any`.
        language_certainty (`float`): another language is only believed from this probability on.
        near_duplicates (`int`, *optional*): bits of 64; `None` keeps near duplicates.
        min_clip_text, min_clip_prompt (`float`, *optional*): cosines; `None` asks nothing.
    """

    min_side: int = 256
    max_aspect: float = 3.0
    nsfw: int = NSFW_LEVELS["none"]
    nsfw_score: float = 0.5
    drop_unrated: bool | None = None
    language: str = "en"
    language_certainty: float = 0.9
    near_duplicates: int | None = 4
    min_clip_text: float | None = None
    min_clip_prompt: float | None = None


@dataclass(frozen=True)
class Facts:
    """All that is known of one row; `None` where a stage has not been there.

    Attributes:
        awaits (`str`): `"caption"` or `"scores"` while a model that is to give these has not been asked.
    """

    id: int
    source: str
    candidate: dict[str, Any]
    blob: str | None
    missing: str | None
    measured: dict[str, Any] | None
    parsed: dict[str, Any] | None
    nudity: dict[str, float] | None = None
    caption: str = ""
    clip_text: float | None = None
    clip_prompt: float | None = None
    awaits: str = ""

    @property
    def text(self) -> str:
        return self.caption or str(self.candidate["text"])

    @property
    def prompt(self) -> str:
        return self.parsed["prompt"] if self.parsed else ""


@dataclass(frozen=True)
class Drop:
    """`of` is the number of the row that it duplicates, if that is why."""

    id: int
    source: str
    key: str
    reason: str
    detail: str
    of: int | None = None


class Cleaner:
    """Decides rows one by one, in order; what it has kept is what later rows may duplicate.

    A row whose models have not been asked yet is kept until they have. So a build asks them about what is kept, and
    decides anew with another cleaner: what they ruled out is then in no other row's way.

    Args:
        ratings (`dict[str, int]`): the highest that any row gives to the same bytes (SHA-256) or the same address.
    """

    def __init__(self, thresholds: Thresholds, ratings: dict[str, int]) -> None:
        self._thresholds = thresholds
        self._ratings = ratings
        # Number and name of the row that holds each.
        self._keys: dict[str, tuple[int, str]] = {}
        self._blobs: dict[str, tuple[int, str]] = {}
        distance = thresholds.near_duplicates
        self._near: NearDuplicates[tuple[int, str]] | None = None if distance is None else NearDuplicates(distance)

    def judge(self, facts: Facts) -> Drop | None:
        """Why the row goes, `None` if it stays."""
        verdict = self.by_words(facts) or self._by_picture(facts)
        if verdict is None and facts.blob and facts.measured:
            scope, phash = _scope(facts), int(facts.measured["phash"], 16)
            drop = self._of_another(facts, scope, facts.blob, phash)
            if drop:
                return drop
            verdict = self.by_look(facts) or self._by_description(facts)
            if verdict is None:
                name = facts.id, facts.candidate["key"]
                self._keys[scope] = self._blobs[facts.blob] = name
                if self._near is not None:
                    self._near.add(phash, name)
        return Drop(facts.id, facts.source, facts.candidate["key"], *verdict) if verdict else None

    def by_look(self, facts: Facts) -> tuple[str, str] | None:
        """Reason and detail of a drop for what a detector has found, if it has looked."""
        limits = self._thresholds
        score, label = max(((score, label) for label, score in (facts.nudity or {}).items()), default=(0.0, ""))
        if limits.nsfw >= NSFW_LEVELS["x"] or score < limits.nsfw_score:
            return None
        return "nudity", f"{label} ({score:.2f})"

    def _by_description(self, facts: Facts) -> tuple[str, str] | None:
        limits = self._thresholds
        if facts.awaits == "caption":
            return None
        if not facts.text:
            return "no narrative", ""
        if facts.awaits == "scores":
            return None
        if limits.min_clip_text is not None and (facts.clip_text or 0.0) < limits.min_clip_text:
            return "clip", f"narrative {facts.clip_text} < {limits.min_clip_text}"
        if limits.min_clip_prompt is not None and (facts.clip_prompt or 0.0) < limits.min_clip_prompt:
            return "clip", f"prompt {facts.clip_prompt} < {limits.min_clip_prompt}"
        return None

    def by_words(self, facts: Facts) -> tuple[str, str] | None:
        """Reason and detail of a drop that needs no look at the picture; such URLs are not even asked for."""
        limits = self._thresholds
        if problem := facts.candidate.get("problem"):  # a state of an earlier version has none
            return "malformed", problem
        equals = (self._ratings.get(facts.blob or ""), self._ratings.get(facts.candidate["image"]))
        levels = [level for level in (facts.candidate["nsfw"], *equals) if level is not None]
        if levels and max(levels) > limits.nsfw:
            return "nsfw", f"level {max(levels)}"
        if not levels and (_from_the_web(facts) if limits.drop_unrated is None else limits.drop_unrated):
            return "unrated", ""
        if not facts.prompt:
            return "empty prompt", facts.candidate["prompt"][:80]
        return self._language(facts)

    def _by_picture(self, facts: Facts) -> tuple[str, str] | None:
        limits = self._thresholds
        if facts.blob is None or facts.measured is None:
            return "no picture", facts.missing or "not fetched yet"
        if "error" in facts.measured:
            return "unreadable", facts.measured["error"]
        width, height = facts.measured["width"], facts.measured["height"]
        if min(width, height) < limits.min_side:
            return "too small", f"{width} x {height}"
        if max(width, height) > limits.max_aspect * min(width, height):
            return "too long", f"{width} x {height}"
        return None

    def _language(self, facts: Facts) -> tuple[str, str] | None:
        if self._thresholds.language == "any" or facts.parsed is None:
            return None
        for name, verdict in facts.parsed["languages"].items():
            if (
                verdict
                and verdict[0] != self._thresholds.language
                and verdict[1] >= self._thresholds.language_certainty
            ):
                return "language", f"{name} is {verdict[0]} ({verdict[1]:.2f})"
        return None

    def _of_another(self, facts: Facts, scope: str, blob: str, phash: int) -> Drop | None:
        found = self._keys.get(scope) or self._blobs.get(blob)
        reason, away = "duplicate", f" (row {found[0]})" if found and scope in self._keys else ""
        if found is None and self._near is not None and (near := self._near.earlier(phash)):
            found, reason, away = near[0], "near duplicate", f", {near[1]} bits away"
        if found is None:
            return None
        number, name = found
        return Drop(facts.id, facts.source, facts.candidate["key"], reason, f"of {name}{away}", of=number)


def _scope(facts: Facts) -> str:
    """Civitai's names hold across its pages; a file's name only within its folder."""
    key = str(facts.candidate["key"])
    return key if key.startswith("civitai:") else f"{facts.source}\0{key}"


def _from_the_web(facts: Facts) -> bool:
    """The gallery's pictures have addresses too, but were drawn by people of this service."""
    return "://" in facts.candidate["image"] and not facts.source.startswith("gallery:")
