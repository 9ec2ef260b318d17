"""Folders that models lie in: what belongs to them, and a part of one as diffusers or transformers loads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from vignette.errors import ConfigError


def files_below(folder: Path, above: tuple[Path, ...] = ()) -> list[Path]:
    """
    All files in `folder` and in what it holds, sorted, under the names that they have there. Linked folders belong to it,
    as those that one model has in common with another; `Path.rglob` leaves them out.

    Args:
        above: The folders that led here, resolved.
    """
    here = folder.resolve()
    if here in above:  # a link to where it lies itself
        return []
    try:
        entries = sorted(folder.iterdir())
    except OSError:  # none, or one of another owner's, like a disk's lost+found
        return []
    deeper = (file for entry in entries if entry.is_dir() for file in files_below(entry, (*above, here)))
    return sorted([*(entry for entry in entries if entry.is_file()), *deeper])


def load_part(kind: Any, folder: Path, dtype: torch.dtype, variant: str | None) -> Any:
    """
    One part of a diffusers folder by its class, on the CPU.

    Raises:
        ConfigError: Weights that do not load, or lack some.
    """
    from diffusers.models import modeling_utils

    # Of a tensor that two shards hold the last one's counts, as where a style has a few of its own: not in any order.
    modeling_utils.HF_ENABLE_PARALLEL_LOADING = False
    try:
        part, info = kind.from_pretrained(
            str(folder),
            use_safetensors=True,
            local_files_only=True,
            dtype=dtype,
            variant=variant,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{folder} cannot be loaded: {error}") from error
    if info["missing_keys"]:
        raise ConfigError(f"{folder}: the weights lack {sorted(info['missing_keys'])[:3]} and perhaps more.")
    return part


def read_json(file: Path) -> dict[str, Any]:
    """Raises ConfigError for a file that is missing or no JSON object."""
    try:
        read = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{file} is missing; copy or download {file.parent.name}/ again.") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from None
    if not isinstance(read, dict):
        raise ConfigError(f"{file} cannot be read: it holds no object.")
    return read
