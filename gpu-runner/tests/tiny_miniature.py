"""The miniature's training in a few steps: what it keeps and what it exports, made once for all tests that look at those."""

from dataclasses import dataclass, replace
from pathlib import Path

from vignette.miniature.recipe import Recipe
from vignette.miniature.train import Training

TINY = replace(Recipe().scaled(0.0001), scenes=96, batch_scale=0.1)


@dataclass(frozen=True)
class TinyMiniature:
    """The work folder of a training with `recipe`, and its exported weights; tests leave both as they are."""

    work: Path
    weights: Path
    recipe: Recipe = TINY


def train_tiny(folder: Path) -> TinyMiniature:
    """Train every stage into `folder`."""
    Training(folder / "work", TINY, "cpu").run("export", folder / "weights")
    return TinyMiniature(folder / "work", folder / "weights")


def one_step(recipe: Recipe, **other: int) -> Recipe:
    """`recipe` with a step of everything, but for `other`."""
    return replace(recipe, **{name: 1 for name in recipe.__dataclass_fields__ if name.endswith("_steps")} | other)
