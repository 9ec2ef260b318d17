"""Encoding texts: each once, like diffusers, and nothing that did not fit is hidden."""

from __future__ import annotations

import pytest
import torch

from vignette.engine.loader import LoadedModel
from vignette.engine.text import EncodedText, TextCache, encode_texts


def entry(number: float) -> EncodedText:
    return EncodedText(torch.tensor([number]), torch.ones(1), "")


def test_the_cache_forgets_what_was_not_used_longest() -> None:
    cache = TextCache(size=2)
    cache.put("a", entry(1))
    cache.put("b", entry(2))
    assert cache.get("a")
    cache.put("c", entry(3))
    assert cache.get("b") is None
    assert cache.get("a")


def test_a_text_is_encoded_once(model: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = LoadedModel(**(vars(model) | {"text_cache": TextCache()}))
    seen: list[int] = []
    original = model.text_encoder.forward

    def counted(input_ids: torch.Tensor, **rest: object) -> object:
        seen.append(len(input_ids))
        return original(input_ids, **rest)

    monkeypatch.setattr(model.text_encoder, "forward", counted)
    texts = encode_texts(fresh, ["a cat", "", "a cat"])
    assert seen == [2]
    encode_texts(fresh, ["a cat", "a dog"])
    assert seen == [2, 1]
    assert texts["a cat"].states.shape == (77, 32)
    assert int(texts[""].mask.sum()) == 2


def test_what_does_not_fit_is_told(model: LoadedModel) -> None:
    texts = encode_texts(model, ["cat " * 80, "cat " * 75])
    assert texts["cat " * 80].unread.split() == ["cat"] * 5
    assert texts["cat " * 75].unread == ""
