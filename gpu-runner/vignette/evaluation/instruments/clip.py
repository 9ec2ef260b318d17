"""CLIP as instrument: CLIPScore, and a zero-shot judge that has to prefer the true caption to its contrasts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image

from vignette.evaluation.cases import Case
from vignette.evaluation.instruments.base import Metric, Reading, judged_metrics, reading_of
from vignette.evaluation.instruments.embedder import Embedder
from vignette.evaluation.instruments.questions import contrasts

CLIP_SCORE_WEIGHT = 2.5


class ClipScore:
    """
    CLIPScore of the picture with the narrative and with the keyword prompt, whatever it was drawn from.

    `clip_score` is 2.5 * max(cos, 0) with the embedder's prefix, "A photo depicts " (Hessel et al. 2021,
    arXiv:2104.08718) unless it was trained on other texts;
    `cosine` is the cosine similarity of picture and bare text, in -1..1. Libraries that report 100 * cos differ from
    both, so a figure without its scale and its model cannot be compared.
    """

    name = "clip_score"
    metrics: tuple[Metric, ...] = (
        Metric("clip_score/narrative", "CLIPScore with the narrative, 2.5 max(cos, 0)"),
        Metric("clip_score/keywords", "CLIPScore with the keyword prompt, 2.5 max(cos, 0)"),
        Metric("cosine/narrative", "cosine similarity with the narrative"),
        Metric("cosine/keywords", "cosine similarity with the keyword prompt"),
    )

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.id = f"{self.name}-1-{embedder.id}"
        prefix = f"the prefix “{embedder.prefix}”" if embedder.prefix else "no prefix"
        self.label = (
            f"CLIPScore, {CLIP_SCORE_WEIGHT} max(cos, 0) with {prefix}, and the plain cosine, by {embedder.label}"
        )

    def measure(self, images: Sequence[Image.Image], cases: Sequence[Case]) -> list[Reading]:
        pictures = self._embedder.images(images)
        columns: dict[str, torch.Tensor] = {}
        for kind in ("narrative", "keywords"):
            texts = [getattr(case, kind) for case in cases]
            prefixed = (pictures * self._embedder.texts([self._embedder.prefix + t for t in texts])).sum(-1)
            columns[f"clip_score/{kind}"] = CLIP_SCORE_WEIGHT * prefixed.clamp(min=0)
            columns[f"cosine/{kind}"] = (pictures * self._embedder.texts(texts)).sum(-1)
        return [Reading({name: float(column[i]) for name, column in columns.items()}) for i in range(len(images))]


class ClipJudge:
    """Marks a fact as shown when its caption is nearer to the picture than every contrast (zero-shot classification)."""

    name = "clip"
    metrics = judged_metrics("clip", ("action", "colour", "counting"))

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.id = f"clip-judge-2-{embedder.id}"
        self.label = f"zero-shot judge by {embedder.label}"

    def measure(self, images: Sequence[Image.Image], cases: Sequence[Case]) -> list[Reading]:
        pictures = self._embedder.images(images)
        readings = []
        for picture, case in zip(pictures, cases, strict=True):
            marks = []
            for contrast in contrasts(case):
                near = (self._embedder.scale * self._embedder.texts(contrast.captions) @ picture).softmax(0)
                first = int(near.argmax())
                wanted = contrast.captions[contrast.wanted]
                said = f"“{contrast.captions[first]}” {float(near[first]):.2f} (wanted: “{wanted}”)"
                marks.append((contrast.attribute, first == contrast.wanted, said))
            readings.append(reading_of(self.name, marks))
        return readings
