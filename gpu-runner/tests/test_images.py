"""Files carry their recipe and say that a model made them."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.drawing import request
from vignette.engine.catalogue import ProvenanceSpec
from vignette.engine.images import EXIF_IFD, USER_COMMENT, encode_image
from vignette.engine.loader import LoadedModel
from vignette.engine.request import GenerationInput
from vignette.provenance.inspect import main
from vignette.provenance.recipe import recipe
from vignette.provenance.xmp import TRAINED_ALGORITHMIC_MEDIA
from vignette.surd.infotext import parse_infotext

PROMPT = 'two cats & "dogs" <on> the\nbeach, \x07 ☂ 猫 🏖️ ]]> </vignette:recipe> (word:1.2)'
FORMATS = ["png", "jpeg", "webp"]


def picture() -> np.ndarray:
    ramp = np.linspace(0, 255, 32, dtype=np.uint8)
    return np.stack([np.tile(ramp, (24, 1)), np.full((24, 32), 128, np.uint8), np.tile(ramp[::-1], (24, 1))], axis=-1)


def inspected(capsys: pytest.CaptureFixture[str], file: Path) -> dict[str, Any]:
    assert main([str(file)]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_tells_its_whole_recipe(
    kind: str, model: LoadedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = request(prompt=PROMPT, negative_prompt="fog", seed=7, adapter="sur", loras=(("ink", -0.5),))
    made = recipe(asked, 2, model)
    file = tmp_path / f"picture.{kind}"
    file.write_bytes(encode_image(picture(), kind, made))
    with Image.open(file) as image:
        assert (image.format, image.size) == (kind.upper(), (32, 24))
    told = inspected(capsys, file)
    assert told["recipe"] == made
    assert told["digital_source_type"] == TRAINED_ALGORITHMIC_MEDIA
    assert made["seed"] == 9
    assert made["model_version"] == model.version
    assert {"vignette", "diffusers", "torch"} == set(made["software"])


def test_a_recipe_asks_for_the_same_picture(model: LoadedModel) -> None:
    asked = request(prompt=PROMPT, seed=7, num_images=1, adapter="sur", adapter_scale=0.5)
    made = recipe(asked, 0, model)
    again = GenerationInput(**{name: made[name] for name in GenerationInput.model_fields if name in made})
    for name in ("prompt", "negative_prompt", "seed", "scheduler", "adapter", "adapter_scale", "guidance_scale"):
        assert getattr(again, name) == getattr(asked, name)


@pytest.mark.parametrize("kind", FORMATS)
def test_prompts_can_be_kept_out(kind: str, model: LoadedModel, tmp_path: Path) -> None:
    secretive = replace(model, spec=model.spec.model_copy(update={"provenance": ProvenanceSpec(prompts="hash")}))
    made = recipe(request(prompt="my secret prompt", negative_prompt="not this"), 0, secretive)
    data = encode_image(picture(), kind, made)
    for words in ("my secret prompt", "not this"):
        assert words.encode() not in data
        assert words.encode("utf-16-be") not in data
    assert made["prompt_sha256"].encode() in data
    assert TRAINED_ALGORITHMIC_MEDIA.encode() in data


@pytest.mark.parametrize("kind", FORMATS)
def test_other_programs_can_read_the_prompt(kind: str, model: LoadedModel) -> None:
    asked = request(prompt="two cats, beach", negative_prompt="fog", seed=7)
    image = Image.open(io.BytesIO(encode_image(picture(), kind, recipe(asked, 0, model))))
    if kind == "png":
        text = image.text["parameters"]
    else:
        comment = image.getexif().get_ifd(EXIF_IFD)[USER_COMMENT]
        assert comment.startswith(b"UNICODE\0")
        text = comment[8:].decode("utf-16-be")
    read = parse_infotext(text)
    assert (read.prompt, read.negative_prompt) == ("two cats, beach", "fog")
    assert read.parameters["seed"] == 7
    assert read.parameters["num_inference_steps"] == 5
    assert read.parameters["guidance_scale"] == 4.0


def test_inspect_names_what_is_no_picture_and_what_has_no_recipe(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("no picture")
    Image.fromarray(picture()).save(tmp_path / "bare.png")
    assert main([str(tmp_path / "bare.png")]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["recipe"] is None
    assert "carries no recipe" in told.err
    assert main([str(tmp_path / "notes.txt"), str(tmp_path / "none.png")]) == 2
    told = capsys.readouterr()
    assert "notes.txt is no picture" in told.err
    assert "none.png cannot be read" in told.err


@pytest.mark.parametrize("recipe", ["{", "[]", "", '"text"'])
def test_a_recipe_that_is_none_is_none(recipe: str, tmp_path: Path) -> None:
    xmp = f"<x:xmpmeta><vignette:recipe>{recipe}</vignette:recipe></x:xmpmeta>"
    Image.fromarray(picture()).save(tmp_path / "odd.webp", xmp=xmp.encode())
    assert main([str(tmp_path / "odd.webp")]) == 1


def test_png_keeps_every_pixel(model: LoadedModel) -> None:
    data = encode_image(picture(), "png", recipe(request(), 0, model))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), picture())


@pytest.mark.parametrize("kind", ["jpeg", "webp"])
def test_lossy_formats_stay_close(kind: str, model: LoadedModel) -> None:
    data = encode_image(picture(), kind, recipe(request(), 0, model))
    decoded = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.abs(decoded.astype(int) - picture().astype(int)).mean() < 4


def test_the_longest_prompt_finds_room_in_a_jpeg(model: LoadedModel) -> None:
    """A JPEG's segments hold 64 KiB, and a prompt's characters may each take twelve bytes in it."""
    asked = request(prompt="\U0001f3d6" * model.spec.limits.max_prompt_chars, negative_prompt="猫" * 2000)
    image = Image.open(io.BytesIO(encode_image(picture(), "jpeg", recipe(asked, 0, model))))
    assert asked.prompt.encode("utf-16-be") in image.info["exif"]
    longer = request(prompt="\U0001f3d6" * 20_000)
    made = recipe(longer, 0, model)
    assert "prompt" not in made
    assert encode_image(picture(), "jpeg", made)
