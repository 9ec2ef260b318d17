"""Facts as questions for a visual question answerer, as contrasts for a zero-shot classifier, and what answers mean."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vignette.evaluation.cases import Case, Fact

# The eleven basic colour terms of English (Berlin and Kay 1969).
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "gray")
SAME_COLOUR = {
    "grey": "gray",
    "violet": "purple",
    "golden": "yellow",
    "gold": "yellow",
    "lilac": "purple",
    "navy": "blue",
}
NUMBERS = (
    "no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
)  # fmt: skip
COUNTS = range(1, 9)


@dataclass(frozen=True)
class Question:
    """A question and the answer wanted: a colour, a number in words, `yes` or `no`."""

    attribute: str
    text: str
    wanted: str


@dataclass(frozen=True)
class Contrast:
    """Captions of which exactly one, `captions[wanted]`, is true of a right picture."""

    attribute: str
    captions: tuple[str, ...]
    wanted: int


def questions(case: Case) -> Iterator[tuple[Question, ...]]:
    """Groups of questions; a fact counts as shown when every question of its group is answered as wanted."""
    for fact in case.facts:
        many = (fact.count or 1) > 1
        be, noun = ("are", fact.plural) if many else ("is", fact.object)
        if fact.colour is not None:
            yield (Question("colour", f"what color {be} the {noun}?", _colour(fact.colour)),)
        if fact.count is not None:
            yield (Question("counting", f"how many {fact.plural} are in the picture?", NUMBERS[fact.count]),)
        if fact.action is not None:
            asked = [(fact.action, "yes"), *((other, "no") for other in fact.others)]
            yield tuple(Question("action", f"{be} the {noun} {action}?", wanted) for action, wanted in asked)


def contrasts(case: Case) -> Iterator[Contrast]:
    """One choice per fact and attribute."""
    for fact in case.facts:
        if fact.colour is not None:
            colours = list(dict.fromkeys((_colour(fact.colour), *COLOURS)))
            yield Contrast("colour", tuple(f"a photo of {_some(fact, colour)}" for colour in colours), 0)
        if fact.count is not None:
            counts = sorted({*COUNTS, fact.count})
            captions = tuple(f"a photo of {NUMBERS[n]} {fact.object if n == 1 else fact.plural}" for n in counts)
            yield Contrast("counting", captions, counts.index(fact.count))
        if fact.action is not None and fact.others:
            actions = (fact.action, *fact.others)
            yield Contrast("action", tuple(f"a photo of {_some(fact)} {action}" for action in actions), 0)


def agrees(question: Question, answer: str) -> bool:
    """Whether a free answer says what was wanted. An answer that names two colours or numbers says neither."""
    words = re.findall(r"[a-z]+|\d+", answer.lower())
    if question.attribute == "colour":
        return {_colour(w) for w in words if _colour(w) in COLOURS} == {question.wanted}
    if question.attribute == "counting":
        return {_number(w) for w in words if _number(w) is not None} == {NUMBERS.index(question.wanted)}
    return bool(words) and words[0] == question.wanted


def with_article(phrase: str) -> str:
    """One of something: a dog, an owl, a unicorn."""
    vowel = re.match(r"(?!uni|use|ufo|eu|one\b)[aeiou]", phrase, re.IGNORECASE)
    return f"{'an' if vowel else 'a'} {phrase}"


def _some(fact: Fact, colour: str = "") -> str:
    if (fact.count or 1) > 1:
        return f"{colour} {fact.plural}".strip()
    return with_article(f"{colour} {fact.object}".strip())


def _colour(word: str) -> str:
    return SAME_COLOUR.get(word.lower(), word.lower())


def _number(word: str) -> int | None:
    if word.isdecimal():
        return int(word)
    if word in ("zero", "none"):
        return 0
    return NUMBERS.index(word) if word in NUMBERS else None
