"""Narratives that were written one by one, each for a scene of the training world, and safe changes to them.

A grammar's sentences are as many as one likes and all of one hand. These are few and of many hands, so each is told of other
scenes too: a colour, a number or a thing that is named in plain words, and by those only, gives way to another.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

from ..world import FIRST, MAX_COUNT, Group, Scene, World, parse_keywords
from . import nouns

FILE = Path(__file__).with_name("written.jsonl")
_CARDINALS = {2: "two", 3: "three", 4: "four"}
# Whoever counts twice, or by another's number, would contradict a changed one.
_COUNTED_ELSE = re.compile(
    r"\b(one|another|both|pair|couple|twins?|duo|trio|triplets?|quartet|threesome|foursome|twosome|second|third|fourth|last|half|"
    r"each|every|same|as many|per|in all|either|neither|two|three|four|twice|thrice|\d)\b",
    re.IGNORECASE,
)


@cache
def lines(world: World = FIRST) -> tuple[tuple[Scene, str], ...]:
    """Every written narrative of things of `world` with its scene, none of which holds a combination kept from training."""
    rows = (json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines())
    told = ((parse_keywords(row["keywords"]), row["text"]) for row in rows)
    return tuple((as_told(s, text), text) for s, text in told if all(g.thing in world.things for g in s.groups))


def as_told(scene: Scene, text: str) -> Scene:
    """The scene with its kinds in the order in which `text` first names them, or as it is where one is named otherwise.

    The keyword prompt has an order and a picture has none: a narrative's target must not be a guess between two.
    """
    first = [_first_named(group.thing, text) for group in scene.groups]
    if None in first:
        return scene
    order = sorted(range(len(first)), key=lambda i: first[i] or 0)
    return replace(scene, groups=tuple(scene.groups[i] for i in order))


def _first_named(thing: str, text: str) -> int | None:
    names = {form for noun in (*nouns.NOUNS[thing], *nouns.BEYOND.get(thing, ())) for form in noun}
    found = re.search(rf"\b({'|'.join(map(re.escape, names))})\b", text, re.IGNORECASE)
    return found and found.start()


def written(rng: random.Random, world: World = FIRST) -> tuple[Scene, str]:
    """One of `lines`, often with some of its plain words changed (`retold`), and the scene it then means."""
    return retold(*rng.choice(lines(world)), rng, world)


def retold(scene: Scene, text: str, rng: random.Random, world: World = FIRST) -> tuple[Scene, str]:
    """A written narrative with its scene; up to three plain words of each kind are changed for others every other time, and,
    where they can be, always in a larger world than the first, since few lines were written of its other things.
    """
    if world == FIRST and rng.random() < 0.5:
        return scene, text
    for index in range(len(scene.groups)):
        for change in (another_colour, another_number, another_thing):
            changed = change(scene, index, text, rng, world) if rng.random() < 0.7 else None
            if changed and not changed[0].held_out:
                scene, text = changed
    return scene, text


def _with(scene: Scene, index: int, group: Group) -> Scene:
    return replace(scene, groups=tuple(group if i == index else g for i, g in enumerate(scene.groups)))


def another_colour(
    scene: Scene, index: int, text: str, rng: random.Random, world: World = FIRST
) -> tuple[Scene, str] | None:
    """The group's plain colour word changed, where it stands once and for itself; else None."""
    group = scene.groups[index]
    old = group.colour
    if old is None or len(re.findall(rf"\b{old}", text, re.IGNORECASE)) != 1:
        return None
    # "as red as a fire engine", "fire-engine red", "red like blood": the comparison would stay.
    if re.search(
        rf"\bas {old}|{old}\W+(as|like)\b|-{old}|{old}-|\b(like|colour|color|shade) of\b", text, re.IGNORECASE
    ):
        return None
    free = [
        c
        for c in world.colours
        if c not in {g.colour for g in scene.groups} and not re.search(rf"\b{c}", text, re.IGNORECASE)
    ]
    if not free:
        return None
    new = rng.choice(free)
    return _with(scene, index, replace(group, colour=new)), _swap(text, old, new)


def another_number(
    scene: Scene, index: int, text: str, rng: random.Random, _world: World = FIRST
) -> tuple[Scene, str] | None:
    """The group's cardinal changed, where nothing else counts; else None."""
    group = scene.groups[index]
    if group.count == 1 or len(_COUNTED_ELSE.findall(text)) != 1:
        return None
    old = _CARDINALS[group.count]
    if not re.search(rf"\b{old}\b", text, re.IGNORECASE):
        return None
    others = sum(g.count for g in scene.groups) - group.count
    new = rng.choice([n for n in _CARDINALS if n != group.count and n + others <= MAX_COUNT] or [group.count])
    return _with(scene, index, replace(group, count=new)), _swap(text, old, _CARDINALS[new])


def another_thing(
    scene: Scene, index: int, text: str, rng: random.Random, world: World = FIRST
) -> tuple[Scene, str] | None:
    """The group's plain name changed for that of a thing of its sort in `world`, where no other name is used; else None."""
    group = scene.groups[index]
    many = group.count > 1
    names = {form for noun in (*nouns.NOUNS[group.thing], *nouns.BEYOND.get(group.thing, ())) for form in noun}
    plain = nouns.NOUNS[group.thing][0][many]
    said = {form for form in names if re.search(rf"\b{re.escape(form)}\b", text, re.IGNORECASE)}
    # Of "fish" one cannot tell which form it is.
    if plain == nouns.NOUNS[group.thing][0][not many] or (said != {plain} and said != set(nouns.NOUNS[group.thing][0])):
        return None
    kind = world.animals if group.thing in world.animals else world.objects
    new = rng.choice([t for t in kind if t not in {g.thing for g in scene.groups}])
    for old, other in zip(nouns.NOUNS[group.thing][0], nouns.NOUNS[new][0], strict=True):
        text = _swap(text, old, other)
    return _with(scene, index, replace(group, thing=new)), text


def _swap(text: str, old: str, new: str) -> str:
    """`new` for every `old` that stands as a word, in its case, with the article that it asks for."""

    def put(found: re.Match[str]) -> str:
        article, word = found.group(1) or "", found.group(2)
        if article:
            bare = article.strip()
            wanted = ("an" if new[0] in "aeiou" else "a") if bare.lower() in ("a", "an") else bare
            article = (wanted.capitalize() if bare[0].isupper() else wanted) + " "
        shaped = new.upper() if word.isupper() and len(word) > 1 else new.capitalize() if word[0].isupper() else new
        return article + shaped

    return re.sub(rf"\b(an? )?\b({re.escape(old)})\b", put, text, flags=re.IGNORECASE)
