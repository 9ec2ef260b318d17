"""Scenes of two kinds as people tell them who save words: what both share is said once, what differs is told together.

"Two cats and as many frogs, all of them red, the cats asleep": first the kinds with their numbers, in the scene's order, then
colours and doings, each of one kind or of both.
"""

from __future__ import annotations

from dataclasses import dataclass

from .teller import TO_BE, Teller, article, sentence
from .words import CARDINALS

_TOGETHER = ("{} and {}", "{} and also {}", "{}, {}", "{} beside {}", "{} next to {}", "{} together with {}")
_APART = ("{} behind {}", "{} in front of {}", "{} with {} to keep company", "{} not far from {}", "{} close to {}")
_AS_MANY = ("just as many {}", "as many {}", "an equal number of {}", "the same number of {}", "likewise a pair of {}")
_OF_EACH = {
    1: ("one of each", "a single one of each", "just one of either kind"),
    2: ("two of each", "a pair of each", "two of either kind", "both in twos"),
}
_ONE_AND_TWO = ("{} between two {}", "{} and twice as many {}", "{} flanked by two {}", "{} with two {} for company")
_TWO_AND_ONE = ("two {} with {} between them", "two {} on either side of {}", "two {} to {}", "two {} around {}")
_COUNTED = ("{} of the former and {} of the latter", "{} of the one and {} of the other", "{} and {} of these")
_SAME_COLOUR = ("of the same {}", "of one and the same {}", "in matching {}", "equally {}", "of exactly the same {}")
_THAT_COLOUR = ("the same colour", "of that colour too", "just as {}", "no less {}")
_ORDER = (("the former", "the latter"), ("the first", "the second"), ("the one", "the other"))


@dataclass(frozen=True)
class Told:
    """Something said of `who`, one or `many`."""

    who: str
    many: bool
    what: str

    def clause(self, when: str) -> str:
        """With *to be*: "both of them are red"."""
        return f"{self.who} {TO_BE[when][self.many]} {self.what}"

    def __str__(self) -> str:
        return f"{self.who} {self.what}"


def view(t: Teller) -> str:
    """As something to be seen, for a frame's `{N}`."""
    kinds, rest = _parts(t)
    said = [", ".join(map(str, some)) for some in rest]
    where = t.rng.randrange(3)
    if where == 0:
        return ", ".join([kinds, *said, t.place()])
    if where == 1:
        return ", ".join([t.place(), kinds, *said])
    return ", ".join([f"{kinds} {t.place()}", *said])


def clause(t: Teller) -> str:
    """As a clause, for a frame's `{S}`."""
    kinds, rest = _parts(t)
    there = f"there {t.be(t.first)} {kinds}"
    start = f"{t.place()} {there}" if t.rng.random() < 0.4 else f"{there} {t.place()}"
    return ", and ".join([start, *(_joined(t, some) for some in rest)])


def sentences(t: Teller) -> str:
    """In several sentences, for a frame's `{D}`; the place stands with the kinds or in a sentence of its own."""
    kinds, rest = _parts(t)
    parts = [_joined(t, some) for some in rest]
    where = t.rng.randrange(3)
    if where == 0:
        parts.insert(0, f"there {t.be(t.first)} {kinds} {t.place()}")
    elif where == 1:
        parts.insert(0, f"{t.place()}: {kinds}")
    else:
        it_is = f"all of it {TO_BE[t.when][False]}"
        parts.insert(t.rng.randint(0, len(parts)), f"{it_is} {t.place()}")
        parts.insert(0, kinds)
    return " ".join(map(sentence, parts))


TELLINGS = {"N": view, "S": clause, "D": sentences}


def _joined(t: Teller, some: list[Told]) -> str:
    first, *others = some
    if not others:
        return first.clause(t.when)
    if first.many == others[0].many and t.rng.random() < 0.5:
        return f"{first.clause(t.when)}, {others[0]}"
    joint = t.rng.choice(("{} and {}", "{}, {}", "{} while {}"))
    return joint.format(first.clause(t.when), others[0].clause(t.when))


