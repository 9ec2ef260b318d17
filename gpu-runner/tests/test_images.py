"""Files carry their recipe and say that a model made them."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from tests.drawing import request
from vignette.engine.images import IMAGE_DESCRIPTION, encode_image, recipe


def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, 32, dtype=np.uint8)
    return np.stack([np.tile(ramp, (24, 1)), np.full((24, 32), 128, np.uint8), np.tile(ramp[::-1], (24, 1))], axis=-1)


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_a_file_has_its_recipe_and_the_mark(kind: str) -> None:
    made = recipe(request(prompt="my secret prompt", seed=7, adapter="sur"), 2, "version")
    data = encode_image(picture(), kind, made)
    image = Image.open(io.BytesIO(data))
    assert image.format == kind.upper()
    assert image.size == (32, 24)
    text = image.text["vignette"] if kind == "png" else image.getexif()[IMAGE_DESCRIPTION]
    assert json.loads(text) == made
    assert made["seed"] == 9
    assert b"trainedAlgorithmicMedia" in data
    assert b"my secret prompt" not in data


def test_png_keeps_every_pixel() -> None:
    data = encode_image(picture(), "png", {})
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), picture())


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_lossy_formats_stay_close(kind: str) -> None:
    decoded = np.asarray(Image.open(io.BytesIO(encode_image(picture(), kind, {}))).convert("RGB"))
    assert np.abs(decoded.astype(int) - picture().astype(int)).mean() < 4
