"""Transformers models from a local folder: safetensors only, nothing fetched, nothing run that came with the weights."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import torch

from vignette.engine.components import check_weights
from vignette.errors import PIP_INSTALL, ConfigError

HF_DOWNLOAD = "gpu-runner/.venv/bin/hf download"


def check_folder(folder: Path, flag: str, example: str) -> str:
    """
    The model's type, from its config.json.

    Args:
        example: What `hf download` is told: a repository, and `--revision` where only that has safetensors.

    Raises:
        ConfigError: No such folder, no configuration, or no safetensors in it.
    """
    try:
        kind = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            f"{flag} {folder}: no Transformers model is there (config.json with a model_type is missing). Download one,"
            f" for instance with `{HF_DOWNLOAD} {example} --local-dir {folder}`."
        ) from None
    if not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"{flag} {folder}: it holds no safetensors, the only weights that are loaded; take a revision that has them"
            f" (as `{HF_DOWNLOAD} {example}` does), or rewrite the model with save_pretrained."
        )
    return str(kind)


def load(auto: Any, folder: Path, flag: str, device: torch.device) -> tuple[Any, Any]:
    """
    Model (in `eval()`, float32, on `device`) and processor of `folder` by an Auto class.

    Raises:
        ConfigError: A model of another kind, weights that are cut off, files that do not fit together, or a library
            that this model asks for and that is not installed.
    """
    from transformers import AutoProcessor

    check_weights(folder)
    try:
        processor = AutoProcessor.from_pretrained(str(folder), local_files_only=True)
        model = auto.from_pretrained(str(folder), local_files_only=True, use_safetensors=True, dtype=torch.float32)
    except ImportError as error:
        raise ConfigError(f"{flag} {folder} cannot be loaded: {_missing_library(error)}") from None
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise ConfigError(f"{flag} {folder} cannot be loaded as {auto.__name__}: {error}") from None
    return model.to(device).eval().requires_grad_(False), processor


def _missing_library(error: ImportError) -> str:
    """Transformers' paragraph about a library, or Python's sentence about a module, as one sentence and the remedy."""
    said = " ".join(str(error).split()).partition(". ")[0]
    named = re.search(r"requires the (\S+) library", said)
    library = error.name or (named[1].lower() if named else "and its name")
    return f"{said}. Install it with {PIP_INSTALL} {library}."


def label(folder: Path, identity: str) -> str:
    """The folder's name and the start of its id's hash, for readers."""
    return f"{folder.resolve().name} ({identity.rpartition('-')[2][:8]})"


def folder_id(kind: str, folder: Path, *settings: object) -> str:
    """An id that changes with the folder's weights, its configuration and the settings."""
    digest = hashlib.sha256(json.dumps([kind, *map(str, settings)]).encode())
    for file in sorted(p for p in folder.iterdir() if p.suffix in (".json", ".txt", ".safetensors", ".model")):
        digest.update(file.name.encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return f"{kind}-{digest.hexdigest()[:24]}"
