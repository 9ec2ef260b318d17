"""Published SUR-adapter checkpoints (a pickled state_dict) to this package's config.json and safetensors."""

from __future__ import annotations

import hashlib
import pickle
import re
from pathlib import Path

import torch

from vignette.errors import ConfigError
from vignette.sur.adapter import SURAdapter

LAYER = "transformer_encoder.layers."
HEAD = {
    "attention.query_layer": "encoder.query",
    "attention.key_layer": "encoder.key",
    "attention.output_layer.0": "encoder.mlp_in",
    "attention.output_layer.2": "encoder.mlp_out",
    "fc": "encoder.fc",
}
BLOCK = {
    "self_attn.out_proj": "to_out",
    "norm1": "norm1",
    "linear1": "linear1",
    "linear2": "linear2",
    "norm2": "norm2",
}
# Registered beside their clones, or never called: they were saved but had no part in any output.
DEAD = ("encoder_layer.", "attention.value_layer.")


def convert_checkpoint(file: Path, eta: float, folder: Path) -> str:
    """
    Rewrites one checkpoint of the published code and writes it to `folder`.

    Args:
        file: The `.pt` file, read with `weights_only=True`, so that nothing in it can run.
        eta: The mixing weight, which the published code takes from the file's path, in [0, 1].

    Returns:
        A sentence with the source's SHA-256 and what was written.

    Raises:
        ConfigError: No such file, a pickle that holds more than tensors, or keys of something else.
    """
    if not 0.0 <= eta <= 1.0:
        raise ConfigError(f"--eta must lie between 0 and 1, not {eta}.")
    state = _read(file)
    width, inner, layers = _shape(file, state)
    adapter = SURAdapter(width, layout="token", num_layers=layers, feedforward_size=inner, eta=eta)
    try:
        adapter.load_state_dict(_renamed(state, width, layers), strict=True)
    except RuntimeError as error:
        raise ConfigError(f"{file} is no SUR-adapter: {error}") from None
    adapter.save_pretrained(folder)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    kept = sum(p.numel() for p in adapter.parameters())
    return f"{folder}: token layout, width {width}, {layers} layers, {kept:,} weights, from sha256 {digest}."


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"There is no file {file}.") from None
    except pickle.UnpicklingError:
        raise ConfigError(
            f"{file} holds more than tensors, so loading it could run code; convert only a plain state_dict."
        ) from None
    except (OSError, RuntimeError, EOFError) as error:
        raise ConfigError(f"{file} cannot be read as a PyTorch checkpoint: {error}") from None
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ConfigError(f"{file} is no state_dict of tensors.")
    # Saved from several GPUs, every key begins with "module.".
    return {key.removeprefix("module."): value.float() for key, value in state.items()}


def _shape(file: Path, state: dict[str, torch.Tensor]) -> tuple[int, int, int]:
    layers = {int(m[1]) for key in state if (m := re.match(rf"{re.escape(LAYER)}(\d+)\.", key))}
    if layers != set(range(len(layers))) or not {"fc.weight", f"{LAYER}0.linear1.weight"} <= state.keys():
        raise ConfigError(f"{file} is no SUR-adapter: it lacks fc.weight or {LAYER}0.linear1.weight.")
    width = state["fc.weight"].shape[0]
    return width, state[f"{LAYER}0.linear1.weight"].shape[0], len(layers)


def _renamed(state: dict[str, torch.Tensor], width: int, layers: int) -> dict[str, torch.Tensor]:
    names = dict(HEAD)
    for i in range(layers):
        names |= {f"{LAYER}{i}.{old}": f"encoder.blocks.{i}.{new}" for old, new in BLOCK.items()}
    renamed = {}
    for key, value in state.items():
        if key.startswith(DEAD):
            continue
        stem, _, kind = key.rpartition(".")
        if stem.endswith("self_attn") and kind.startswith("in_proj_"):
            # Rows of q, k, v in this order; with one key the softmax is 1, so q and k never mattered.
            block = stem.removeprefix(LAYER).split(".")[0]
            renamed[f"encoder.blocks.{block}.to_value.{kind.removeprefix('in_proj_')}"] = value[2 * width :].clone()
        elif stem in names:
            renamed[f"{names[stem]}.{kind}"] = value
        else:
            raise ConfigError(f"The checkpoint has a weight {key} that no SUR-adapter has.")
    return renamed
