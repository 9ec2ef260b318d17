"""A visual question answerer as judge: BLIP (free answers) or ViLT (classes), as in TIFA (arXiv:2303.11897)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from vignette.errors import ConfigError
from vignette.evaluation.cases import Case
from vignette.evaluation.instruments import local
from vignette.evaluation.instruments.base import Reading, judged_metrics, reading_of
from vignette.evaluation.instruments.questions import agrees, questions

FLAG = "--vqa"
BATCH = 16
MAX_NEW_TOKENS = 10


class VqaJudge:
    """Asks about every fact: the colour, the number, and whether the action is seen and none of its contrasts is."""

    name = "vqa"
    metrics = judged_metrics("vqa", ("action", "colour", "counting"))

    def __init__(self, folder: Path, device: torch.device) -> None:
        kind = local.check_folder(folder, FLAG, "Salesforce/blip-vqa-base")
        if kind not in ("blip", "vilt"):
            raise ConfigError(
                f"{FLAG} {folder}: a {kind} is there; BLIP and ViLT are the answerers that are known here."
            )
        from transformers import AutoModelForVisualQuestionAnswering

        self._model, self._processor = local.load(AutoModelForVisualQuestionAnswering, folder, FLAG, device)
        self._classes = _classes(self._model) if kind == "vilt" else None
        self._device = device
        self.id = local.folder_id("vqa", folder, MAX_NEW_TOKENS, "1")
        self.label = f"questions answered by {local.label(folder, self.id)}"

    def measure(self, images: Sequence[Image.Image], cases: Sequence[Case]) -> list[Reading]:
        readings = []
        for image, case in zip(images, cases, strict=True):
            asked = list(questions(case))
            flat = [question for group in asked for question in group]
            answers = dict(zip(map(id, flat), self.answer(image, [q.text for q in flat]), strict=True))
            marks = []
            for group in asked:
                said = "; ".join(f"{q.text} {answers[id(q)]} (wanted: {q.wanted})" for q in group)
                marks.append((group[0].attribute, all(agrees(q, answers[id(q)]) for q in group), said))
            readings.append(reading_of(self.name, marks))
        return readings

    @torch.inference_mode()
    def answer(self, image: Image.Image, texts: Sequence[str]) -> list[str]:
        """One answer for each question about one picture."""
        answers: list[str] = []
        picture = image.convert("RGB")
        for start in range(0, len(texts), BATCH):
            chunk = list(texts[start : start + BATCH])
            inputs = self._processor(
                images=[picture] * len(chunk), text=chunk, padding=True, truncation=True, return_tensors="pt"
            ).to(self._device)
            answers += self._classified(inputs) if self._classes else self._generated(inputs)
        return answers

    def _generated(self, inputs: Any) -> list[str]:
        tokens = self._model.generate(**inputs, max_new_tokens=MAX_NEW_TOKENS, do_sample=False, num_beams=1)
        return [text.strip() for text in self._processor.batch_decode(tokens, skip_special_tokens=True)]

    def _classified(self, inputs: Any) -> list[str]:
        assert self._classes is not None  # noqa: S101  # the caller looked
        return [self._classes[int(i)] for i in self._model(**inputs).logits.argmax(-1)]


def _classes(model: Any) -> dict[int, str]:
    labels = {int(i): str(label) for i, label in model.config.id2label.items()}
    if all(label.startswith("LABEL_") for label in labels.values()):
        raise ConfigError(f"{FLAG}: this ViLT names none of its answers (id2label); take one that was tuned for VQA.")
    return labels
