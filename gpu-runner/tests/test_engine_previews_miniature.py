"""What the miniature's previews look like beside the picture that they become."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from tests.drawing import draw, request
from vignette.engine.catalogue import read_catalogue
from vignette.engine.events import Preview
from vignette.engine.loader import load_model

MODELS_TOML = Path(__file__).parents[1] / "models.toml"


def test_a_preview_nears_the_picture() -> None:
    spec = read_catalogue(MODELS_TOML).default
    model = load_model(spec, torch.device("cpu"))
    asked = request(
        model=spec.id, prompt="2cat, purple cat, sleeping, beach background", width=128, height=128,
        num_inference_steps=10, preview_every=3,
    )  # fmt: skip
    drawing = draw(model, asked)
    [picture] = drawing.pictures()
    previews = [event.picture for event in drawing.events["a"] if isinstance(event, Preview)]
    height, width, _ = previews[0].shape
    small = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.BOX), dtype=float)
    likeness = [np.corrcoef(small.ravel(), preview.ravel().astype(float))[0, 1] for preview in previews]
    assert len(previews) == 3
    assert likeness == sorted(likeness)
    assert likeness[-1] > 0.9
