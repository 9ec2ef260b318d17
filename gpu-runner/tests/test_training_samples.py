"""Pictures while training: what stands in a grid is what the engine draws."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.drawing import draw, request
from tests.tiny import SD2_UNET, SD15, write_model
from tests.tiny_training import ROWS, small, write_imagefolder, write_xl
from vignette.engine.catalogue import AdapterSpec, ModelSpec
from vignette.engine.loader import load_model
from vignette.sur import SURAdapter
from vignette.training.caches import Caches
from vignette.training.data import read_examples
from vignette.training.frozen import FrozenModel
from vignette.training.run import train
from vignette.training.samples import Samples

CPU = torch.device("cpu")
SIDE, STEPS, GUIDANCE = 32, 3, 5.0


def sd1(folder: Path) -> Path:
    return write_model(folder, scheduler=SD15, seed=7)


def sd2(folder: Path) -> Path:
    scheduler = SD15 | {"prediction_type": "v_prediction"}
    return write_model(folder, scheduler=scheduler, seed=11, unet_config=SD2_UNET, pad="!")


def xl(folder: Path) -> Path:
    """Its empty prompt is zeros."""
    return write_xl(folder)


def xl_that_reads_it(folder: Path) -> Path:
    """Its empty prompt is encoded like any other."""
    index = write_xl(folder) / "model_index.json"
    index.write_text(json.dumps(json.loads(index.read_text()) | {"force_zeros_for_empty_prompt": False}))
    return folder


def write_changing(folder: Path, width: int, adapt_negative: bool) -> SURAdapter:
    """An adapter of `width` that visibly changes prompts, and must not draw with its dropout."""
    torch.manual_seed(1)
    adapter = SURAdapter(width, num_heads=4, adapt_negative=adapt_negative, dropout=0.5)
    torch.nn.init.normal_(adapter.encoder.proj_out.weight, std=0.5)
    adapter.save_pretrained(folder)
    return adapter


def cut(grid: np.ndarray) -> list[np.ndarray]:
    """A grid's pictures, row by row."""
    return [picture for row in np.split(grid, len(grid) // SIDE) for picture in np.split(row, 3, axis=1)]


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of 8-bit values, the mean."""
    return float(np.abs(ours.astype(int) - theirs).mean())


def served(folder: Path, adapter: Path, rows: list[tuple[str, str]]) -> np.ndarray:
    """A grid as the engine draws it."""
    model = load_model(ModelSpec(id="tiny", path=folder, adapters=(AdapterSpec(id="sur", path=adapter),)), CPU)
    grid = []
    for row, (narrative, keywords) in enumerate(rows):
        columns = (narrative, None), (narrative, "sur"), (keywords, None)
        asked = [
            request(prompt=prompt, adapter=id, seed=row, num_inference_steps=STEPS, guidance_scale=GUIDANCE)
            for prompt, id in columns
        ]
        grid.append(np.concatenate([draw(model, r).pictures()[0] for r in asked], axis=1))
    return np.concatenate(grid)


@pytest.mark.parametrize("adapt_negative", [False, True], ids=["prompt", "both"])
@pytest.mark.parametrize("write", [sd1, sd2, xl, xl_that_reads_it])
def test_a_grid_shows_what_is_served(write: Callable[[Path], Path], adapt_negative: bool, tmp_path: Path) -> None:
    folder = write(tmp_path / "model")
    caches = Caches(tmp_path / "cache", FrozenModel(folder, CPU), SIDE)
    examples = read_examples(write_imagefolder(tmp_path / "data"))[:2]
    caches.fill_prompts(["", *(text for row in ROWS[:2] for text in row)])
    adapter = write_changing(tmp_path / "adapter", sum(caches.frozen.widths), adapt_negative).train()
    grid = Samples(caches, examples, STEPS, GUIDANCE).grid(adapter)
    assert adapter.training
    cells = list(zip(*map(cut, (grid, served(folder, tmp_path / "adapter", ROWS[:2]))), strict=True))
    # The cache's half precision is all that lies between.
    assert max(apart(ours, theirs) for ours, theirs in cells) < 0.1
    for first in (0, 3):
        assert min(apart(a[0], b[0]) for a, b in combinations(cells[first : first + 3], 2)) > 1


def test_a_run_s_grid_is_drawn_with_what_it_exports(sd15_folder: Path, tmp_path: Path) -> None:
    """With the averaged weights, not with those that the last step left."""
    options = small(
        sd15_folder, write_imagefolder(tmp_path / "data"), tmp_path, learning_rate=1e-2, warmup_steps=0, ema_decay=0.9,
        sample_every=4, sample_count=1, sample_steps=STEPS, sample_guidance=GUIDANCE,
    )  # fmt: skip
    train(options, "cpu")
    _, adapted, _ = cut(np.array(Image.open(tmp_path / "samples" / "step-0000004.png")))
    last = tmp_path / "checkpoints" / "step-0000004"
    exported, raw = (cut(served(sd15_folder, p / "adapter", ROWS[:1]))[1] for p in (tmp_path, last))
    assert apart(adapted, exported) < 0.01 < apart(adapted, raw)
