"""Scenes as people write them: plain captions and narratives from a small grammar, and narratives of shapes held out of all training.

A shape is a sentence with fields:
``{P}`` the subjects with participles ("two red cats sleeping"), ``{C}`` a clause ("two red cats fell asleep"),
``{L}`` the place ("on the beach"), and, for one kind with a colour only, ``{N}`` the uncoloured subject ("two cats"),
``{v}`` its verb, ``{col}`` its colour, ``{they}``/``{be}`` agreeing pronoun and verb.
"""

from __future__ import annotations

import random

from .words import ADJECTIVES, COLOUR_WORDS, NOUNS, NUMBERS, PARTICIPLES, PLACE_PHRASES, VERBS
from .world import Group, Scene

PLAIN = (
    "{P} {L}",
    "{C} {L}",
    "a picture of {P} {L}",
    "{L}, {C}",
    "there {BE} {P} {L}",
    "a drawing of {P} {L}",
)

NARRATIVES = (
    "I would love to see {P} {L}",
    "please draw {P} {L}",
    "can you paint {P} {L}?",
    "could you make me a picture of {P} {L}, please?",
    "yesterday {C} {L}",
    "when we arrived, {C} {L}",
    "I remember the day when {C} {L}",
    "my grandmother once told me how {C} {L}",
    "{L} {C}, and nobody else was around",
    "look, {C} {L}!",
    "once upon a time {C} {L}",
    "in my dream {C} {L}",
    "show me {P}, somewhere {L}",
    "we were walking along and suddenly saw {P} {L}",
    "the photo shows {P} {L}",
    "what would it look like if {C} {L}?",
    "{C} {L} while we were having lunch",
    "it was quiet {L}, and {C}",
    "for my daughter's birthday card: {P} {L}",
    "imagine {P} {L}",
    "after the long trip {C} {L}",
    "{L} you can find {P}",
    "my little brother drew {P} {L}",
    "all morning {C} {L}",
    "here {BE} {P} {L}",
    "{L} there {BE} {P}",
    "he could hardly believe it: {C} {L}",
    "I took this picture just as {C} {L}",
    "the story begins {L}, where {C}",
    "everybody smiled because {C} {L}",
    "at last {C}, right {L}",
    "she wrote a poem about {P} {L}",
    "on our holiday we met {P} {L}",
    "nothing moved {L} except that {C}",
    "tell me about the time {C} {L}",
    "a children's book page with {P} {L}",
)

# For one kind with a colour: the colour or the count stands away from the noun.
NARRATIVES_COLOURED = (
    "{N} {v} {L}, and {they} {be} {col}",
    "{L}, {N} {v}; {they} {be} all {col}",
    "I painted {N} {col}, and {they} {v} {L}",
    "{N}, {col} from head to toe, {v} {L}",
    "can you draw {N} in {col}? {they} {v} {L}",
    "{N} {v} {L}, every bit of {them} {col}",
)

HELD_OUT = (
    "do you know what happened? {C} {L}",
    "the night watchman swore that {C} {L}",
    "dear diary, today {C} {L}",
    "if you go out early enough you will notice {P} {L}",
    "our teacher asked us to sketch {P} {L}",
    "believe it or not, {C} {L}",
    "while everyone was busy, {C} {L}",
    "my favourite postcard has {P} {L} on it",
    "it had rained for hours, but now {C} {L}",
    "{C} {L}, as if nothing else mattered",
    "I want a poster for the kitchen with {P} {L}",
    "grandpa laughed when he heard that {C} {L}",
    "somebody left the door open, and so {C} {L}",
    "give me an illustration in which {C} {L}",
    "the children pointed at {P} {L}",
    "last summer {C} {L}, and I still think about it",
)

HELD_OUT_COLOURED = (
    "{N} {v} {L}. did I mention that {they} {be} {col}?",
    "somebody dyed {N} {col}, and now {they} {v} {L}",
    "what a sight: {N} {v} {L}, {col} as can be",
)


def _number(rng: random.Random, count: int, plain: bool) -> str:
    if plain:
        return {1: "a", 2: "two", 3: "three", 4: "four"}[count]
    return rng.choice([n for n in NUMBERS[count] if n != "both"])


def _noun_phrase(rng: random.Random, group: Group, coloured: bool = True) -> str:
    number = _number(rng, group.count, rng.random() < 0.5)
    one, many = NOUNS[group.thing][0] if rng.random() < 0.5 else rng.choice(NOUNS[group.thing])
    words = []
    if rng.random() < 0.35:
        words.append(rng.choice(ADJECTIVES))
    if coloured and group.colour:
        words.append(group.colour if rng.random() < 0.6 else rng.choice(COLOUR_WORDS[group.colour]))
    words.append(one if group.count == 1 else many)
    if number == "a" and words[0][0] in "aeiou":
        number = "an"
    return " ".join([number, *words])


def _verb(rng: random.Random, group: Group) -> str:
    return rng.choice(VERBS[group.action])[0 if group.count == 1 else 1]


def _participle(rng: random.Random, group: Group) -> str:
    return rng.choice(PARTICIPLES[group.action])


def _fill(rng: random.Random, shape: str, scene: Scene) -> str:
    groups = scene.groups
    first = groups[0]
    clause = rng.choice((" and ", " while ")).join(f"{_noun_phrase(rng, g)} {_verb(rng, g)}" for g in groups)
    parts = rng.choice((" and ", " next to ")).join(
        f"{_noun_phrase(rng, g)} {_participle(rng, g)}".strip() for g in groups
    )
    single = first.count == 1
    return shape.format(
        C=clause,
        P=parts,
        L=rng.choice(PLACE_PHRASES[scene.place]),
        BE="is" if single else "are",
        N=_noun_phrase(rng, first, coloured=False),
        v=_verb(rng, first),
        col=rng.choice(COLOUR_WORDS[first.colour]) if first.colour else "",
        they="it" if single else "they",
        them="it" if single else "them",
        be="is" if single else "are",
    )


def _write(rng: random.Random, scene: Scene, shapes: tuple[str, ...], coloured: tuple[str, ...]) -> str:
    if (
        len(scene.groups) == 1
        and scene.groups[0].colour
        and rng.random() < len(coloured) / (len(coloured) + len(shapes))
    ):
        shapes = coloured
    text = _fill(rng, rng.choice(shapes), scene)
    if rng.random() < 0.5:
        text = text[0].upper() + text[1:]
    if rng.random() < 0.4 and text[-1].isalpha():
        text += "."
    return text


def caption(scene: Scene, rng: random.Random) -> str:
    """A plain English caption of `scene`."""
    return _write(rng, scene, PLAIN, ())


def narrative(scene: Scene, rng: random.Random, held_out: bool = False) -> str:
    """A narrative prompt for `scene`; `held_out` picks from sentence shapes that no training stage sees."""
    if held_out:
        return _write(rng, scene, HELD_OUT, HELD_OUT_COLOURED)
    if rng.random() < 0.25:
        return caption(scene, rng)
    return _write(rng, scene, NARRATIVES, NARRATIVES_COLOURED)
