"""One narrator: picks words for a scene and makes them agree."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, TypeVar

from ..world import SECOND, Group, Scene
from . import nouns, verbs, wide, words
from .verbs import Verb

_T = TypeVar("_T")
Words = Literal["known", "rare", "wide", "unheard"]
_RARE_SHARE = 0.25
_WIDE_SHARE = 0.5
_PAST = ("past", "past", "past progressive", "perfect")
_NOW = ("present", "progressive")
TO_BE = {"past": ("was", "were"), "now": ("is", "are"), "future": ("will be", "will be")}
_SIMPLE = ("sleeping", "napping", "dozing", "jumping", "hopping", "leaping", "flying", "soaring")


class Teller:
    """Words for `scene`, drawn from `rng`: those `known` from the text encoder's first lessons, or a quarter of them `rare`, or,
    `wide`, half of places and doings from a far larger list beside those: its second lessons and the adapter's triples
    tell both. Or a quarter is `unheard`, which the grammar tells in no training.

    A teller has one tense; "when" is "past", "now" or "future".
    """

    def __init__(self, scene: Scene, rng: random.Random, when: str, vocabulary: Words = "known"):
        self.scene, self.rng, self.vocabulary, self.when = scene, rng, vocabulary, when
        self.tense = {"past": rng.choice(_PAST), "now": rng.choice(_NOW), "future": "future"}[when]
        self.first = scene.groups[0]
        self._verbs = {g.thing: self._verb(g) for g in scene.groups}

    def pick(self, known: Sequence[_T], beyond: Sequence[_T] = (), wide: Sequence[_T] = ()) -> _T:
        """One of the known words, or now and then one from beyond them: the last of those is unheard, the others are rare."""
        if self.vocabulary == "wide" and wide and self.rng.random() < _WIDE_SHARE:
            return self.rng.choice(wide)
        last = max(1, len(beyond) - 1)
        rare = beyond[:last]
        others = {"known": (), "rare": rare, "wide": rare, "unheard": beyond[last:]}[self.vocabulary]
        if others and self.rng.random() < _RARE_SHARE:
            return self.rng.choice(others)
        return self.rng.choice(known)

    def _of(
        self,
        key: str,
        known: Mapping[str, Sequence[_T]],
        beyond: Mapping[str, Sequence[_T]],
        wide: Mapping[str, Sequence[_T]] = MappingProxyType({}),
    ) -> _T:
        return self.pick(known[key], beyond.get(key, ()), wide.get(key, ()))

    def _verb(self, group: Group) -> Verb:
        key = group.action or ("animal" if group.thing in SECOND.animals else "object")
        return self._of(key, verbs.VERBS, verbs.BEYOND, wide.VERBS)

    # words
    def colour(self, group: Group) -> str:
        """A word for the group's colour; the group must have one."""
        return self._of(group.colour or "", words.COLOURS, words.BEYOND_COLOURS)

    def like(self, group: Group) -> str:
        """The colour by comparison: "as red as a cherry"."""
        return f"as {group.colour} as {self._of(group.colour or '', words.SIMILES, words.BEYOND_SIMILES)}"

    def noun(self, group: Group, many: bool | None = None) -> str:
        """A name of the thing, singular or plural as the count (or `many`) wants."""
        known = nouns.NOUNS[group.thing]
        one, plural = known[0] if self.rng.random() < 0.45 else self._of(group.thing, nouns.NOUNS, nouns.BEYOND)
        return plural if (group.count > 1 if many is None else many) else one

    def number(self, group: Group) -> str:
        """A number word that stands before the noun."""
        return self.pick(words.NUMBERS[group.count], words.BEYOND_NUMBERS.get(group.count, ()))

    def adjective(self) -> str:
        """An adjective that changes nothing in the picture."""
        return self.pick(words.ADJECTIVES, words.BEYOND_ADJECTIVES)

    def place(self) -> str:
        """Where: a prepositional phrase."""
        return self._of(self.scene.place, words.PLACES, words.BEYOND_PLACES, wide.PLACES)

    def stranger(self, many: bool = True) -> str:
        """A thing that is not in the scene: something to be mentioned and not drawn."""
        present = {g.thing for g in self.scene.groups}
        one, plural = nouns.NOUNS[self.rng.choice([t for t in nouns.NOUNS if t not in present])][0]
        return plural if many else one

    # phrases
    def subject(self, group: Group, coloured: bool = True, number: str | None = None, before: str = "") -> str:
        """Number, adjectives, colour and noun: "three little purple kittens"; `before` goes between them."""
        parts = [self.adjective()] if self.rng.random() < 0.3 else []
        if coloured and group.colour:
            parts.append(self.colour(group))
        parts += [before] if before else []
        parts.append(self.noun(group))
        return article(number or self.number(group), " ".join(parts))

    def verb(self, group: Group, tense: str | None = None) -> str:
        """What the group does, finite and agreeing."""
        return self._verbs[group.thing].finite(tense or self.tense, group.count > 1)

    def doing(self, group: Group) -> str:
        """What the group does, behind its noun: "sleeping", "fast asleep"; empty for one at rest now and then."""
        if group.action is None and self.rng.random() < 0.6:
            return ""
        return self._verbs[group.thing].after_noun

    def participle(self, group: Group) -> str:
        """What the group does as one word before the noun, or nothing for one at rest."""
        ing = self._verbs[group.thing].ing
        return "" if group.action is None else ing if ing in _SIMPLE else group.action

    def be(self, group: Group) -> str:
        """*To be*, agreeing, in the teller's tense."""
        return TO_BE[self.when][group.count > 1]

    def everyone(self, group: Group) -> str:
        """All members of the group: "both of them", "all three of them", "it"."""
        if group.count == 1:
            return "it"
        if group.count == 2:
            return self.rng.choice(("both of them", "both", "the two of them"))
        return self.rng.choice(("all of them", "all", f"all {words.CARDINALS[group.count]} of them", "each of them"))

    # whole things
    def clause(self, group: Group) -> str:
        """Subject and verb: "three purple cats fell asleep"."""
        return f"{self.subject(group)} {self.verb(group)}"

    def clauses(self) -> str:
        """Every group's clause, joined."""
        joint = self.rng.choice((" and ", " while ", " as ")) if len(self.scene.groups) > 1 else ""
        return joint.join(self.clause(g) for g in self.scene.groups)

    def described(self, group: Group) -> str:
        """Subject and participle: "three purple cats fast asleep"."""
        return f"{self.subject(group)} {self.doing(group)}".strip()

    def company(self) -> str:
        """Every group's subject and participle, joined."""
        joint = self.rng.choice((" and ", " next to ", " beside ", " together with ", " and also "))
        return joint.join(self.described(g) for g in self.scene.groups)

    def others(self) -> str:
        """What the groups after the first add to a sentence: ", with a blue dog jumping nearby", or nothing."""
        if len(self.scene.groups) == 1:
            return ""
        joint = self.rng.choice((", with {} nearby", ", next to {}", ", along with {}", ", in the company of {}"))
        return joint.format(self.described(self.scene.groups[1]))

    def they(self, group: Group) -> str:
        """The pronoun as a subject."""
        return "they" if group.count > 1 else "it"

    def again(self, group: Group, subject: bool = True) -> str:
        """The group mentioned again: a pronoun, or its name where that could mean another group."""
        if len(self.scene.groups) > 1:
            return "the " + nouns.NOUNS[group.thing][0][group.count > 1]
        return self.they(group) if subject else self.them(group)

    def them(self, group: Group) -> str:
        """The pronoun as an object."""
        return "them" if group.count > 1 else "it"


def article(number: str, rest: str) -> str:
    """`number` before `rest`, "a" turned into "an" where the sound asks for it."""
    if number == "a" and rest[0] in "aeiou":
        number = "an"
    return f"{number} {rest}"


def sentence(text: str) -> str:
    """Capital first letter and a full stop, unless it ends in a mark already."""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."
