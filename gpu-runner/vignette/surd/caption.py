"""Narratives for pictures that have none, by any image-to-text model of transformers (BLIP, GIT, BLIP-2, LLaVA, …)."""

from __future__ import annotations

import os
from typing import Any

from vignette.surd.models import identity, sentences
from vignette.surd.stages import Row, Stage, Work, load_upright


def caption_stage(
    model: str,
    *,
    revision: str | None = None,
    question: str = "",
    max_new_tokens: int = 64,
    batch_size: int = 16,
) -> Stage:
    """
    Args:
        model (`str`): Hugging Face id or folder, loaded with `AutoModelForImageTextToText`.
        question (`str`): beginning of the caption (BLIP) or the instruction (chat models), empty for none.
        max_new_tokens (`int`): longest caption, in the model's tokens.
    """
    arguments = {"model": model, "revision": revision, "question": question, "max_new_tokens": max_new_tokens}
    name = f"caption/1 {identity(model, revision)} {max_new_tokens} {question}"
    return Stage(name, make_caption, arguments, batch_size, device=True)


def make_caption(model: str, revision: str | None, question: str, max_new_tokens: int) -> Work:
    """`{path}` -> `{text}`, one line, decoded greedily so that it is the same at every run."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    from vignette.engine.loader import pick_device

    device = pick_device(os.environ.get("VIGNETTE_DEVICE") or "auto")
    dtype = torch.float16 if device.type == "cuda" else torch.float32
    with sentences("--captioner", model):
        network: Any = AutoModelForImageTextToText.from_pretrained(
            model, revision=revision, dtype=dtype, use_safetensors=True
        )
        network.to(device)
        processor = AutoProcessor.from_pretrained(model, revision=revision)
        if not hasattr(processor, "tokenizer"):
            processor = _pair(model, revision)
    network.eval()
    if getattr(processor, "chat_template", None):
        content = [{"type": "image"}, {"type": "text", "text": question or "Describe this picture in one sentence."}]
        question = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
    # Shorter prompts are filled up in front, so that generation goes on from the prompt's end.
    processor.tokenizer.padding_side = "left"

    @torch.inference_mode()
    def caption(rows: list[Row]) -> list[Row]:
        images = [load_upright(row["path"]) for row in rows]
        words = {"text": [question] * len(rows), "padding": True} if question else {}
        inputs = processor(images=images, return_tensors="pt", **words).to(device)
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(dtype)
        tokens = network.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1)
        tokens = _without_prompt(tokens, inputs, chat=bool(getattr(processor, "chat_template", None)))
        texts = processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [{"text": " ".join(text.split())} for text in texts]

    return caption


def _without_prompt(tokens: Any, inputs: Any, *, chat: bool) -> Any:
    """A chat model repeats its instruction in front; BLIP's beginning belongs to the caption."""
    asked = inputs["input_ids"] if chat and "input_ids" in inputs else None
    if asked is None or tokens.shape[1] < asked.shape[1] or not bool((tokens[:, : asked.shape[1]] == asked).all()):
        return tokens
    return tokens[:, asked.shape[1] :]


def _pair(model: str, revision: str | None) -> Any:
    """Models of two halves (ViT + GPT-2) have an image processor and a tokenizer, but no processor of both."""
    from transformers import AutoImageProcessor, AutoTokenizer

    images = AutoImageProcessor.from_pretrained(model, revision=revision)

    class Pair:
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
        chat_template = None

        def __call__(self, images: list[Any], return_tensors: str, **words: Any) -> Any:
            return self._images(images=images, return_tensors=return_tensors)

        _images = staticmethod(images)

    return Pair()
