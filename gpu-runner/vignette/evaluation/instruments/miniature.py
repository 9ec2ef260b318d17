"""The miniature's own instruments: its judge, and its text encoder with the image head for CLIPScore."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from vignette.errors import ConfigError
from vignette.evaluation.cases import MINIATURE, Case, scene_of
from vignette.evaluation.instruments import local
from vignette.evaluation.instruments.base import Reading, judged_metrics

ATTRIBUTES = ("object", "colour", "count", "action", "place")


class MiniatureJudge:
    """Marks the share of a scene's groups that are right, attribute by attribute; other sets' cases get no marks."""

    name = "miniature"
    metrics = judged_metrics("miniature", ATTRIBUTES)

    def __init__(self, folder: Path) -> None:
        from vignette.miniature.judge_net import Judge

        try:
            self.judge = Judge.load(folder)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"The miniature's judge in {folder} cannot be loaded: {error}") from None
        self.id = local.folder_id("miniature", folder, "1")
        self.label = f"the miniature's {local.label(folder, self.id)}"

    def measure(self, images: Sequence[Image.Image], cases: Sequence[Case]) -> list[Reading]:
        from vignette.miniature.judge_net import marks

        readings = []
        for verdict, case in zip(self.judge.read(list(images)), cases, strict=True):
            if case.group != MINIATURE:
                readings.append(Reading({}))
                continue
            given = marks(scene_of(case), verdict)
            seen = [
                " ".join(filter(None, (str(o.count), o.colour, o.object, o.action))) + f" {o.score:.2f}"
                for o in verdict.objects
            ]
            said = (f"sees {', '.join(seen) or 'nothing'}; {verdict.place} {verdict.place_score:.2f}",)
            readings.append(Reading({f"{self.name}/{a}": given[a] for a in ATTRIBUTES}, said))
        return readings

    @torch.inference_mode()
    def features(self, images: Sequence[Image.Image]) -> np.ndarray:
        """The backbone's maps averaged over the picture, `[N, D]` float32: what KID of the miniature is taken on."""
        from vignette.miniature.vae import to_tensor

        rows = []
        for start in range(0, len(images), 64):
            pixels = [np.asarray(i.convert("RGB").resize((128, 128))) for i in images[start : start + 64]]
            rows.append(self.judge.net.backbone(to_tensor(np.stack(pixels))).float().mean((2, 3)))
        return torch.cat(rows).numpy()


class MiniatureEmbedder:
    """The contrastive pair that the miniature's text encoder was trained in, in `weights` (its `day`, `judge` and `clip`).

    It has learnt scenes and nothing else, so texts go in as they are, without CLIPScore's prefix. See
    [`~vignette.evaluation.instruments.embedder.Embedder`].
    """

    prefix = ""

    def __init__(self, weights: Path) -> None:
        from transformers import CLIPTextModel

        from vignette.miniature import tokenizer
        from vignette.miniature.clip import load_pair
        from vignette.miniature.judge_net import Judge

        try:
            self._judge = Judge.load(weights / "judge").net
            self._tokenizer = tokenizer.load(weights / "day" / "tokenizer")
            encoder = CLIPTextModel.from_pretrained(weights / "day" / "text_encoder", local_files_only=True).float()
            self._pair = load_pair(weights / "clip", encoder)
        except (OSError, ValueError, RuntimeError) as error:
            raise ConfigError(f"The miniature's pair of encoders in {weights} cannot be loaded: {error}") from None
        self.scale = float(self._pair.log_scale.exp())
        self.id = local.folder_id(
            "miniature-clip", weights / "clip", local.folder_id("text", weights / "day" / "text_encoder")
        )
        self.label = f"the miniature's {local.label(weights / 'clip', self.id)}"

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Unit vectors `[N, 256]`."""
        from vignette.miniature.text import LENGTH

        inputs = self._tokenizer(list(texts), padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
        return self._pair.embed_text(inputs.input_ids)

    @torch.inference_mode()
    def images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        """Unit vectors `[N, 256]` of pictures of any size."""
        from vignette.miniature.vae import to_tensor

        pixels = [np.asarray(i.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS)) for i in images]
        return self._pair.embed_image(self._judge.features(to_tensor(np.stack(pixels))))
