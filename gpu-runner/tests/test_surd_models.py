"""Captioners and CLIP models of transformers, small random ones through the same path as the published ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoProcessor

from tests.surd import builder, picture, table, write_folder
from tests.surd_models import WORDS, write_blip, write_chat, write_clip, write_git, write_pair
from vignette.cli import main
from vignette.errors import ConfigError
from vignette.surd import stages
from vignette.surd.caption import caption_stage
from vignette.surd.models import identity
from vignette.surd.score import score_stage
from vignette.surd.sources.folder import Folder
from vignette.surd.stages import load_upright

WRITERS = {"blip": write_blip, "git": write_git, "pair": write_pair, "chat": write_chat}


@pytest.fixture(scope="module", params=WRITERS)
def captioner(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of every way in which transformers' captioners are asked."""
    return WRITERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat(tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_blip(tmp_path_factory.mktemp("blip"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture
def pictures(tmp_path: Path) -> list[dict[str, str]]:
    for number in range(4):
        (tmp_path / str(number)).write_bytes(picture(number, size=(40 + number, 50)))
    return [{"path": str(tmp_path / str(number))} for number in range(4)]


def captions(model: Path, pictures: list[dict[str, str]], **options: object) -> list[str]:
    stage = caption_stage(str(model), **options)  # type: ignore[arg-type]
    return [row["text"] for row in stage.make(**stage.arguments)(pictures)]


def test_captions_are_the_same_alone_and_in_company(captioner: Path, pictures: list[dict[str, str]]) -> None:
    together = captions(captioner, pictures, max_new_tokens=8)
    assert together == [captions(captioner, [row], max_new_tokens=8)[0] for row in pictures]
    assert len(set(together)) > 1
    for text in together:
        assert 0 < len(text.split()) <= 8
        assert set(text.split()) <= {*WORDS}


@pytest.mark.parametrize("write", [write_blip, write_git])
def test_a_caption_may_be_begun(write: Callable[[Path], Path], tmp_path: Path, pictures: list[dict[str, str]]) -> None:
    begun = captions(write(tmp_path / "model"), pictures, question="the picture of", max_new_tokens=16)
    assert all(text.startswith("the picture of ") for text in begun)
    assert len(set(begun)) > 1


def test_a_chat_model_is_told_what_to_do_and_only_its_answer_counts(chat: Path, pictures: list[dict[str, str]]) -> None:
    one, two = (captions(chat, pictures, question=q, max_new_tokens=8) for q in ("red dog and cat", "three blue bird"))
    assert one != two
    assert not any(text.startswith("red dog and cat") for text in one)
    assert all(len(text.split()) <= 8 for text in one)


def test_a_model_that_takes_no_words_says_so_before_anything_is_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, model = write_folder(tmp_path / "in", 1, text=False), write_pair(tmp_path / "pair")
    arguments = ["--from-folder", str(folder), "--captioner", str(model), "--caption-prompt", "a picture of"]
    assert main(["surd", "build", str(tmp_path / "surd"), *arguments]) == 2
    assert "leave --caption-prompt out" in capsys.readouterr().err
    assert not (tmp_path / "surd").exists()


def test_scores_are_clips_cosines(clip: Path, pictures: list[dict[str, str]]) -> None:
    stage = score_stage(str(clip))
    rows = [row | {"text": text} for row, text in zip(pictures, ["a cat", "a dog", "x " * 300, ""], strict=True)]
    scores = [row["cosine"] for row in stage.make(**stage.arguments)(rows)]
    model, processor = AutoModel.from_pretrained(clip), AutoProcessor.from_pretrained(clip)
    inputs = processor(images=[load_upright(rows[0]["path"])], text=["a cat"], return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits_per_image.item() / model.logit_scale.exp().item()
    assert scores[0] == pytest.approx(expected, abs=1e-4)
    assert all(-1 <= score <= 1 for score in scores)


def test_a_build_with_both(blip: Path, clip: Path, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "in", 3, text=False)
    arguments = ["--from-folder", str(folder), "--min-side", "16", "--language", "any", "--caption-tokens", "8"]
    models = ["--captioner", str(blip), "--clip", str(clip), "--min-clip-text", "-1", "--batch-size", "2"]
    assert main(["surd", "build", str(tmp_path / "surd"), *arguments, *models]) == 0
    rows = table(tmp_path / "surd/provenance.jsonl")
    assert all(row["captioned"] and -1 <= row["clip_text"] <= 1 for row in rows)
    assert "3 narratives were written by the captioner" in (tmp_path / "surd/README.md").read_text()


def test_pickled_weights_are_refused(blip: Path, tmp_path: Path, pictures: list[dict[str, str]]) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(blip, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({}, pickled / "pytorch_model.bin")
    folder = Folder(write_folder(tmp_path / "in", 1, text=False))
    with pytest.raises(ConfigError, match="--captioner .*pickled cannot be loaded"):
        builder(tmp_path / "surd", folder, caption=caption_stage(str(pickled))).run()


@pytest.mark.parametrize("option", ["--captioner", "--clip"])
def test_pickled_weights_are_refused_before_anything_is_read(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    pickled = tmp_path / "pickled"
    shutil.copytree(clip, pickled, ignore=shutil.ignore_patterns("*.safetensors"))
    torch.save({}, pickled / "pytorch_model.bin")
    folder = write_folder(tmp_path / "in", 1, text=False)
    assert main(["surd", "build", str(tmp_path / "surd"), "--from-folder", str(folder), option, str(pickled)]) == 2
    said = capsys.readouterr().err
    assert "it holds no *.safetensors" in said
    assert ("blip-image-captioning-large" if option == "--captioner" else "clip-vit-large-patch14") in said
    assert not (tmp_path / "surd").exists()


def test_a_model_of_another_kind_is_refused(blip: Path, clip: Path) -> None:
    stage = caption_stage(str(clip))
    with pytest.raises(ConfigError, match="--captioner"):
        stage.make(**stage.arguments)


def test_new_weights_ask_for_new_captions(blip: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(blip, copy)
    before = identity(str(copy))
    assert identity(str(copy)) == before
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps(config | {"changed": True}))
    assert identity(str(copy)) != before
    assert identity("org/model", "v2") == "org/model@v2"


def test_pictures_are_turned_upright_and_put_on_white(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (20, 10)).save(tmp_path / "turned.jpg", exif=exif)
    assert load_upright(str(tmp_path / "turned.jpg")).size == (10, 20)
    grey = Image.fromarray(np.array([[0, 0x8000, 0xFFFF]], np.uint16))
    grey.save(tmp_path / "grey.png", exif=exif)
    assert [load_upright(str(tmp_path / "grey.png")).getpixel((0, y))[0] for y in range(3)] == [0, 128, 255]
    Image.new("RGBA", (4, 4), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    assert load_upright(str(tmp_path / "clear.png")).getpixel((0, 0)) == (255, 255, 255)
    monkeypatch.setattr(stages, "MAX_PIXELS", 15)
    assert "megapixels" in stages.make_measure()([{"path": str(tmp_path / "clear.png")}])[0]["error"]
