"""From data of each layout and models of each kind to an adapter that changes what is drawn, in a few steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.drawing import draw, request
from tests.tiny import SD2_UNET, SD15, write_model
from tests.tiny_training import ROWS, losses_of, picture, small, write_imagefolder, write_shard
from vignette.engine.catalogue import AdapterSpec, ModelSpec
from vignette.engine.loader import load_model
from vignette.sur import SURAdapter
from vignette.training.run import train


def imagefolder(folder: Path) -> Path:
    return write_imagefolder(folder)


def parquet(folder: Path) -> Path:
    """Two files, the pictures as `datasets` writes them."""
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    folder.mkdir()
    for part in range(2):
        rows = [(picture(i), *ROWS[i]) for i in range(part, len(ROWS), 2)]
        images, texts, prompts = ([row[k] for row in rows] for k in range(3))
        table = pa.table({"image": [{"bytes": i, "path": None} for i in images], "text": texts, "prompt": prompts})
        pq.write_table(table, folder / f"train-{part}.parquet", row_group_size=2)
    return folder


def webdataset(folder: Path) -> Path:
    folder.mkdir()
    for part in range(2):
        members = {}
        for i in range(part, len(ROWS), 2):
            text, prompt = ROWS[i]
            members |= {f"{i}.png": picture(i), f"{i}.json": json.dumps({"text": text, "prompt": prompt}).encode()}
        write_shard(folder / f"{part:03d}.tar", members)
    return folder


def moved(model: Path, adapter: Path) -> float:
    """How far a picture of `model` is from its own with the adapter, in 8-bit values."""
    assert all(torch.isfinite(value).all() for value in SURAdapter.load(adapter).state_dict().values())
    spec = ModelSpec(id="tiny", path=model, adapters=(AdapterSpec(id="sur", path=adapter),))
    loaded = load_model(spec, torch.device("cpu"))
    plain, adapted = (draw(loaded, request(prompt=ROWS[0][0], adapter=id)).pictures()[0] for id in (None, "sur"))
    return float(np.abs(plain.astype(int) - adapted).mean())


@pytest.mark.parametrize("write", [imagefolder, parquet, webdataset])
def test_every_layout_trains_an_adapter(write: Callable[[Path], Path], sd15_folder: Path, tmp_path: Path) -> None:
    options = small(sd15_folder, write(tmp_path / "data"), tmp_path / "run", learning_rate=1e-2, ema_decay=0.0)
    adapter = train(options, "cpu")
    assert adapter is not None
    assert json.loads((adapter / "training.json").read_text())["examples"] == len(ROWS)
    lines = losses_of(options.output)
    assert len(lines) == options.steps
    assert all(np.isfinite(value) for line in lines for value in line.values())
    assert moved(sd15_folder, adapter) > 0.1


def test_stable_diffusion_2_trains_an_adapter(tmp_path: Path) -> None:
    """It predicts velocities, its UNet counts heads otherwise, and "!" stands behind the end of a prompt."""
    scheduler = SD15 | {"prediction_type": "v_prediction"}
    model = write_model(tmp_path / "model", scheduler=scheduler, seed=11, unet_config=SD2_UNET, pad="!")
    options = small(
        model, write_imagefolder(tmp_path / "data"), tmp_path / "run", learning_rate=1e-2, ema_decay=0.0, sample_every=4
    )
    adapter = train(options, "cpu")
    assert adapter is not None
    assert {"loss/denoise", "loss/match", "loss/align"} <= losses_of(options.output)[-1].keys()
    assert (options.output / "samples" / "step-0000004.png").is_file()
    assert moved(model, adapter) > 0.1
