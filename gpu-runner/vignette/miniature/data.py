"""The rendered training set: `images.npy` (uint8, N x 128 x 128 x 3 for each style) and `scenes.jsonl` (N), made once per work folder."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .render import SIZE, render
from .world import FIRST, Group, Scene, World, sample_scene, world_named

_CHUNK = 500
# Training pictures are rendered from seeds that count from 0.
_ELSEWHERE = 5_000_000


def scene_to_dict(scene: Scene) -> dict:
    """A scene as plain JSON values; `scene_from_dict` reads it back."""
    return asdict(scene)


def scene_from_dict(value: dict) -> Scene:
    """The scene that `scene_to_dict` wrote."""
    return Scene(tuple(Group(**g) for g in value["groups"]), value["place"])


def scene_at(index: int, seed: int, world: World = FIRST) -> Scene:
    """The training scene number `index` of the data set with `seed`."""
    return sample_scene(random.Random(f"{seed}/{index}"), world=world)


def _render_chunk(job: tuple[str, int, int, int, int, str, str]) -> int:
    path, start, stop, row, seed, name, style = job
    world = world_named(name)
    images = np.lib.format.open_memmap(path, mode="r+")
    for index in range(start, stop):
        images[row + index] = np.asarray(render(scene_at(index, seed, world), index, world, style))
    return stop - start


def build(
    folder: Path, size: int, seed: int, workers: int | None = None, world: World = FIRST, styles: tuple[str, ...] = ()
) -> None:
    """Render `size` training scenes of `world` into `folder`, unless they are there already: all of the first of `styles`
    (default: the world's), then all of the next. The scenes of a seed are the same in every style.
    """
    done = folder / "scenes.jsonl"
    if done.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "images.npy"
    styles = styles or world.styles
    total = size * len(styles)
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(total, SIZE, SIZE, 3)).flush()
    jobs = [
        (str(path), start, min(start + _CHUNK, size), size * number, seed, world.name, style)
        for number, style in enumerate(styles)
        for start in range(0, size, _CHUNK)
    ]
    count = 0
    with multiprocessing.get_context("spawn").Pool(workers or os.cpu_count()) as pool:
        for rendered in pool.imap_unordered(_render_chunk, jobs):
            count += rendered
            print(f"rendered {count}/{total}", flush=True)
    partial = folder / "scenes.jsonl.part"
    partial.write_text("".join(json.dumps(scene_to_dict(scene_at(i, seed, world))) + "\n" for i in range(size)))
    partial.rename(done)


def draw(scenes: list[Scene], world: World = FIRST, style: str = "day", workers: int | None = None) -> np.ndarray:
    """A picture of each of `scenes`, uint8 [N, 128, 128, 3], in memory; of no picture of the training set."""
    jobs = [(scene, _ELSEWHERE + i, world.name, style) for i, scene in enumerate(scenes)]
    if len(jobs) < _CHUNK:
        return np.stack([_draw(job) for job in jobs])
    with multiprocessing.get_context("spawn").Pool(workers or os.cpu_count()) as pool:
        return np.stack(pool.map(_draw, jobs, chunksize=100))


def _draw(job: tuple[Scene, int, str, str]) -> np.ndarray:
    scene, seed, name, style = job
    return np.asarray(render(scene, seed, world_named(name), style))


def load(folder: Path) -> tuple[np.ndarray, list[Scene]]:
    """The memory-mapped images of all styles, and the scene of each."""
    scenes = [scene_from_dict(json.loads(line)) for line in (folder / "scenes.jsonl").read_text().splitlines()]
    images = np.load(folder / "images.npy", mmap_mode="r")
    return images, scenes * (len(images) // len(scenes))
