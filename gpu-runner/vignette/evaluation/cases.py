"""What is asked for: narratives with their keyword prompts and the facts that a right picture shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vignette.errors import ConfigError

if TYPE_CHECKING:
    from vignette.miniature.world import Scene, World

NARRATIVES = Path(__file__).parent / "narratives.jsonl"
GROUPS = ("action", "colour", "counting")
MINIATURE = "miniature"
# Of the miniature's sentences: the one that tells of every edition of its world.
LANGUAGE = "second"
MAX_COUNT = 12


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fact(_Strict):
    """
    Some things of one kind in the picture. What is null is not asked about.

    `others` are actions that the picture could be mistaken for; they are the contrasts of a zero-shot judge.
    """

    object: str = Field(min_length=1)
    plural: str = Field(min_length=1)
    count: int | None = Field(None, ge=1, le=MAX_COUNT)
    colour: str | None = None
    action: str | None = None
    others: tuple[str, ...] = ()


class Case(_Strict):
    """One narrative, the keyword prompt that means the same, and its facts."""

    id: str = Field(min_length=1)
    group: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    narrative: str = Field(min_length=1)
    keywords: str = Field(min_length=1)
    facts: tuple[Fact, ...] = Field(min_length=1)
    place: str | None = None


def read_cases(file: Path = NARRATIVES) -> list[Case]:
    """
    Reads one case a line, by default the written set.

    Raises:
        ConfigError: A missing file, a line that is no case, or an id that comes twice, each named by line.
    """
    try:
        # JSON Lines end at line feeds alone: JSON's strings may hold what else Python takes for a line's end.
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except FileNotFoundError:
        raise ConfigError(f"There is no file {file}; --set takes narratives, miniature or a JSONL file.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from None
    cases: dict[str, Case] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        case = _parse(line, f"{file}, line {number}")
        if case.id in cases:
            raise ConfigError(f"{file}, line {number}: the id {case.id!r} was used before; every case needs its own.")
        cases[case.id] = case
    if not cases:
        raise ConfigError(f"{file} holds no case; write one JSON object a line.")
    return list(cases.values())


def miniature_cases(count: int, world: World) -> list[Case]:
    """`count` scenes of `world` that no training has seen, with the study's held-out sentences."""
    from vignette.miniature.held_out import held_out_set
    from vignette.miniature.language.nouns import NOUNS

    return [
        Case(
            id=f"miniature-{number:04}",
            group=MINIATURE,
            narrative=narrative,
            keywords=scene.keywords,
            facts=tuple(
                Fact(object=g.thing, plural=NOUNS[g.thing][0][1], count=g.count, colour=g.colour, action=g.action)
                for g in scene.groups
            ),
            place=scene.place,
        )
        for number, (scene, narrative, _) in enumerate(held_out_set(count, LANGUAGE, world), 1)
    ]


def scene_of(case: Case) -> Scene:
    """The miniature's scene that a case of its set was made from."""
    from vignette.miniature.world import Group, Scene

    groups = tuple(Group(f.object, f.count or 1, f.colour, f.action) for f in case.facts)
    return Scene(groups, case.place or "")


def choose(cases: Sequence[Case], groups: Sequence[str] = (), limit: int | None = None) -> list[Case]:
    """The cases of these groups (all if none is named), at most `limit` of each group, in order."""
    known = list(dict.fromkeys(case.group for case in cases))
    for group in groups:
        if group not in known:
            raise ConfigError(f"--group {group}: the set has no such group; it has {', '.join(known)}.")
    chosen: list[Case] = []
    for group in groups or known:
        members = [case for case in cases if case.group == group]
        chosen += members if limit is None else members[:limit]
    return chosen


def _parse(line: str, where: str) -> Case:
    try:
        return Case.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".")
        raise ConfigError(f"{where}: {field or 'the line'}: {first['msg']}.") from None
