"""Texts and pictures in one space. CLIPScore and the zero-shot judge need no more than this of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from PIL import Image

from vignette.errors import ConfigError
from vignette.evaluation.instruments import local

BATCH = 32
FLAG = "--clip"
# The safetensors are in a pull request; the main branch has none.
EXAMPLE = "openai/clip-vit-base-patch32 --revision refs/pr/15"
CLIP_SCORE_PREFIX = "A photo depicts "


class Embedder(Protocol):
    """
    A text tower and an image tower.

    Any pair will do: a Transformers CLIP ([`ClipEmbedder`]), or the miniature's own
    ([`~vignette.evaluation.instruments.miniature.MiniatureEmbedder`]). `scale` is the factor that its softmax over
    captions was trained with, `prefix` what CLIPScore puts before a text, `label` names the model to readers.
    """

    id: str
    label: str
    scale: float
    prefix: str

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit vectors `[N, D]`, float32 on the CPU."""
        ...

    def images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Unit vectors `[N, D]`, float32 on the CPU."""
        ...


class ClipEmbedder:
    """A Transformers CLIP (or another dual encoder with its methods, such as SigLIP) from a local folder."""

    prefix = CLIP_SCORE_PREFIX

    def __init__(self, folder: Path, device: torch.device) -> None:
        local.check_folder(folder, FLAG, EXAMPLE)
        from transformers import AutoModelForZeroShotImageClassification

        self._model, self._processor = local.load(AutoModelForZeroShotImageClassification, folder, FLAG, device)
        if not hasattr(self._model, "logit_scale"):
            raise ConfigError(f"{FLAG} {folder}: {type(self._model).__name__} is no dual encoder like CLIP.")
        self.scale = float(self._model.logit_scale.exp())
        self.id = local.folder_id("clip", folder)
        self.label = local.label(folder, self.id)
        self._device = device
        self._known: dict[str, torch.Tensor] = {}

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """See [`Embedder.texts`]. What exceeds the encoder's tokens is cut off, as it is in training."""
        new = list(dict.fromkeys(t for t in texts if t not in self._known))
        # SigLIP was trained with padding to the full length, CLIP does not mind it.
        for start in range(0, len(new), BATCH):
            chunk = new[start : start + BATCH]
            inputs = self._processor(text=chunk, padding="max_length", truncation=True, return_tensors="pt")
            vectors = _pooled(self._model.get_text_features(**inputs.to(self._device)))
            self._known |= dict(zip(chunk, F.normalize(vectors.float(), dim=-1).cpu(), strict=True))
        return torch.stack([self._known[t] for t in texts])

    @torch.inference_mode()
    def images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """See [`Embedder.images`]."""
        vectors = []
        for start in range(0, len(images), BATCH):
            chunk = [image.convert("RGB") for image in images[start : start + BATCH]]
            inputs = self._processor(images=chunk, return_tensors="pt").to(self._device)
            vectors.append(_pooled(self._model.get_image_features(**inputs)).float().cpu())
        return F.normalize(torch.cat(vectors), dim=-1)


def _pooled(output: Any) -> torch.Tensor:
    # Transformers 5 returns an output object whose pooler_output is the projected vector.
    return output if isinstance(output, torch.Tensor) else output.pooler_output
