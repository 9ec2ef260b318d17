"""Teachers: what a causal language model makes of a narrative, as the target of distillation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors import SafetensorError

from vignette.engine.components import check_weights
from vignette.errors import PIP_INSTALL, ConfigError
from vignette.training.store import hash_files

MOST_TOKENS = 128


class Teacher:
    """
    Any causal language model of Hugging Face transformers, frozen. Only its configuration is read until the first text:
    a run whose answers are all cached loads no network.

    The last layer of a decoder is shaped by the next word; the mean over layers, each layer-normalised, serves as a
    text representation better (https://arxiv.org/abs/2506.08210), so it is the default.

    Args:
        source: A folder, a hub id, or a `.gguf` file (which needs the `gguf` package).
        layer: "mean", "last", or a layer's number, 0 being the embeddings.
        tokens: Give every token instead of the sentence's mean.
        device: Where it runs, in float32 on a CPU and bfloat16 elsewhere.

    Raises:
        ConfigError: It is not there, its weights are cut off, it gives no hidden states, or has no such layer.
    """

    def __init__(self, source: str, layer: str, tokens: bool, device: torch.device) -> None:
        self.source, self.layer, self.tokens, self.device = source, layer, tokens, device
        self._place = _place(source)
        config = _config(source, self._place)
        self.width, self.layers = getattr(config, "hidden_size", None), getattr(config, "num_hidden_layers", None)
        if not self.width or not self.layers or getattr(config, "is_encoder_decoder", False):
            kind = (config.architectures or [type(config).__name__])[0]
            raise ConfigError(
                f"The teacher {source} ({kind}) gives no hidden states per layer; take a causal language model."
            )
        if layer.isdecimal() and int(layer) > self.layers:
            raise ConfigError(f"--teacher-layer {layer}: {source} has the layers 0 to {self.layers}.")

    def recipe(self) -> dict[str, Any]:
        """What its answers depend on beside the text."""
        path = Path(self.source)
        # A hub id can mean other weights tomorrow: the commit that it means now is what counts.
        known = hash_files(path) if path.exists() else getattr(self._place.get("revision"), "resolved", None)
        return {"teacher": known or self.source, "layer": self.layer, "tokens": self.tokens, "most": MOST_TOKENS}

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> list[torch.Tensor]:
        """Per text `[width]`, or `[its tokens, width]`; layer-normalised, so that every teacher has one scale."""
        model, tokenizer = self._network
        batch = tokenizer(list(texts), padding=True, truncation=True, max_length=MOST_TOKENS, return_tensors="pt")
        mask = batch.attention_mask.to(self.device)
        out = model(
            input_ids=batch.input_ids.to(self.device), attention_mask=mask, output_hidden_states=True, use_cache=False
        )
        hidden = getattr(out, "hidden_states", None)
        if not hidden:
            raise ConfigError(f"The teacher {self.source} gives no hidden states; take another model.")
        chosen = self._choose([h.float() for h in hidden])
        if not torch.isfinite(chosen[mask.bool()]).all():
            raise ConfigError(f"The teacher {self.source} gave NaN for one of: {', '.join(map(repr, texts[:3]))}, …")
        if self.tokens:
            return [_normalised(states[kept.bool()]).cpu() for states, kept in zip(chosen, mask, strict=True)]
        weight = mask.unsqueeze(-1).float()
        return list(_normalised((chosen.nan_to_num() * weight).sum(1) / weight.sum(1)).cpu())

    @cached_property
    def _network(self) -> tuple[Any, Any]:
        return _load(self.source, self._place, self.device)

    def _choose(self, hidden: list[torch.Tensor]) -> torch.Tensor:
        if self.layer == "mean":
            return torch.stack([_normalised(h) for h in hidden[1:]]).mean(0)
        return hidden[-1 if self.layer == "last" else int(self.layer)]


def _normalised(states: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(states, states.shape[-1:])


def _place(source: str) -> dict[str, Any]:
    """What transformers' `from_pretrained` calls the place; a hub id's commit, so that every file is of one state."""
    path = Path(source)
    if path.suffix == ".gguf":
        place: dict[str, Any] = {"pretrained_model_name_or_path": str(path.parent), "gguf_file": path.name}
    else:
        place = {"pretrained_model_name_or_path": source}
    if path.exists():
        return place | {"local_files_only": True}
    from transformers.utils.hub import resolve_revision

    return place | {"revision": resolve_revision(place["pretrained_model_name_or_path"])}


def _config(source: str, place: dict[str, Any]) -> Any:
    from transformers import AutoConfig

    with _sentences(source):
        config = AutoConfig.from_pretrained(**place)
    if Path(source).is_dir():
        check_weights(Path(source))
    return config


def _load(source: str, place: dict[str, Any], device: torch.device) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    safe: dict[str, Any] = {} if "gguf_file" in place else {"use_safetensors": True}
    with _sentences(source):
        tokenizer = AutoTokenizer.from_pretrained(**place)
        # Without a head: logits over the vocabulary are never asked for.
        model = AutoModel.from_pretrained(**place, **safe, dtype=dtype)
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ConfigError(f"The teacher {source}: its tokenizer has neither a padding nor an end token.")
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return model.to(device).eval().requires_grad_(False), tokenizer


@contextmanager
def _sentences(source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, ImportError, KeyError, SafetensorError) as error:
        raise ConfigError(f"The teacher {source} cannot be loaded: {why_not(Path(source), error)}") from None


def why_not(path: Path, error: Exception) -> str:
    """Why there is no language model at `path`, in a line: what `error` of transformers means for who named a path."""
    if path.is_absolute() and not path.exists():
        return "there is no such folder or file."
    if path.is_dir() and not (path / "config.json").is_file():
        return "the folder has no config.json; name one that save_pretrained or `hf download` wrote."
    if isinstance(error, ImportError) and path.suffix == ".gguf":
        return f"reading it needs one library more: {PIP_INSTALL} --no-deps gguf==0.19.0."
    return " ".join(str(error).split())[:300]
