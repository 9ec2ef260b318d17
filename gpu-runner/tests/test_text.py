"""Encoding texts: each once, like diffusers, and nothing that did not fit is hidden."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline

from tests.drawing import assert_same, draw, request, with_diffusers
from tests.tiny import write_tokenizer
from vignette.engine.catalogue import ModelSpec
from vignette.engine.events import Started
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.stages import prompt_chunks
from vignette.engine.text import EncodedText, TextCache, adapt, encode_texts


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


def test_a_prompt_is_padded_as_its_tokenizer_says(model: LoadedModel, model_folder: Path, tmp_path: Path) -> None:
    """SD 2.x was trained with "!" behind the end."""
    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    write_tokenizer(tmp_path / "source", pad="!").save_pretrained(folder / "tokenizer")
    other = load_model(ModelSpec(id="tiny", path=folder), torch.device("cpu"))
    assert other.tokenizer.pad_token_id != model.tokenizer.pad_token_id
    r = request(negative_prompt="rain")
    assert_same(draw(other, r).pictures(), with_diffusers(folder, r))
    assert (draw(other, r).pictures()[0] != draw(model, r).pictures()[0]).any()


def test_what_does_not_fit_is_told(model: LoadedModel) -> None:
    texts = encode_texts(model, ["cat " * 305, "cat " * 300, "cat " * 75])
    assert texts["cat " * 305].unread.split() == ["cat"] * 5
    assert texts["cat " * 300].unread == texts["cat " * 75].unread == ""
    assert [len(entry.states) for entry in texts.values()] == [308, 308, 77]


def test_a_long_prompt_is_its_chunks_one_behind_the_other(model: LoadedModel) -> None:
    first, second = "cat " * 75, "cat dog " * 4
    texts = encode_texts(model, [first + second, first, second])
    long, parts = texts[first + second], [texts[first], texts[second]]
    torch.testing.assert_close(long.states, torch.cat([part.states for part in parts]), atol=1e-5, rtol=1e-5)
    assert torch.equal(long.mask, torch.cat([part.mask for part in parts]))


def test_a_chunk_ends_behind_a_comma_that_is_near(model: LoadedModel) -> None:
    near, far = "cat " * 65 + ", ", "cat " * 40 + ", "
    texts = encode_texts(model, [near + "cat " * 30, far + "cat " * 60])
    assert [int(m.sum()) - 2 for m in texts[near + "cat " * 30].mask.view(2, 77)] == [66, 30]
    assert [int(m.sum()) - 2 for m in texts[far + "cat " * 60].mask.view(2, 77)] == [75, 26]


def test_the_adapter_sees_one_chunk_at_a_time(model: LoadedModel) -> None:
    first, second = "cat " * 75, "cat dog " * 4
    with torch.inference_mode():
        texts = encode_texts(model, [first + second, first, second])
        long = adapt(model, texts[first + second], "sur", 0.7)
        parts = [adapt(model, texts[part], "sur", 0.7) for part in (first, second)]
    torch.testing.assert_close(long, torch.cat(parts), atol=1e-4, rtol=1e-4)
    assert not torch.allclose(long, texts[first + second].states, atol=1e-2)


@pytest.mark.parametrize(
    ("prompt", "negative"), [("cat " * 100, "dog"), ("cat", "dog " * 90), ("cat " * 200, "dog " * 80)]
)
def test_long_prompts_draw_what_diffusers_draws_from_the_same_states(
    model: LoadedModel, model_folder: Path, prompt: str, negative: str
) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(model_folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

    def states(text: str, chunks: int) -> torch.Tensor:
        ids = pipe.tokenizer(text, add_special_tokens=False).input_ids
        rows = [pipe.tokenizer.decode(ids[75 * k : 75 * (k + 1)]) for k in range(chunks)]
        given = pipe.tokenizer(rows, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
        return pipe.text_encoder(given.input_ids)[0].flatten(0, 1)[None]

    r = request(prompt=prompt, negative_prompt=negative)
    chunks = prompt_chunks(model, r)
    assert chunks > 1
    with torch.inference_mode():
        drawn = pipe(
            prompt_embeds=states(prompt, chunks),
            negative_prompt_embeds=states(negative, chunks),
            width=r.width,
            height=r.height,
            num_inference_steps=r.num_inference_steps,
            guidance_scale=r.guidance_scale,
            generator=torch.Generator("cpu").manual_seed(r.seed),
            output_type="np",
        ).images[0]
    assert_same(draw(model, r).pictures(), [(drawn * 255).round().astype(np.uint8)])


def test_long_and_short_prompts_in_company_draw_what_they_draw_alone(model: LoadedModel) -> None:
    asked = [request("a", prompt="cat " * 100), request("b", prompt="dog"), request("c", prompt="cat " * 90, seed=9)]
    together = draw(model, *asked)
    for r in asked:
        assert_same(together.pictures(r.id), draw(model, r).pictures(r.id))
    assert 2 in together.calls  # the two long ones share


def test_a_prompt_longer_than_all_chunks_is_drawn_and_told(model: LoadedModel) -> None:
    drawing = draw(model, request(prompt="a very long story " * 40))
    started = drawing.events["a"][0]
    assert isinstance(started, Started)
    assert started.unread.endswith("story")
    assert len(drawing.pictures()) == 1
