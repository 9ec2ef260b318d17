"""The sentences that studies measure with: of scenes never trained on, in shapes never trained on, or by other hands."""

from __future__ import annotations

import random
from pathlib import Path

from vignette.errors import ConfigError
from vignette.evaluation.cases import read_cases, scene_of

from .language import Words, tell
from .world import FIRST, Scene, World, sample_scene

SEED = 20_261_123

# A scene, what is said of it, and the seed that it is drawn from.
Case = tuple[Scene, str, int]


def held_out_set(count: int, language: str = "first", world: World = FIRST, vocabulary: Words = "rare") -> list[Case]:
    """`count` scenes of combinations never trained on, each with a narrative of a shape never trained on and a seed; the
    first of many are those of few.
    """
    rng = random.Random(SEED)
    scenes = [sample_scene(rng, held_out=True, world=world) for _ in range(count)]
    return [
        (scene, tell(language, scene, random.Random(f"{SEED}/{i}"), True, vocabulary), 1000 + i)
        for i, scene in enumerate(scenes)
    ]


def written_set(file: Path, count: int, world: World = FIRST) -> list[Case]:
    """
    The first `count` cases of a JSONL file as `vignette evaluate --set` reads it, in the form of `held_out_set`.

    Raises:
        ConfigError: No such file, a line that is no case, or one whose scene is none of `world`.
    """
    cases = [(scene_of(case), case) for case in read_cases(file)[:count]]
    for scene, case in cases:
        known = all(group.thing in world.things for group in scene.groups) and scene.place in world.places
        if not known or scene.keywords != case.keywords:
            raise ConfigError(
                f"{file}: {case.id} is no scene of the {world.name} edition, whose keywords read"
                " '3cat, purple cat, sleeping, beach background'."
            )
    return [(scene, case.narrative, 1000 + i) for i, (scene, case) in enumerate(cases)]
