"""How a scene can be told: as a clause (S), as something to be seen (N), or in several sentences (D).

Each telling is a function of a `Teller`; a decorator says which scenes it can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..world import Scene
from .teller import Teller, article, sentence
from .words import CARDINALS

_ORDINALS = {2: "a second", 3: "a third", 4: "a fourth"}


@dataclass(frozen=True)
class Telling:
    """One way to tell a scene; `kind` is S, N or D."""

    kind: str
    name: str
    tell: Callable[[Teller], str]
    coloured: bool
    alone: bool
    several: bool

    def fits(self, scene: Scene) -> bool:
        """Whether it can tell `scene`."""
        first = scene.groups[0]
        return not (
            (self.coloured and first.colour is None)
            or (self.alone and len(scene.groups) > 1)
            or (self.several and first.count == 1)
        )


TRAINING: list[Telling] = []
HELD_OUT: list[Telling] = []


def telling(
    kind: str, *, coloured: bool = False, alone: bool = False, several: bool = False, held_out: bool = False
) -> Callable[[Callable[[Teller], str]], Callable[[Teller], str]]:
    """Registers a telling: `coloured` wants a first group with a colour, `several` of more than one, `alone` no other group."""

    def register(tell: Callable[[Teller], str]) -> Callable[[Teller], str]:
        (HELD_OUT if held_out else TRAINING).append(Telling(kind, tell.__name__, tell, coloured, alone, several))
        return tell

    return register


def bare(t: Teller) -> str:
    """The first group without its colour."""
    return t.subject(t.first, coloured=False)


@telling("S")
def plainly(t: Teller) -> str:
    return f"{t.clauses()} {t.place()}"


@telling("S")
def place_first(t: Teller) -> str:
    return f"{t.place()}, {t.clauses()}"


@telling("S")
def there_is(t: Teller) -> str:
    return f"there {t.be(t.first)} {t.company()} {t.place()}"


@telling("S", coloured=True)
def colour_in_apposition(t: Teller) -> str:
    all_over = f"{t.everyone(t.first)} {t.colour(t.first)}" if t.first.count > 1 else f"{t.colour(t.first)} all over"
    return f"{bare(t)}, {all_over}, {t.verb(t.first)} {t.place()}{t.others()}"


@telling("S", coloured=True)
def colour_by_simile(t: Teller) -> str:
    return f"{bare(t)} {t.like(t.first)} {t.verb(t.first)} {t.place()}{t.others()}"


@telling("S", coloured=True)
def colour_in_a_relative_clause(t: Teller) -> str:
    return f"{bare(t)} that {t.be(t.first)} {t.colour(t.first)} {t.verb(t.first)} {t.place()}{t.others()}"


@telling("S")
def seen(t: Teller) -> str:
    see = {"past": "could be seen", "now": "can be seen", "future": "will be seen"}[t.when]
    first = t.first
    return f"{t.subject(first)} {see} {t.place()}{', ' + t.doing(first) if first.action else ''}{t.others()}"


@telling("S", several=True)
def one_by_one(t: Teller) -> str:
    names = ["one " + t.noun(t.first, many=False)] + [_ORDINALS[i] for i in range(2, t.first.count + 1)]
    row = ", then ".join(names[:-1]) + " and then " + names[-1]
    colour = f", {t.everyone(t.first)} {t.colour(t.first)}," if t.first.colour else ""
    return f"{row}{colour} {t.verb(t.first)} {t.place()}{t.others()}"


@telling("S", several=True)
def number_corrected(t: Teller) -> str:
    wrong = t.rng.choice([n for n in CARDINALS.values() if n != CARDINALS[t.first.count]])
    right = CARDINALS[t.first.count]
    colour = t.colour(t.first) + " " if t.first.colour else ""
    return f"not {wrong} but {right} {colour}{t.noun(t.first)} {t.verb(t.first)} {t.place()}{t.others()}"


@telling("S", coloured=True)
def colour_corrected(t: Teller) -> str:
    wrong = t.rng.choice([c for c in ("red", "yellow", "green", "blue", "purple", "pink") if c != t.first.colour])
    return f"{bare(t)}, {t.first.colour} and not {wrong}, {t.verb(t.first)} {t.place()}{t.others()}"


@telling("S", several=True)
def number_afterwards(t: Teller) -> str:
    colour = f", {t.everyone(t.first)} {t.colour(t.first)}" if t.first.colour else ""
    return (
        f"some {t.noun(t.first)} {t.verb(t.first)} {t.place()}, {CARDINALS[t.first.count]} of them{colour}{t.others()}"
    )


@telling("S")
def it_happened(t: Teller) -> str:
    it = {"past": "it was", "now": "it is", "future": "it will be"}[t.when]
    return f"{it} {t.place()} that {t.clauses()}"


@telling("N")
def plain_view(t: Teller) -> str:
    return f"{t.company()} {t.place()}"


@telling("N")
def place_in_the_middle(t: Teller) -> str:
    doing = t.doing(t.first)
    return f"{t.subject(t.first)} {t.place()}{', ' + doing if doing else ''}{t.others()}"


@telling("N")
def a_scene_with(t: Teller) -> str:
    return f"a {t.rng.choice(('scene', 'moment', 'picture', 'view'))} {t.place()} with {t.company()}"


@telling("N", coloured=True)
def dressed_in_colour(t: Teller) -> str:
    return f"{bare(t)} in {t.first.colour} {t.doing(t.first)} {t.place()}{t.others()}"


@telling("N", coloured=True)
def view_by_simile(t: Teller) -> str:
    return f"{bare(t)}, {t.like(t.first)}, {t.doing(t.first)} {t.place()}{t.others()}".replace(",  ", ", ")


@telling("N")
def that_do_it(t: Teller) -> str:
    return f"{t.subject(t.first)} that {t.verb(t.first)} {t.place()}{t.others()}"


@telling("N")
def participle_first(t: Teller) -> str:
    return f"{t.subject(t.first, before=t.participle(t.first))} {t.place()}{t.others()}"


@telling("N", several=True)
def as_in_a_list(t: Teller) -> str:
    parts = [t.noun(t.first), f"{CARDINALS[t.first.count]} of them"]
    parts += [t.colour(t.first)] if t.first.colour else []
    parts += [t.doing(t.first) or "just there", t.place()]
    return ", ".join(parts) + t.others()


@telling("N")
def as_they_do(t: Teller) -> str:
    return f"{t.subject(t.first)} as {t.they(t.first)} {t.verb(t.first)} {t.place()}{t.others()}"


@telling("D")
def piece_by_piece(t: Teller) -> str:
    they = t.again(t.first)
    colour = f"{they} {t.be(t.first)} {t.colour(t.first)} and " if t.first.colour else ""
    verb = t.verb(t.first, "past" if t.tense == "perfect" else None)
    doing = verb if colour else f"{they} {verb}"
    return f"{sentence(f'there {t.be(t.first)} {bare(t)} {t.place()}{t.others()}')} {sentence(colour + doing)}"


@telling("D")
def in_scraps(t: Teller) -> str:
    scraps = [t.place(), *(t.subject(g) for g in t.scene.groups)]
    if t.first.action and len(t.scene.groups) == 1:
        scraps.append(t.doing(t.first))
    elif len(t.scene.groups) > 1:
        scraps[1:] = [t.described(g) for g in t.scene.groups]
    return " ".join(sentence(s) for s in scraps)


@telling("D", several=True, coloured=True, alone=True)
def by_counting(t: Teller) -> str:
    they = sentence(f"they {t.verb(t.first)} {t.place()}")
    count = f"I counted the {t.noun(t.first)}: {CARDINALS[t.first.count]}."
    return f"{count} {sentence(f'{t.everyone(t.first)} {t.colour(t.first)}')} {they}"


@telling("D")
def name_first_deed_after(t: Teller) -> str:
    second = [f"next to {t.them(t.first)}, {t.clause(g)}" for g in t.scene.groups[1:]]
    deed = f"{t.they(t.first)} {t.verb(t.first)}"
    see = {"past": "saw", "now": "see", "future": "will see"}[t.when]
    return " ".join(sentence(s) for s in (f"I {see} {t.subject(t.first)} {t.place()}", deed, *second))


@telling("D")
def place_last(t: Teller) -> str:
    it = {"past": "all of this happened", "now": "all of this happens", "future": "all of this will happen"}[t.when]
    return f"{sentence(t.clauses())} {sentence(f'{it} {t.place()}')}"


@telling("D", alone=True)
def questions_and_answers(t: Teller) -> str:
    doing = f" Doing what? {sentence(t.doing(t.first))}" if t.first.action else ""
    return f"Who? {sentence(t.subject(t.first))} Where? {sentence(t.place())}{doing}"


@telling("D", coloured=True, several=True, alone=True)
def who_they_are_last(t: Teller) -> str:
    start = sentence(f"they {t.verb(t.first)} {t.place()}, the {CARDINALS[t.first.count]} of them")
    return f"{start} {sentence(f'{t.noun(t.first)}, and every single one {t.colour(t.first)}')}"


@telling("D", coloured=True)
def colour_as_an_afterthought(t: Teller) -> str:
    they = sentence(f"did I say that {t.again(t.first)} {t.be(t.first)} {t.colour(t.first)}?")
    return f"{sentence(f'{bare(t)} {t.verb(t.first)} {t.place()}{t.others()}')} {they}"


@telling("D")
def first_and_second(t: Teller) -> str:
    names = ("First", "Second")
    items = [sentence(f"{name}, {t.clause(g)}") for name, g in zip(names, t.scene.groups, strict=False)]
    return f"{' '.join(items)} {sentence(f'and where? {t.place()}')}"


@telling("D", coloured=True)
def simile_afterwards(t: Teller) -> str:
    look = {"past": "looked", "now": "looks" if t.first.count == 1 else "look", "future": "will look"}[t.when]
    return (
        f"{sentence(f'{bare(t)} {t.verb(t.first)} {t.place()}{t.others()}')} "
        f"{sentence(f'{t.again(t.first)} {look} {t.like(t.first)}')}"
    )


@telling("S", held_out=True)
def where_it_was(t: Teller) -> str:
    be = {"past": "was", "now": "is", "future": "will be"}[t.when]
    return f"{t.place()} {be} where {t.clauses()}"


@telling("S", coloured=True, held_out=True)
def whose_colour(t: Teller) -> str:
    be = {"past": "was", "now": "is", "future": "will be"}[t.when]
    return f"{bare(t)}, whose colour {be} {t.colour(t.first)}, {t.verb(t.first)} {t.place()}{t.others()}"


@telling("S", several=True, held_out=True)
def there_were_so_many(t: Teller) -> str:
    colour = t.colour(t.first) + " " if t.first.colour else ""
    number = CARDINALS[t.first.count]
    return f"the {colour}{t.noun(t.first)} {t.place()}, of which there {t.be(t.first)} {number}, {t.verb(t.first)}{t.others()}"


@telling("S", held_out=True)
def none_other_than(t: Teller) -> str:
    return f"none other than {t.subject(t.first)} {t.verb(t.first)} {t.place()}{t.others()}"


@telling("S", coloured=True, held_out=True)
def painted(t: Teller) -> str:
    return f"{bare(t)}, painted {t.first.colour} from top to bottom, {t.verb(t.first)} {t.place()}{t.others()}"


@telling("N", held_out=True)
def to_be_found(t: Teller) -> str:
    return f"{t.company()}, to be found {t.place()}"


@telling("N", coloured=True, held_out=True)
def of_that_colour(t: Teller) -> str:
    colour = f"of a {t.rng.choice(('fine', 'strong', 'deep'))} {t.first.colour} colour"
    return f"{bare(t)} {colour}, {t.place()}, {t.doing(t.first) or 'quite at rest'}{t.others()}"


@telling("N", held_out=True)
def caught_in_the_act(t: Teller) -> str:
    doing = f"caught {t.participle(t.first)}" if t.first.action else "simply there"
    return f"{t.subject(t.first)}, {doing}, {t.place()}{t.others()}"


@telling("N", several=True, held_out=True)
def number_of_them_last(t: Teller) -> str:
    colour = t.colour(t.first) + " " if t.first.colour else ""
    doing = t.doing(t.first)
    return f"{colour}{t.noun(t.first)} {t.place()}{', ' + doing if doing else ''} ({CARDINALS[t.first.count]} in all){t.others()}"


@telling("D", held_out=True)
def guess_what(t: Teller) -> str:
    return f"Guess who {t.verb(type(t.first)(t.first.thing, 1, None, t.first.action))} {t.place()}? {sentence(t.company())}"


@telling("D", coloured=True, held_out=True)
def whoever_painted_them(t: Teller) -> str:
    start = sentence(f"{bare(t)} {t.verb(t.first)} {t.place()}{t.others()}")
    return f"{start} Whoever painted {t.again(t.first, subject=False)} must love {t.first.colour}."


@telling("D", held_out=True)
def take_and_add(t: Teller) -> str:
    things = " ".join(sentence(f"add {t.described(g)}") for g in t.scene.groups)
    return f"Take a spot {t.place()}. {things}"


@telling("D", several=True, alone=True, held_out=True)
def two_plus_one(t: Teller) -> str:
    colour = t.colour(t.first) + " " if t.first.colour else ""
    many = CARDINALS[t.first.count - 1]
    rest = t.noun(t.first, many=t.first.count > 2)
    start = sentence(
        f"{article('a' if many == 'one' else many, colour + rest)} {t.place()}, and one more just like that"
    )
    return f"{start} {sentence(f'together they {t.verb(t.first)}')}"