def _parts(t: Teller) -> tuple[str, list[list[Told]]]:
    """The kinds with their numbers, and what that leaves to be said of colours and of doings, in either order."""
    rng, (a, b) = t.rng, t.scene.groups
    names = (t.noun(a), t.noun(b))
    colours = tuple(t.colour(g) if g.colour else "" for g in (a, b))
    alike = a.colour is not None and a.colour == b.colour
    # With its kind, as "two red cats"; of a colour that both have at most the first one's.
    early = (rng.random() < 0.4, rng.random() < 0.4 and not alike)
    kinds = _numbered(
        t,
        tuple(
            f"{colour} {name}" if said and colour else name
            for name, colour, said in zip(names, colours, early, strict=True)
        ),
    )
    if alike and early[0]:
        of_colours = [Told(f"the {names[1]}", b.count > 1, rng.choice(_THAT_COLOUR).format(a.colour))]
    elif alike and rng.random() < 0.4:
        of_colours = [_of_both(t, rng.choice(_SAME_COLOUR).format(a.colour))]
    else:
        late = tuple("" if said else colour for colour, said in zip(colours, early, strict=True))
        of_colours = _of_each(t, names, late, alike)
    doings = tuple(t.doing(g) if g.action else "" for g in (a, b))
    of_doings = _of_each(t, names, doings, a.action is not None and a.action == b.action)
    rest = [some for some in (of_colours, of_doings) if some]
    return kinds, rest[::-1] if rng.random() < 0.3 else rest


def _numbered(t: Teller, names: tuple[str, ...]) -> str:
    """Both kinds with their numbers, the second's told by the first's now and then."""
    rng, (a, b) = t.rng, t.scene.groups
    plain = [article(t.number(g), name) for g, name in zip((a, b), names, strict=True)]
    one_of = article(rng.choice(("a", "one", "a single")), names[a.count == 2])
    if a.count == b.count and a.count in _OF_EACH and rng.random() < 0.25:
        bare = names if a.count > 1 else tuple(article("a", name) for name in names)
        return f"{rng.choice(('{} and {}', '{} as well as {}')).format(*bare)}, {rng.choice(_OF_EACH[a.count])}"
    if a.count == b.count == 2 and rng.random() < 0.5:
        return f"{plain[0]} and {rng.choice(_AS_MANY).format(names[1])}"
    if (a.count, b.count) == (1, 2) and rng.random() < 0.4:
        return rng.choice(_ONE_AND_TWO).format(one_of, names[1])
    if (a.count, b.count) == (2, 1) and rng.random() < 0.4:
        return rng.choice(_TWO_AND_ONE).format(names[0], one_of)
    if rng.random() < 0.1:
        bare = tuple(name if g.count > 1 else article("a", name) for g, name in zip((a, b), names, strict=True))
        return f"{bare[0]} and {bare[1]}, {rng.choice(_COUNTED).format(CARDINALS[a.count], CARDINALS[b.count])}"
    return rng.choice((*_TOGETHER, *_APART)).format(*plain)


def _of_both(t: Teller, what: str) -> Told:
    total = sum(group.count for group in t.scene.groups)
    two = ("both of them", "both", "the two of them")
    return Told(
        t.rng.choice(two if total == 2 else ("all of them", f"all {CARDINALS.get(total, 'these')}", "both kinds")),
        True,
        what,
    )


def _of_each(t: Teller, names: tuple[str, ...], whats: tuple[str, ...], alike: bool) -> list[Told]:
    """What is to be said of each kind, or, where it is `alike` and not said yet of one, of both at once."""
    if all(whats) and alike and t.rng.random() < 0.8:
        return [_of_both(t, whats[0])]
    whos = tuple(f"the {name}" for name in names)
    if all(whats) and t.rng.random() < 0.3:
        whos = t.rng.choice(_ORDER)
    return [
        Told(who, group.count > 1, what) for who, group, what in zip(whos, t.scene.groups, whats, strict=True) if what
    ]
