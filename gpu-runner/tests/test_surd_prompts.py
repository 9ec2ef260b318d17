"""Prompt syntax: what the tools' users wrote becomes the plain keywords that a text encoder knows."""

from __future__ import annotations

import pytest

from vignette.surd.infotext import parse_infotext
from vignette.surd.syntax import parse_prompt


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("2cat, sleeping, beach background", "2cat, sleeping, beach background"),
        ("(cat:1.2), (dog), ((bird)), [fish]", "cat, dog, bird, fish"),
        ("(masterpiece, (sharp eyes: 1.3)), hdr", "masterpiece, sharp eyes, hdr"),
        (r"hatsune miku \(vocaloid\), (cat \(animal\):1.1)", "hatsune miku (vocaloid), cat (animal)"),
        ("cat <lora:more_details:0.5> dog, <lyco:fur:te=0.5:unet=1>", "cat dog"),
        ("<hypernet:old:1>, a cat", "a cat"),
        ("embedding:easynegative, cat, (embedding:bad-hands-5:1.2)", "cat"),
        ("cat, <my-style>, dog", "cat, dog"),
        ("a cat BREAK a dog", "a cat, a dog"),
        ("a cat AND a dog :1.2 AND a bird", "a cat, a dog, a bird"),
        ("BREAKFAST AND", "BREAKFAST AND"),
        ("[cat:dog:0.2]", "dog"),
        ("[cat:dog:0.8]", "cat"),
        ("a [cat:dog:5] sleeps", "a dog sleeps"),
        ("a [cat:dog:15] sleeps", "a cat sleeps"),
        ("[hat:0.2], [scarf::0.2], [glove::0.9]", "hat, glove"),
        ("[red|blue] cat", "red blue cat"),
        ("{cat}, {{dog}}", "cat, dog"),
        ("(cat)++, dog--, bird", "cat, dog, bird"),
        ("cat,, ,dog ,\n bird,", "cat, dog, bird"),
        ("((cat", "cat"),
        ("cat :), ;)", "cat :), ;)"),
        ("well-lit, C++ book", "well-lit, C book"),
        ("ratio 3:4", "ratio 3:4"),
        ("<lora:only:1>", ""),
        (" , . ,", ""),
        ("", ""),
    ],
)
def test_a_prompt_becomes_plain(raw: str, text: str) -> None:
    assert parse_prompt(raw).text == text


def test_weights_multiply_as_the_web_ui_multiplies_them() -> None:
    parsed = parse_prompt("(cat:1.2), dog, ((bird)), [fish], (a, (b:1.5))")
    assert parsed.weights == [("cat", 1.2), ("bird", 1.21), ("fish", 0.9091), ("a", 1.1), ("b", 1.65)]


def test_networks_and_embeddings_are_named() -> None:
    parsed = parse_prompt("cat <lora:fur:0.8><LyCORIS:Ink Wash> embedding:soft, <sks-dog>")
    assert parsed.networks == [("lora", "fur", "0.8"), ("lycoris", "Ink Wash", "1")]
    assert parsed.embeddings == ["soft", "sks-dog"]


def test_steps_decide_an_edit_by_step_number() -> None:
    assert parse_prompt("[cat:dog:15]", steps=50).text == "dog"
    assert parse_prompt("[cat:dog:15]", steps=20).text == "cat"


def test_hostile_nesting_ends() -> None:
    assert parse_prompt("(" * 5000 + "cat" + ")" * 5000).text == "cat"
    assert parse_prompt("<" * 5000 + "[:" * 2000).text


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("<lora:" + " " * 100_000, "<lora:"),
        ("<lora" + " " * 100_000 + "x", "<lora x"),
        ("(cat:" + "1" * 100_000 + "x)", "cat:" + "1" * 100_000 + "x"),
        ("[cat:dog:" + "1" * 100_000 + "x]", "cat:dog:" + "1" * 100_000 + "x"),
        ("a AND b :" + "1" * 100_000 + "x", "a, b :" + "1" * 100_000 + "x"),
        ("(a" * 9000 + ")" * 9000, "a" * 9000),
        ("[a" * 9000 + "]" * 9000, "a" * 9000),
    ],
)
def test_what_would_take_hours_takes_none(raw: str, text: str) -> None:
    assert parse_prompt(raw).text == text


@pytest.mark.parametrize("block", ["a " * 300_000, " " * 300_000 + "a:b, c:d, e:f", "a" + "\n" * 300_000 + "b"])
def test_settings_that_would_take_hours_take_none(block: str) -> None:
    assert parse_infotext(block).prompt


def test_weights_without_measure_have_an_end() -> None:
    huge = parse_prompt("(" * 90 + "(cat:" + "9" * 400 + ")" + ")" * 90 + "((dog:0):" + "9" * 400 + ")").weights
    assert huge == [("cat", 1e6), ("dog", 0.0)]


BLOCK = """a cat, (sleeping:1.2)
on a beach
Negative prompt: blurry, low quality
Steps: 28, Sampler: DPM++ 2M Karras, CFG scale: 7.5, Seed: 1234567890, Size: 512x768, Model: "dream, shaper", Clip skip: 2"""


def test_an_infotext_is_split() -> None:
    infotext = parse_infotext(BLOCK)
    assert infotext.prompt == "a cat, (sleeping:1.2)\non a beach"
    assert infotext.negative_prompt == "blurry, low quality"
    assert infotext.parameters == {
        "num_inference_steps": 28,
        "sampler": "DPM++ 2M Karras",
        "guidance_scale": 7.5,
        "seed": 1234567890,
        "size": "512x768",
        "model": "dream, shaper",
        "clip_skip": 2,
    }


@pytest.mark.parametrize(
    ("block", "prompt", "negative", "seed"),
    [
        ("a cat", "a cat", "", None),
        ("a cat\nNegative prompt: dogs\nand birds", "a cat", "dogs\nand birds", None),
        ("a cat\nSteps: 20, Seed: 7, Size: 1x1", "a cat", "", 7),
        ("Steps: 20, Seed: 7, Size: 1x1", "", "", 7),
        ("a cat\nSteps: 20, Seed: 7, Size: 1x1,\nADetailer model: face.pt", "a cat", "", 7),
        ("two lines: one, two: three", "two lines: one, two: three", "", None),
        ("a cat\r\nNegative prompt: x\r\nSteps: 20, Seed: none, Size: 1x1", "a cat", "x", None),
    ],
)
def test_infotexts_of_other_shapes(block: str, prompt: str, negative: str, seed: int | None) -> None:
    infotext = parse_infotext(block)
    assert (infotext.prompt, infotext.negative_prompt) == (prompt, negative)
    assert infotext.parameters.get("seed") == seed
