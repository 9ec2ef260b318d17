"""Prompts to the hidden states that the UNet attends to, exactly as diffusers' `encode_prompt` makes them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from vignette.errors import DrawingFailed

if TYPE_CHECKING:
    from vignette.engine.loader import LoadedModel

CHUNK = 16


@dataclass(frozen=True)
class EncodedText:
    """`states` is `[L, D]` on the device, `mask` `[L]`; `unread` is what did not fit into the encoder's tokens."""

    states: torch.Tensor
    mask: torch.Tensor
    unread: str


class TextCache:
    """The latest encodings by their text, so that rerolls and the empty negative prompt cost nothing."""

    def __init__(self, size: int = 128) -> None:
        self._size = size
        self._entries: OrderedDict[str, EncodedText] = OrderedDict()

    def get(self, text: str) -> EncodedText | None:
        if text in self._entries:
            self._entries.move_to_end(text)
        return self._entries.get(text)

    def put(self, text: str, entry: EncodedText) -> None:
        self._entries[text] = entry
        while len(self._entries) > self._size:
            self._entries.popitem(last=False)


def encode_texts(model: LoadedModel, texts: Sequence[str]) -> dict[str, EncodedText]:
    """Encodes each different text once, in chunks, through the model's cache."""
    found = {text: model.text_cache.get(text) for text in texts}
    missing = [text for text, entry in found.items() if entry is None]
    for start in range(0, len(missing), CHUNK):
        chunk = missing[start : start + CHUNK]
        for text, entry in zip(chunk, _run_encoder(model, chunk), strict=True):
            model.text_cache.put(text, entry)
            found[text] = entry
    return {text: entry for text, entry in found.items() if entry is not None}


def adapt(model: LoadedModel, encoded: EncodedText, adapter_id: str | None, scale: float) -> torch.Tensor:
    """The prompt's states, `[L, D]`, through the adapter; `None` or a scale of 0 leave them as they are."""
    if adapter_id is None or scale == 0:
        return encoded.states
    states = model.adapters[adapter_id](encoded.states[None], encoded.mask[None], scale)[0]
    if not torch.isfinite(states).all():
        raise DrawingFailed(
            "invalid_embedding", "The adapter turned this prompt into invalid numbers; a lower adapter_scale may help."
        )
    return states


def _run_encoder(model: LoadedModel, texts: list[str]) -> list[EncodedText]:
    tokenizer = model.tokenizer
    length = tokenizer.model_max_length
    tokens = tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    mask = tokens.attention_mask.to(model.device)
    # SD 1.x and 2.x were trained with padding visible; a model that was not says so in its configuration.
    hidden = mask if getattr(model.text_encoder.config, "use_attention_mask", False) else None
    states = model.text_encoder(tokens.input_ids.to(model.device), attention_mask=hidden)[0]
    unread = [_unread(tokenizer, text, length) for text in texts]
    return [EncodedText(s, m, u) for s, m, u in zip(states, mask, unread, strict=True)]


def _unread(tokenizer: Any, text: str, length: int) -> str:
    ids = tokenizer(text, truncation=False, add_special_tokens=False).input_ids
    return tokenizer.decode(ids[length - 2 :]).strip() if len(ids) > length - 2 else ""
