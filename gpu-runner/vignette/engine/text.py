"""
Prompts to the hidden states that the UNet attends to, exactly as diffusers' `encode_prompt` makes them. A prompt of more
tokens than the encoder takes is encoded in chunks, whose states follow each other, instead of being cut off.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from vignette.engine.lora import Loras
from vignette.engine.prompt_weights import parse_weights
from vignette.engine.transfers import to_device
from vignette.errors import DrawingFailed

if TYPE_CHECKING:
    from vignette.engine.loader import LoadedModel

CHUNK = 16
COMMA_REACH = 20


@dataclass(frozen=True)
class EncodedText:
    """
    `states` is `[L, D]` on the device, `mask` `[L]`, L a multiple of the encoder's length; `unread` is what was too much.
    `weights` is `[L]`, or None where every token weighs 1; `pooled` is SDXL's `[P]`, of the first chunk.
    """

    states: torch.Tensor
    mask: torch.Tensor
    unread: str
    weights: torch.Tensor | None = None
    pooled: torch.Tensor | None = None
    loras: Loras = ()


class TextCache:
    """The latest encodings by their text, so that rerolls and the empty negative prompt cost nothing."""

    def __init__(self, size: int = 128) -> None:
        self._size = size
        self._entries: OrderedDict[tuple[str, Loras], EncodedText] = OrderedDict()

    def get(self, text: str, loras: Loras = ()) -> EncodedText | None:
        key = (text, loras)
        if key in self._entries:
            self._entries.move_to_end(key)
        return self._entries.get(key)

    def put(self, text: str, entry: EncodedText) -> None:
        self._entries[text, entry.loras] = entry
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def clear(self) -> None:
        self._entries.clear()


def encode_texts(model: LoadedModel, texts: Sequence[str], loras: Loras = ()) -> dict[str, EncodedText]:
    """Encodes each different text once, in chunks, through the model's cache."""
    found = {text: model.text_cache.get(text, loras) for text in texts}
    missing = [text for text, entry in found.items() if entry is None]
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        for text, entry in zip(chunk, run_encoder(model, chunk, loras), strict=True):
            model.text_cache.put(text, entry)
            found[text] = entry
    return {text: entry for text, entry in found.items() if entry is not None}


