"""The published adapter's computation and its flaws, written from their description for comparison (arXiv 2305.05189, section 3)."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class Published(nn.Module):
    """State-dict keys and mathematics of the published module: encoder over axis 0, then one attention head, then fc."""

    def __init__(self, width: int, layers: int = 2, heads: int = 4, inner: int = 64, *, fresh: bool = False) -> None:
        super().__init__()
        self.encoder_layer = nn.TransformerEncoderLayer(width, heads, inner)
        self.transformer_encoder = nn.TransformerEncoder(self.encoder_layer, layers, enable_nested_tensor=False)
        self.attention = nn.ModuleDict(
            {
                "query_layer": nn.Linear(width, width),
                "key_layer": nn.Linear(width, width),
                "value_layer": nn.Linear(width, width),
                "output_layer": nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width)),
            }
        )
        self.fc = nn.Linear(width, width)
        if fresh:  # as training starts: only the weight is zeroed
            nn.init.zeros_(self.fc.weight)

    def forward(self, x: torch.Tensor, eta: float = 0.1) -> torch.Tensor:
        """`[B, L, D]`: the encoder takes the batch axis for the sequence, so that prompts see each other."""
        return eta * self.unmixed(x) + (1 - eta) * x

    def unmixed(self, x: torch.Tensor) -> torch.Tensor:
        """What the alignment was computed on when the checkpoint was made; a later commit computes it on `forward`'s."""
        q = self.attention["query_layer"](self.transformer_encoder(x))
        k = self.attention["key_layer"](x)
        weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(x.shape[-1]), dim=-1)
        a = weights @ x + x
        out = a + self.attention["output_layer"](a)
        return self.fc(out)

    def one_prompt(self, x: torch.Tensor, eta: float) -> torch.Tensor:
        """`[1, L, D]`, as in training: a batch axis of length 1 is a sequence of one."""
        assert len(x) == 1
        return self(x, eta)


def states_for_the_unet(adapted: torch.Tensor) -> torch.Tensor:
    """What the published training loop hands to the UNet: a copy that no gradient passes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.tensor(adapted)


def distillation_loss(teacher: torch.Tensor, student: torch.Tensor) -> torch.Tensor:
    """The published loss: KL(student || teacher) over the features, its gradient on the side called target."""
    return F.kl_div(F.log_softmax(teacher, dim=-1), F.softmax(student, dim=-1), reduction="batchmean")


class FrozenResize(nn.Module):
    """The published way from the adapter's width to the teacher's: random, frozen, in no checkpoint."""

    def __init__(self, width: int, teacher: int) -> None:
        super().__init__()
        self.proj = nn.Linear(teacher, width)
        self.requires_grad_(False)


def save_state(folder: Path, step: int, adapter: nn.Module) -> None:
    """What the published training script leaves of a step."""
    torch.save(adapter.state_dict(), folder / f"adapter_checkpoint{step}.pt")


def latest_state(folder: Path) -> str | None:
    """What `--resume_from_checkpoint latest` looks for, taken over from a script that saves folders."""
    found = sorted(name for name in os.listdir(folder) if name.startswith("checkpoint"))
    return found[-1] if found else None


def captions(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """What the published adapter is trained on: each narrative as it is, and never the empty prompt."""
    return [row["text"] for row in rows]


def epoch(rows: Sequence[Mapping[str, str]], prompt2vec: Mapping[str, int]) -> Iterator[int]:
    """A step a row: its prompt's vector is looked up when its turn comes."""
    for row in rows:
        yield prompt2vec[row["prompt"]]


def unchecked(images: list, clip_input: object) -> tuple[list, bool]:
    """What the published demo puts in the place of the pipeline's safety checker."""
    return images, False


def each(items: Sequence[Path]) -> Iterator[Path]:
    """The published loop over what is to be fetched."""
    i = 0
    while i <= len(items):
        yield items[i]
        i += 1


def is_there(name: str, files: Sequence[Path]) -> bool:
    """How the published loop finds out whether a picture was fetched before."""
    return f"image\\{name}" in map(str, files)


def metadata(picture: Path, text: str, prompt: str) -> dict[str, str]:
    """A row as the published notebook writes it."""
    return {"file_name": picture.stem, "text": text, "prompt": prompt}
