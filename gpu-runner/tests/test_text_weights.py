"""Weights in prompts: what the brackets mean, and what they do to the states."""

from __future__ import annotations

import pytest
import torch

from tests.drawing import draw, request
from vignette.engine.loader import LoadedModel
from vignette.engine.prompt_weights import parse_weights
from vignette.engine.text import adapt, chunk_count, encode_texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a cat", [("a cat", 1)]),
        ("", []),
        ("a (red) cat", [("a ", 1), ("red", 1.1), (" cat", 1)]),
        ("((red)) cat", [("red", 1.21), (" cat", 1)]),
        ("[red] cat", [("red", 1 / 1.1), (" cat", 1)]),
        ("(red:1.5) cat", [("red", 1.5), (" cat", 1)]),
        ("(a (red:0.5) cat:1.2)", [("a ", 1.2), ("red", 0.6), (" cat", 1.2)]),
        ("([red])", [("red", 1)]),
        (r"\(red\) \[x\] \\", [(r"(red) [x] \ ".strip(), 1)]),
        ("a cat :) at 10:30 (", [("a cat :) at 10:30 (", 1)]),
        ("(red] cat)", [("red] cat", 1.1)]),
        ("[red:0.5)", [("[red:0.5)", 1)]),
        ("a:b (c: d)", [("a:b ", 1), ("c: d", 1.1)]),
        ("()", []),
        ("\\x", [("\\x", 1)]),
    ],
)
def test_brackets(text: str, expected: list[tuple[str, float]]) -> None:
    found = parse_weights(text)
    assert [fragment for fragment, _ in found] == [fragment for fragment, _ in expected]
    assert [weight for _, weight in found] == pytest.approx([weight for _, weight in expected])


@torch.inference_mode()
def test_weighted_states_lie_on_the_line_from_the_empty_prompt(model: LoadedModel) -> None:
    texts = encode_texts(model, ["a (cat:1.5) b", "a cat b", ""])
    weighted, plain = adapt(model, texts["a (cat:1.5) b"], None, 1), texts["a cat b"].states
    empty = texts[""].states
    torch.testing.assert_close(weighted[2], empty[2] + 1.5 * (plain[2] - empty[2]))
    assert torch.equal(weighted[[0, 1, 3, 4]], plain[[0, 1, 3, 4]])
    assert not torch.allclose(weighted[2], plain[2], atol=1e-2)


@torch.inference_mode()
def test_the_adapter_reads_the_sentence_and_the_weights_apply_after_it(model: LoadedModel) -> None:
    texts = encode_texts(model, ["a (cat:0) b", "a cat b", ""])
    weighted = adapt(model, texts["a (cat:0) b"], "sur", 0.7)
    plain, empty = adapt(model, texts["a cat b"], "sur", 0.7), adapt(model, texts[""], "sur", 0.7)
    torch.testing.assert_close(weighted[2], empty[2])
    torch.testing.assert_close(weighted[[0, 1, 3, 4]], plain[[0, 1, 3, 4]])


@torch.inference_mode()
def test_weights_reach_over_chunks(model: LoadedModel) -> None:
    text = "cat " * 70 + "(" + "dog " * 4 + ":1.4)"
    assert chunk_count(model, text) == 2
    weights = encode_texts(model, [text])[text].weights
    assert weights is not None
    weights = weights.view(2, 77)
    assert weights[0, :71].unique().tolist() == [1]
    assert weights[0, 71:76].unique().tolist() == pytest.approx([1.4])
    assert weights[1, 1:8].unique().tolist() == pytest.approx([1.4])
    assert weights[0, 76] == weights[1, 0] == weights[1, 8] == 1


def test_a_weight_changes_the_picture_and_a_weight_of_one_does_not(model: LoadedModel) -> None:
    plain, one, much = (
        draw(model, request(prompt=prompt)).pictures()[0] for prompt in ("a cat", "a (cat:1)", "a (cat:3)")
    )
    assert (plain == one).all()
    assert (plain != much).any()