def adapt(model: LoadedModel, encoded: EncodedText, adapter_id: str | None, scale: float) -> torch.Tensor:
    """
    The prompt's states, `[L, D]`, through the adapter, chunk by chunk; `None` or a scale of 0 leave them as they are.

    The adapter reads the whole sentence as it was written; the weights apply to what comes out of it. A token of weight w
    moves to `empty + w * (state - empty)`, where `empty` is the same place of the empty prompt, as in ComfyUI
    (`comfy/sd1_clip.py`): at 1 nothing changes, at 0 the token says nothing.
    """
    states = _adapted(model, encoded, adapter_id, scale)
    if encoded.weights is not None:
        empty = _adapted(model, encode_texts(model, [""], encoded.loras)[""], adapter_id, scale)
        empty = empty.repeat(len(states) // len(empty), 1)
        # In this form a weight of 1 leaves every bit as it was.
        states = states + (encoded.weights[:, None] - 1).to(states.dtype) * (states - empty)
    return states


def check_finite(valid: bool) -> None:
    """Raises DrawingFailed unless a prompt's states, which is what `valid` says, hold finite numbers only."""
    if not valid:
        raise DrawingFailed(
            "invalid_embedding",
            "This prompt's representation holds invalid numbers; a lower adapter_scale or smaller weights may help.",
        )


def _adapted(model: LoadedModel, encoded: EncodedText, adapter_id: str | None, scale: float) -> torch.Tensor:
    if adapter_id is None or scale == 0:
        return encoded.states
    length = model.tokenizer.model_max_length
    chunks, masks = encoded.states.unflatten(0, (-1, length)), encoded.mask.unflatten(0, (-1, length))
    return model.adapters[adapter_id](chunks, masks, scale).flatten(0, 1)


def chunk_count(model: LoadedModel, text: str) -> int:
    """How many times the encoder's length `text` takes."""
    return len(_chunks(model, text)[0])


def padded(model: LoadedModel, states: torch.Tensor, chunks: int, loras: Loras = ()) -> torch.Tensor:
    """`states` followed by the empty prompt's, up to `chunks`: what a UNet call compares has to be of one length."""
    missing = chunks - len(states) // model.tokenizer.model_max_length
    empty = encode_texts(model, [""], loras)[""].states
    return torch.cat([states, *[empty] * missing]) if missing > 0 else states


def run_encoder(model: LoadedModel, texts: list[str], loras: Loras = ()) -> list[EncodedText]:
    """
    Encodes `texts` at once, past the cache; a long one in chunks, each with its own begin and end. SDXL's states are
    the last but one of both encoders, side by side, as in diffusers' `StableDiffusionXLPipeline.encode_prompt`.
    """
    model.loras.use(loras, "text_encoder", "text_encoder_2")
    tokenizer = model.tokenizer
    length = tokenizer.model_max_length
    cut = [_chunks(model, text) for text in texts]
    framed = [
        [tokenizer.bos_token_id, *(id for id, _ in chunk), tokenizer.eos_token_id]
        for chunks, _ in cut
        for chunk in chunks
    ]
    lengths = torch.tensor([len(ids) for ids in framed])
    mask = to_device((torch.arange(length) < lengths[:, None]).long(), model.device)
    last = torch.arange(len(framed)) * length + lengths - 1
    states, pooled = [], None
    for tokens_of, encoder in model.encoders:
        tokens = torch.tensor([ids + [tokens_of.pad_token_id] * (length - len(ids)) for ids in framed])
        # SD 1.x, 2.x and XL were trained with padding visible; a model that was not says so in its configuration.
        hidden = mask if getattr(encoder.config, "use_attention_mask", False) else None
        output = encoder(to_device(tokens, model.device), attention_mask=hidden, output_hidden_states=model.is_xl)
        states.append(output.hidden_states[-2] if model.is_xl else output[0])
        if encoder is model.text_encoder_2:
            # At the end token's own place: the encoder itself takes the highest id, which can be a textual inversion's.
            ends = output.last_hidden_state.flatten(0, 1).index_select(0, to_device(last, model.device))
            pooled = encoder.text_projection(ends)
    counts = [len(chunks) for chunks, _ in cut]
    firsts = [sum(counts[:k]) for k in range(len(counts))]
    parts = zip(torch.cat(states, dim=-1).split(counts), mask.split(counts), cut, firsts, strict=True)
    return [
        EncodedText(
            s.flatten(0, 1),
            m.flatten(),
            unread,
            _weights(chunks, length, model.device),
            None if pooled is None else pooled[first],
            loras,
        )
        for s, m, (chunks, unread), first in parts
    ]


# Tokens with their weights.
Chunk = list[tuple[int, float]]


def _weights(chunks: list[Chunk], length: int, device: torch.device) -> torch.Tensor | None:
    if all(weight == 1 for chunk in chunks for _, weight in chunk):
        return None
    rows = [[1.0, *(weight for _, weight in chunk)] for chunk in chunks]
    return to_device(torch.tensor([row + [1.0] * (length - len(row)) for row in rows]).flatten(), device)


def _chunks(model: LoadedModel, text: str) -> tuple[list[Chunk], str]:
    """
    The text's tokens in chunks of what the encoder takes beside begin and end, at least one, and the text left over.

    A chunk ends behind the last of its commas if that is near its end, so that keywords stay whole, as in
    AUTOMATIC1111/stable-diffusion-webui (`comma_padding_backtrack`).
    """
    tokenizer = model.tokenizer
    room = tokenizer.model_max_length - 2
    left: Chunk = [
        (id, weight)
        for fragment, weight in parse_weights(text)
        for word in tokenizer(fragment, truncation=False, add_special_tokens=False).input_ids
        for id in model.inversions.get(word, [word])
    ]
    comma = tokenizer.convert_tokens_to_ids(",</w>")
    chunks: list[Chunk] = []
    while left and len(chunks) < model.spec.limits.max_prompt_chunks:
        end = room
        near = [id for id, _ in left[room - COMMA_REACH : room]]
        if len(left) > room and comma in near:
            end -= near[::-1].index(comma)
        chunks.append(left[:end])
        left = left[end:]
    return chunks or [[]], tokenizer.decode([id for id, _ in left]).strip() if left else ""
