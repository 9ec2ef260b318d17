"""Teachers: what a causal language model makes of a narrative, as the target of distillation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from vignette.engine.components import require_weights
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
        ConfigError: It is not there, its weights are cut off or pickled, it gives no hidden states, or has no such layer.
    """

    def __init__(self, source: str, layer: str, tokens: bool, device: torch.device) -> None:
        self.source, self.layer, self.tokens, self.device = source, layer, tokens, device
        self._place = _place(source)
        config, words = _config(source, self._place)
        width, layers = getattr(words, "hidden_size", None), getattr(words, "num_hidden_layers", None)
        if not width or not layers or getattr(config, "is_encoder_decoder", False):
            kind = (config.architectures or [type(config).__name__])[0]
            raise ConfigError(
                f"The teacher {source} ({kind}) gives no hidden states per layer; take a causal language model."
            )
        self.width, self.layers = int(width), int(layers)
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
        chosen = self._choose([h.float() for h in hidden], (*mask.shape, self.width))
        if not torch.isfinite(chosen[mask.bool()]).all():
            raise ConfigError(f"The teacher {self.source} gave NaN for one of: {', '.join(map(repr, texts[:3]))}, …")
        if self.tokens:
            return [_normalised(states[kept.bool()]).cpu() for states, kept in zip(chosen, mask, strict=True)]
        weight = mask.unsqueeze(-1).float()
        return list(_normalised((chosen.nan_to_num() * weight).sum(1) / weight.sum(1)).cpu())

    @cached_property
    def _network(self) -> tuple[Any, Any]:
        return _load(self.source, self._place, self.device)

    def _choose(self, hidden: list[torch.Tensor], shape: tuple[int, ...]) -> torch.Tensor:
        mean = self.layer == "mean"
        used = hidden[1:] if mean else [hidden[-1 if self.layer == "last" else int(self.layer)]]
        if any(tuple(states.shape) != shape for states in used):
            raise ConfigError(
                f"The teacher {self.source} gives states of other shapes than {list(shape)} in the layer {self.layer}; name"
                " one layer with --teacher-layer, or take another model."
            )
        return torch.stack([_normalised(states) for states in used]).mean(0) if mean else used[0]


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


def _config(source: str, place: dict[str, Any]) -> tuple[Any, Any]:
    """A model's configuration, and that of its words: the same, but for one that sees or hears too."""
    from transformers import AutoConfig

    with _sentences(source):
        config = AutoConfig.from_pretrained(**place)
        words = config.get_text_config()
    if Path(source).is_dir():
        require_weights(Path(source))
    return config, words


def _load(source: str, place: dict[str, Any], device: torch.device) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer

    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    safe: dict[str, Any] = {} if "gguf_file" in place else {"use_safetensors": True}
    with _sentences(source):
        tokenizer = AutoTokenizer.from_pretrained(**place)
        # Without a head: logits over the vocabulary are never asked for.
        model, told = AutoModel.from_pretrained(
            **place, **safe, dtype=dtype, output_loading_info=True, ignore_mismatched_sizes=True
        )
    _check_fit(source, told)
    if tokenizer.pad_token is None:
        if tokenizer.eos_token is None:
            raise ConfigError(f"The teacher {source}: its tokenizer has neither a padding nor an end token.")
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return model.to(device).eval().requires_grad_(False), tokenizer


def _check_fit(source: str, told: Mapping[str, Any]) -> None:
    """Weights that are not there or of another shape are random numbers to transformers, and a line in a log."""
    wrong = [f"{name} is {list(has)} instead of {list(needs)}" for name, has, needs in sorted(told["mismatched_keys"])]
    # A pooler makes one vector of a text, which is never asked for; some causal models are saved without.
    wrong += [f"{name} is missing" for name in sorted(told["missing_keys"]) if "pooler" not in name]
    if wrong:
        more = f"; and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ConfigError(
            f"The weights of the teacher {source} do not fit its configuration: {'; '.join(wrong[:3])}{more}. Take both from"
            " the same model."
        )


@contextmanager
def _sentences(source: str) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # transformers raises whatever its readers of a format raise
        raise ConfigError(f"The teacher {source} cannot be loaded: {why_not(Path(source), error)}") from None


def why_not(path: Path, error: Exception) -> str:
    """Why there is no language model at `path`, in a line: what `error` of transformers means for who named a path."""
    if path.is_absolute() and not path.exists():
        return "there is no such folder or file."
    if path.is_dir() and not (path / "config.json").is_file():
        return "the folder has no config.json; name one that save_pretrained or `hf download` wrote."
    if isinstance(error, ImportError) and path.suffix == ".gguf":
        return f"reading it needs one library more: {PIP_INSTALL} --no-deps gguf==0.19.0."
    if isinstance(error, KeyError):
        return f"there is no {error}."
    reason = " ".join(str(error).split())[:300] or f"{type(error).__name__}."
    return f"{reason} If it was cut off, copy or download it again." if path.suffix == ".gguf" else reason
