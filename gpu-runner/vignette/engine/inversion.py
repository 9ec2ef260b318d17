"""Textual inversions (https://arxiv.org/abs/2208.01618): a word of a prompt that stands for learnt embeddings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from vignette.errors import ConfigError

# The encoders' names in a file made for SDXL; other files hold one matrix under any name.
SIDES = ("clip_l", "clip_g")


def add_inversion(token: str, file: Path, encoders: list[tuple[Any, Any]]) -> tuple[int, list[int]]:
    """
    Teaches the text encoders one word.

    Args:
        token: The word as prompts write it, `<dusk>` for example.
        encoders: `(tokenizer, text encoder)`, two for SDXL; changed in place.

    Returns:
        The id that the tokenizer gives the word, and the ids to be read instead, one for each vector.

    Raises:
        ConfigError: A word that the tokenizer knows already, or a file that does not fit the encoders.
    """
    if file.suffix != ".safetensors" or not file.is_file():
        raise ConfigError(f"The embedding {file} must be an existing .safetensors file; pickles are not loaded.")
    try:
        weights = load_file(file)
    except Exception as error:
        raise ConfigError(f"The embedding {file} cannot be read, it is cut off or damaged: {error}.") from None
    matrices = [weights[side] for side in SIDES if side in weights] or list(weights.values())
    if len(matrices) != len(encoders):
        raise ConfigError(
            f"The embedding {file} is made for {len(matrices)} text encoders, the model has {len(encoders)}."
        )
    ids: list[int] = []
    for (tokenizer, encoder), matrix in zip(encoders, matrices, strict=True):
        ids = _add(token, file, tokenizer, encoder, torch.atleast_2d(matrix))
    return ids[0], ids


def _add(token: str, file: Path, tokenizer: Any, encoder: Any, matrix: torch.Tensor) -> list[int]:
    from transformers import AddedToken

    table = encoder.get_input_embeddings().weight
    if matrix.ndim != 2 or matrix.shape[1] != table.shape[1]:
        raise ConfigError(
            f"The embedding {file} is {matrix.shape[-1]} wide, the text encoder {table.shape[1]}: it was made for another model."
        )
    if not torch.isfinite(matrix).all():
        raise ConfigError(f"The embedding {file} holds invalid numbers (NaN).")
    names = [token, *(f"{token}_{k}" for k in range(1, len(matrix)))]
    if taken := [name for name in names if name in tokenizer.get_vocab()]:
        raise ConfigError(f"The embedding {file}: the tokenizer has a word {taken[0]!r} already; choose another token.")
    tokenizer.add_tokens([AddedToken(name, normalized=False) for name in names])
    ids = tokenizer.convert_tokens_to_ids(names)
    if max(ids) >= len(table):
        encoder.resize_token_embeddings(max(ids) + 1, mean_resizing=False)
    rows = encoder.get_input_embeddings().weight
    with torch.no_grad():
        rows[ids] = matrix.to(rows)
    return ids
