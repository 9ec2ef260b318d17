"""Which text encoder an adapter was trained for: a few of its weights, kept in the adapter's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from safetensors import safe_open

from vignette.errors import ConfigError

if TYPE_CHECKING:
    from vignette.sur.adapter import SURAdapter

T = TypeVar("T")

WEIGHTS = 16
MATRIX = re.compile(r"layers\.(\d+)\.mlp\.fc1\.weight$")
# Rounding to bf16 changes a weight by at most 0.2 %, to fp16 by 0.05 %.
SAME = 0.01


def identify(encoders: Iterable[torch.nn.Module]) -> list[str]:
    """
    For each of a model's text encoders `WEIGHTS` weights as hexadecimal fp16, 4 digits each: the same text for a folder
    in fp32 and its copy in fp16, sharded or in a single file, and nearly the same numbers for one loaded in bf16.

    They begin the diagonal of the first MLP matrix of the last layer but one: textual inversions change token
    embeddings alone, and trainings move the late layers most, but for the last, whose states SDXL does not use.
    """
    return [_mark(_chosen(dict(encoder.named_parameters()))) for encoder in encoders]


def identify_files(folders: Iterable[Path]) -> list[str]:
    """
    The same from folders of text encoders, of which next to nothing is read.

    Raises:
        ConfigError: A folder has no weights of a CLIP text encoder.
    """
    return [_read(folder) for folder in folders]


def numbers(mark: str) -> np.ndarray:
    """The weights that `identify` wrote. Raises ValueError for a text that it cannot have written."""
    try:
        return np.frombuffer(bytes.fromhex(mark), ">f2").astype(np.float32)
    except ValueError:
        raise ValueError(f"text_encoder holds {mark!r}, which is no weights in hexadecimal; take it out.") from None


def difference(one: Sequence[str], other: Sequence[str]) -> float:
    """How far text encoders are from each other, from 0 (the same) to 1 (not related): relative length of the difference."""
    pairs = [(numbers(a), numbers(b)) for a, b in zip(one, other, strict=False)]
    if len(one) != len(other) or any(a.shape != b.shape for a, b in pairs):
        return 1.0
    return max(min(1.0, float(np.linalg.norm(a - b) / np.linalg.norm(a))) for a, b in pairs)


def check_text_encoder(adapter: SURAdapter, marks: Sequence[str], who: str, model: str, remedy: str) -> None:
    """
    Compares what the adapter was trained for, if its configuration says so, with the text encoders of `model`.

    Args:
        marks: Of the model's text encoders, as `identify` writes them.
        who: What the message calls the adapter.
        remedy: What the message offers besides another model or another adapter.

    Raises:
        ConfigError: They are others.
    """
    known = adapter.config["text_encoder"]
    apart = difference(known, marks) if known else 0.0
    if apart > SAME:
        raise ConfigError(
            f"{who} was trained for another text encoder than that of {model}: their weights differ by {apart:.0%}. Take"
            f" the model that it was trained for, train an adapter for this one, or, if you know that it serves, {remedy}."
        )


def _read(folder: Path) -> str:
    places: dict[str, Path] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as weights:
            places |= {name: file for name in weights.keys() if MATRIX.search(name)}  # noqa: SIM118
    if not places:
        raise ConfigError(f"{folder} holds no weights of a CLIP text encoder; copy or download it again.")
    name = _chosen({name: name for name in places})
    with safe_open(places[name], "pt") as weights:
        return _mark(weights.get_slice(name)[:WEIGHTS, :WEIGHTS])


def _chosen(named: Mapping[str, T]) -> T:
    """What belongs to the first MLP matrix of the last layer but one."""
    layers = {int(found[1]): value for name, value in named.items() if (found := MATRIX.search(name))}
    return layers[sorted(layers)[-2:][0]]


def _mark(matrix: torch.Tensor) -> str:
    return matrix.detach().diagonal()[:WEIGHTS].float().cpu().numpy().astype(">f2").tobytes().hex()
