"""Checkpoints of a run: the adapter, its average, the optimiser and what was asked for; safetensors and JSON only."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from diffusers.training_utils import EMAModel
from safetensors.torch import load_file, save_file
from torch import nn

from vignette.errors import ConfigError
from vignette.sur import SURAdapter
from vignette.training.optim import Optimisers
from vignette.training.options import Options

# What may differ between a run and its resumption without changing what is learnt. Model, data and teacher are compared
# by content instead.
FREE = {
    "model", "data", "output", "cache", "teacher", "start", "save_every", "keep", "sample_every", "sample_count",
    "sample_steps", "sample_guidance", "gradient_checkpointing", "micro_batch_size", "asked",
}  # fmt: skip
# What the names of AdamW's and Muon's states begin with.
PARTS = ("", "muon.")


def identity(options: Options, contents: Mapping[str, str]) -> dict[str, Any]:
    """What a resumed run has to share with the one it resumes; `contents` are hashes of model, data and teacher."""
    asked = {key: value for key, value in asdict(options).items() if key not in FREE}
    return asked | {f"content of --{name}": value for name, value in contents.items()}


def save(
    root: Path, step: int, adapter: nn.Module, ema: EMAModel | None, optimisers: Optimisers,
    same: Mapping[str, Any], keep: int,
) -> Path:  # fmt: skip
    """
    Writes `root/step-<step>` under another name, renames it, and removes all but the last `keep`. `adapter` is a
    SURAdapter, as it is or wrapped by `DistributedDataParallel` or `torch.compile`.
    """
    folder, partial = root / f"step-{step:07d}", root / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    bare = _bare(adapter)
    bare.save_pretrained(partial / "adapter")
    if ema is not None:
        save_average(bare, ema, partial / "ema")
    save_file(_moments(optimisers), partial / "optimizer.safetensors")
    (partial / "state.json").write_text(json.dumps({"step": step, "run": same}, indent=1) + "\n", encoding="utf-8")
    for file in (*(f for f in partial.rglob("*") if f.is_file()), partial):
        _to_disk(file)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    _to_disk(root)
    for old in _all(root)[:-keep]:
        shutil.rmtree(old)
    return folder


def save_average(adapter: SURAdapter, ema: EMAModel, folder: Path) -> None:
    """Writes the averaged weights as an adapter of their own."""
    parameters = list(adapter.parameters())
    ema.store(parameters)
    ema.copy_to(parameters)
    try:
        adapter.save_pretrained(folder)
    finally:
        ema.restore(parameters)


def latest(root: Path) -> Path | None:
    """The last whole checkpoint of a run."""
    found = _all(root)
    return found[-1] if found else None


def check(folder: Path, same: Mapping[str, Any]) -> int:
    """
    The steps done by a checkpoint's run, having read its `state.json` alone.

    Raises:
        ConfigError: A damaged checkpoint, or one of a run that was asked for something else.
    """
    with _whole(folder):
        state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        step, run = int(state["step"]), dict(state["run"])
    wanted = json.loads(json.dumps(dict(same)))
    other = [f"{k} was {run.get(k)!r}, now {wanted.get(k)!r}" for k in wanted if run.get(k) != wanted.get(k)]
    if other:
        raise ConfigError(
            f"{folder} belongs to another run: {'; '.join(other[:4])}. Ask for the same, name another --output,"
            " or begin anew from its weights with --start."
        )
    return step


def load(
    folder: Path, adapter: nn.Module, ema: EMAModel | None, optimisers: Optimisers, same: Mapping[str, Any]
) -> int:
    """
    Restores what `save` wrote, whether it was wrapped there or is here, and returns the steps done.

    Raises:
        ConfigError: A damaged checkpoint, or one of a run that was asked for something else.
    """
    step = check(folder, same)
    with _whole(folder):
        saved = SURAdapter.load(folder / "adapter").state_dict()
        average = SURAdapter.load(folder / "ema") if (folder / "ema").is_dir() else None
        moments = load_file(folder / "optimizer.safetensors")
    bare = _bare(adapter)
    bare.load_state_dict(saved)
    if ema is not None and average is not None:
        ema.shadow_params = [p.detach().clone().to(bare.device) for p in average.parameters()]
        ema.optimization_step = step
    states = optimisers.state_dict()
    for prefix, state in zip(PARTS, states, strict=False):
        state["state"] = {}
        for key, value in moments.items():
            index, _, name = key.removeprefix(prefix).partition(".")
            if key.startswith(prefix) and index.isdecimal():
                state["state"].setdefault(int(index), {})[name] = value
    optimisers.load_state_dict(states)
    return step


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a cut file shows in many ways
        raise ConfigError(
            f"{folder} cannot be resumed from ({error}). Delete it to go on from the one before."
        ) from None


def _bare(adapter: nn.Module) -> SURAdapter:
    """The wrappers have no `save_pretrained`, and names of their own for the weights."""
    return extract_model_from_parallel(adapter, keep_torch_compile=False)


def _moments(optimisers: Optimisers) -> dict[str, torch.Tensor]:
    return {
        f"{prefix}{i}.{name}": value.detach().cpu().contiguous()
        for prefix, part in zip(PARTS, optimisers.state_dict(), strict=False)
        for i, held in part["state"].items()
        for name, value in held.items()
    }


def _to_disk(path: Path) -> None:
    """Waits until a file or a folder's list of names would survive a power cut."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _all(root: Path) -> list[Path]:
    return sorted(p for p in root.glob("step-*") if (p / "state.json").is_file())
