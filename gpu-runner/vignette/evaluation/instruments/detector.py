"""An open-vocabulary detector as judge of counts: OWL-ViT (arXiv:2205.06230), OWLv2, Grounding DINO."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from vignette.errors import PIP_INSTALL, ConfigError
from vignette.evaluation.cases import Case
from vignette.evaluation.instruments import local
from vignette.evaluation.instruments.base import Reading, judged_metrics, reading_of
from vignette.evaluation.instruments.questions import with_article

FLAG = "--detector"
THRESHOLD = 0.2
OVERLAP = 0.5


class DetectorJudge:
    """Counts the boxes of each thing above `threshold`; of boxes that overlap by more than half, the surest counts."""

    name = "detector"
    metrics = judged_metrics("detector", ("counting",))

    def __init__(self, folder: Path, device: torch.device, threshold: float = THRESHOLD) -> None:
        kind = local.check_folder(folder, FLAG, "google/owlv2-base-patch16-ensemble")
        # Without torchvision its pictures are resized by SciPy, which would be missed when all of them are drawn.
        if kind == "owlv2" and not (find_spec("scipy") or find_spec("torchvision")):
            raise ConfigError(
                f"{FLAG} {folder}: OWLv2 needs the library SciPy: {PIP_INSTALL} -r gpu-runner/requirements-detector.txt."
            )
        from transformers import AutoModelForZeroShotObjectDetection

        self._model, self._processor = local.load(AutoModelForZeroShotObjectDetection, folder, FLAG, device)
        self._device, self._threshold = device, threshold
        self.id = local.folder_id("detector", folder, threshold, OVERLAP, "2")
        self.label = f"boxes above {threshold:g} by {local.label(folder, self.id)}"

    def measure(self, images: Sequence[Image.Image], cases: Sequence[Case]) -> list[Reading]:
        readings = []
        for image, case in zip(images, cases, strict=True):
            marks = []
            for fact in case.facts:
                if fact.count is not None:
                    seen = self.count(image, fact.object)
                    marks.append(("counting", seen == fact.count, f"{seen} {fact.plural} (wanted: {fact.count})"))
            readings.append(reading_of(self.name, marks))
        return readings

    @torch.inference_mode()
    def count(self, image: Image.Image, thing: str) -> int:
        """How many of `thing` are found in one picture."""
        picture = image.convert("RGB")
        inputs = self._processor(text=[[with_article(thing)]], images=picture, return_tensors="pt").to(self._device)
        return len(distinct(*self._boxes(self._model(**inputs), inputs, picture), OVERLAP))

    def _boxes(self, outputs: Any, inputs: Any, picture: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
        arguments: dict[str, Any] = {"target_sizes": [picture.size[::-1]], "threshold": self._threshold}
        if "grounding" in str(getattr(self._model.config, "model_type", "")):
            arguments["input_ids"] = inputs.input_ids
        found = self._processor.post_process_grounded_object_detection(outputs, **arguments)[0]
        return found["boxes"].cpu(), found["scores"].cpu()


def distinct(boxes: torch.Tensor, scores: torch.Tensor, overlap: float) -> list[int]:
    """Greedy non-maximum suppression: indices of `boxes` `[N, 4]` (x0, y0, x1, y1), surest first, IoU above `overlap` dropped."""
    kept: list[int] = []
    for index in scores.argsort(descending=True).tolist():
        if all(_iou(boxes[index], boxes[other]) <= overlap for other in kept):
            kept.append(index)
    return kept


def _iou(a: torch.Tensor, b: torch.Tensor) -> float:
    width, height = (torch.minimum(a[2:], b[2:]) - torch.maximum(a[:2], b[:2])).clamp(min=0).tolist()
    areas = sum(float((box[2] - box[0]) * (box[3] - box[1])) for box in (a, b))
    return width * height / max(areas - width * height, 1e-9)
