"""What a run tells while it goes on: a progress bar, `losses.jsonl`, and TensorBoard where it is installed."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from vignette.errors import PIP_INSTALL
from vignette.training.store import write_text


class Journal:
    """
    Args:
        folder: The run's; `losses.jsonl`, `samples/` and `tensorboard/` are made in it.
        start: Steps that are done; lines beyond them, from after the checkpoint, are dropped.
        steps: All steps, for the progress bar's ETA.
        quiet: Write nothing at all, as every process but the first does.
    """

    def __init__(self, folder: Path, start: int, steps: int, quiet: bool = False) -> None:
        self._folder, self._quiet = folder, quiet
        self._bar = tqdm(total=steps, initial=start, desc="Training", unit="step", disable=quiet, dynamic_ncols=True)
        self._board: Any = None
        if quiet:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / "losses.jsonl"
        if self._file.exists():
            lines = self._file.read_text(encoding="utf-8").splitlines(keepends=True)
            write_text(
                self._file, "".join(line for line in lines if line.endswith("\n") and json.loads(line)["step"] <= start)
            )
        self._lines = self._file.open("a", encoding="utf-8", buffering=1)
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            print(
                "TensorBoard is not installed, so losses go to losses.jsonl alone;"
                f" {PIP_INSTALL} -r gpu-runner/requirements-train.txt",
                file=sys.stderr,
            )
        else:
            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)

    def step(self, step: int, numbers: Mapping[str, float]) -> None:
        """Tells the numbers of a finished step, counted from 1."""
        if self._quiet:
            return
        self._lines.write(json.dumps({"step": step, **numbers}) + "\n")
        self._bar.set_postfix({k: f"{v:.4g}" for k, v in numbers.items() if k.startswith("loss")}, refresh=False)
        self._bar.update()
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)

    def samples(self, step: int, grid: np.ndarray, caption: str) -> None:
        """Writes a grid of pictures `[H, W, 3]` uint8."""
        if self._quiet:
            return
        from PIL import Image

        file = self._folder / "samples" / f"step-{step:07d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grid).save(file)
        if self._board is not None:
            self._board.add_image("samples", grid, step, dataformats="HWC")
            self._board.add_text("samples/rows", caption, step)

    def close(self) -> None:
        """Flushes and closes everything."""
        self._bar.close()
        if not self._quiet:
            self._lines.close()
        if self._board is not None:
            self._board.close()
