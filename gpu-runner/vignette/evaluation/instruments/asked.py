"""The instruments that the command's options ask for, loaded, and sentences about those that they leave out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from vignette.evaluation.instruments.base import Instrument
    from vignette.evaluation.instruments.embedder import Embedder
    from vignette.evaluation.reference import Extractor

WEIGHTS = Path(__file__).resolve().parents[3] / "miniature" / "weights"
JUDGE = WEIGHTS / "judge"
# Options whose instruments the miniature's set does without, since it has its own judge.
GENERAL = (
    ("vqa", "action, colour and counting judged by questions"),
    ("clip", "CLIPScore and the zero-shot judge"),
    ("detector", "counting by boxes"),
)


@dataclass
class Asked:
    """
    Attributes:
        extractor: Of the features that KID is taken on, None without a network for them; `features` names it.
        absent: What is not measured, and how it would be.
    """

    instruments: list[Instrument] = field(default_factory=list)
    extractor: Extractor | None = None
    features: str = ""
    absent: list[str] = field(default_factory=list)


def load_instruments(options: argparse.Namespace, miniature: bool, device: torch.device) -> Asked:
    """
    Args:
        miniature: Whether all cases are of the miniature's set.

    Raises:
        ConfigError: A folder without such a model, or a library that is missing.
    """
    asked = Asked()
    if miniature or options.judge:
        _add_miniature(asked, options.judge or JUDGE, with_clip_score=miniature and not options.clip)
    if options.vqa:
        from vignette.evaluation.instruments.vqa import VqaJudge

        asked.instruments.append(VqaJudge(options.vqa, device))
    if options.clip:
        from vignette.evaluation.instruments.clip import ClipJudge, ClipScore
        from vignette.evaluation.instruments.embedder import ClipEmbedder

        embedder = ClipEmbedder(options.clip, device)
        asked.instruments += [ClipJudge(embedder), ClipScore(embedder)]
        if asked.extractor is None:
            asked.extractor, asked.features = _embeddings(embedder), f"the embeddings of {embedder.label}"
    if options.detector:
        from vignette.evaluation.instruments.detector import DetectorJudge

        asked.instruments.append(DetectorJudge(options.detector, device))
    if options.quality:
        from vignette.evaluation.instruments.quality import ImageQuality

        asked.instruments.append(ImageQuality(options.quality, device))
    if not miniature:
        missing = [(flag, what) for flag, what in GENERAL if not getattr(options, flag)]
        asked.absent = [f"{what}: name a model's folder with --{flag}." for flag, what in missing]
    return asked


def _add_miniature(asked: Asked, folder: Path, with_clip_score: bool) -> None:
    from vignette.evaluation.instruments.clip import ClipScore
    from vignette.evaluation.instruments.miniature import MiniatureEmbedder, MiniatureJudge

    judge = MiniatureJudge(folder)
    asked.instruments.append(judge)
    asked.extractor, asked.features = judge.features, f"the backbone of {judge.label}"
    if with_clip_score:
        asked.instruments.append(ClipScore(MiniatureEmbedder(WEIGHTS)))


def _embeddings(embedder: Embedder) -> Extractor:
    def extract(images: Sequence[Any]) -> Any:
        return embedder.images(images).numpy()

    return extract
