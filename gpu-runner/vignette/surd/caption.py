"""Narratives for pictures that have none, by any image-to-text model of transformers (BLIP, GIT, ViT+GPT-2, LLaVA, …)."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from vignette.errors import ConfigError
from vignette.surd.models import check, identity, sentences
from vignette.surd.stages import Row, Stage, Work, load_upright

# Images of a batch to what the network's `generate` takes, on the CPU.
Ask = Callable[[list[Any]], Any]
INSTRUCTION = "Describe this picture in one sentence."
# A ViT and a GPT-2, say: the halves were never taught to go on from words.
PAIR = "vision-encoder-decoder"


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

    Raises:
        ConfigError: there is no such model, or it takes no `question`.
    """
    if check("--captioner", model, revision) == PAIR and question:
        raise ConfigError(
            f"--captioner {model} takes no words beside the picture (it is a {PAIR}); leave --caption-prompt out."
        )
    arguments = {"model": model, "revision": revision, "question": question, "max_new_tokens": max_new_tokens}
    name = f"caption/2 {identity(model, revision)} {max_new_tokens} {question}"
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
    chat = bool(getattr(processor, "chat_template", None))
    ask = _instructed(processor, question or INSTRUCTION) if chat else _begun(processor, network, question)
    # Shorter prompts are filled up in front, so that generation goes on from the prompt's end.
    processor.tokenizer.padding_side = "left"

    @torch.inference_mode()
    def caption(rows: list[Row]) -> list[Row]:
        inputs = ask([load_upright(row["path"]) for row in rows]).to(device)
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(dtype)
        tokens = network.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False, num_beams=1)
        if chat:
            tokens = _without_prompt(tokens, inputs["input_ids"])
        texts = processor.tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [{"text": " ".join(text.split())} for text in texts]

    return caption


def _begun(processor: Any, network: Any, beginning: str) -> Ask:
    """Captions that begin with `beginning`, or as the model likes where it is empty."""
    words: dict[str, Any] = {"padding": True}
    if network.config.model_type == "git":
        # Its tokenizer would put an end behind the beginning, and no model writes on from there.
        words |= {"add_special_tokens": False, "return_token_type_ids": False}
        beginning = beginning and processor.tokenizer.cls_token + beginning

    def ask(images: list[Any]) -> Any:
        given = {"text": [beginning] * len(images), **words} if beginning else {}
        return processor(images=images, return_tensors="pt", **given)

    return ask


def _instructed(processor: Any, instruction: str) -> Ask:
    """One conversation for each picture. The processor sorts the pictures out, since some models want them nested."""

    def ask(images: list[Any]) -> Any:
        contents = [[{"type": "image", "image": image}, {"type": "text", "text": instruction}] for image in images]
        return processor.apply_chat_template(
            [[{"role": "user", "content": content}] for content in contents],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            processor_kwargs={"padding": True, "return_tensors": "pt"},
        )

    return ask


def _without_prompt(tokens: Any, asked: Any) -> Any:
    """A chat model repeats its instruction in front, unless its network never sees the tokens themselves."""
    length = asked.shape[1]
    if tokens.shape[1] < length or not bool((tokens[:, :length] == asked).all()):
        return tokens
    return tokens[:, length:]


def _pair(model: str, revision: str | None) -> Any:
    """Models of two halves (ViT + GPT-2) have an image processor and a tokenizer, but no processor of both."""
    from transformers import AutoImageProcessor, AutoTokenizer

    image_processor = AutoImageProcessor.from_pretrained(model, revision=revision)

    class Pair:
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)

        def __call__(self, images: list[Any], return_tensors: str) -> Any:
            return image_processor(images=images, return_tensors=return_tensors)

    return Pair()
