"""The real pictures that KID compares with, and the features it is taken on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vignette.errors import ConfigError
from vignette.evaluation.cases import Case, scene_of
from vignette.evaluation.drawing import Job, picture_file, seed_of
from vignette.evaluation.files import open_picture
from vignette.evaluation.kid import read_features
from vignette.evaluation.scores import REMEDY as REDRAW
from vignette.evaluation.variants import Variant

if TYPE_CHECKING:
    from vignette.miniature.world import World

FLAG = "--kid-reference"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
CHUNK = 64
RENDERS = 4  # per scene
TOO_FEW = "KID: fewer than 2 pictures are there of every variant; ask for more prompts, see --limit, or --seeds."
# Pictures to features [N, D].
Extractor = Callable[[Sequence[Image.Image]], np.ndarray]


@dataclass(frozen=True)
class Reference:
    """Features `[N, D]` of real pictures, and how drawn pictures get theirs."""

    features: np.ndarray
    extractor: Extractor
    title: str
    features_title: str

    def features_of(self, variants: Sequence[Variant], jobs: Sequence[Job], pictures: Path) -> dict[str, np.ndarray]:
        """
        Each variant's features, rows in the order of its jobs, without those that some variant could not draw; nothing
        at all where fewer than two are left, which have no KID.
        """
        by_variant = {v.name: [j for j in jobs if j.variant.name == v.name] for v in variants}
        files = [[picture_file(pictures, j.key) for j in column] for column in by_variant.values()]
        whole = [row for row in range(len(files[0])) if all(column[row].is_file() for column in files)]
        if len(whole) < 2:
            return {}
        return {
            name: self._extract([column[row] for row in whole]) for name, column in zip(by_variant, files, strict=True)
        }

    def _extract(self, files: Sequence[Path]) -> np.ndarray:
        return extract(self.extractor, [partial(open_picture, file, REDRAW) for file in files])


def reference_from(
    asked: str,
    cases: Sequence[Case],
    extractor: Extractor,
    features_title: str,
    *,
    world: World | None,
    folders: Sequence[Path] = (),
) -> Reference:
    """
    Reads `--kid-reference`: `renders` (the scenes of the miniature's set as the world draws them), a folder of
    pictures, or a file of features.

    Args:
        world: That of the miniature's set, None for other sets.
        folders: Of the models that draw, which say in which of the world's styles the renders are.

    Raises:
        ConfigError: Nothing there, fewer than two pictures, features as wide as another network's, or `renders` for
            another set or for two styles at once.
    """
    path = Path(asked).expanduser()
    if asked == "renders":
        if world is None:
            raise ConfigError(f"{FLAG} renders: only the set miniature has renders; name a folder of pictures.")
        from vignette.miniature.render import render

        style = _style(folders, world)
        # Seeds that no case draws with: the reference must not share its noise with anything.
        seeds = [(case, seed_of(case, 1000 + k)) for case in cases for k in range(RENDERS)]
        renders = [partial(render, scene_of(case), seed, world, style) for case, seed in seeds]
        return Reference(extract(extractor, renders), extractor, "renders of the same scenes", features_title)
    if path.is_file():
        return Reference(_as_wide(read_features(path), extractor), extractor, path.name, features_title)
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in PICTURES) if path.is_dir() else []
    if len(files) < 2:
        raise ConfigError(f"{FLAG} {asked}: neither a file of features nor a folder with at least 2 pictures.")
    makers = [partial(open_picture, file, "remove or replace it") for file in files]
    return Reference(extract(extractor, makers), extractor, path.name, features_title)


def _as_wide(features: np.ndarray, extractor: Extractor) -> np.ndarray:
    """The given features, if they are as wide as those of the pictures that are yet to be drawn."""
    width = extractor([Image.new("RGB", (128, 128))]).shape[1]
    if features.shape[1] != width:
        raise ConfigError(
            f"{FLAG}: the reference has features {features.shape[1]} wide, the drawn pictures {width};"
            " both have to come from the same network."
        )
    return features


def _style(folders: Sequence[Path], world: World) -> str:
    """The one that models in these folders draw in: a bundled one's is named after it, another's is the world's first."""
    found = {folder.name if folder.name in world.styles else world.styles[0] for folder in folders}
    if len(found) > 1:
        raise ConfigError(
            f"{FLAG} renders: they are in one art style, the variants in {' and '.join(sorted(found))}; evaluate the styles"
            " apart, or name a folder of pictures."
        )
    return next(iter(found), world.styles[0])


def extract(extractor: Extractor, makers: Sequence[Callable[[], Image.Image]]) -> np.ndarray:
    """Features of pictures that are made or opened in chunks, `[N, D]`."""
    chunks = [makers[start : start + CHUNK] for start in range(0, len(makers), CHUNK)]
    return np.concatenate([extractor([make() for make in chunk]) for chunk in chunks])
