"""The miniature's world as SURD triples: pictures, narratives and keyword prompts, for trying out adapter training."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

from tqdm import tqdm

from .data import scene_at
from .language import tell
from .render import render
from .world import FIRST, World


def write(folder: Path, count: int, seed: int = 1, world: World = FIRST, style: str = "day") -> None:
    """Write `count` training scenes as an imagefolder: `000000.png` and so on, and `metadata.jsonl` with `file_name`,
    `text` (a narrative) and `prompt` (the keyword prompt). Held-out combinations and sentence shapes are not among them.

    Raises FileExistsError when `folder` holds a `metadata.jsonl` already.
    """
    target = folder / "metadata.jsonl"
    if target.exists():
        raise FileExistsError(f"{target} is there already; name another folder")
    folder.mkdir(parents=True, exist_ok=True)
    rng = random.Random(seed)
    rows = []
    for index in tqdm(range(count), desc="Pictures", unit="picture", mininterval=0.5):
        scene, name = scene_at(index, seed, world), f"{index:06}.png"
        render(scene, index, world, style).save(folder / name)
        rows.append(
            {"file_name": name, "text": tell("second", scene, rng, vocabulary="rare"), "prompt": scene.keywords}
        )
    # Last, and at once: a folder with metadata is a whole one.
    partial = target.with_suffix(".part")
    partial.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    os.replace(partial, target)
