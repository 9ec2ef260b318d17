"""Published SUR-adapter checkpoints (a pickled state_dict) to this package's config.json and safetensors."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from vignette.errors import ConfigError
from vignette.sur.adapter import SURAdapter
from vignette.sur.checkpoint import CONFIG_NAME, check_fit, read_safetensors
from vignette.sur.unpickle import unpickle

if TYPE_CHECKING:
    from vignette.training.frozen import FrozenModel

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
Shapes = dict[str, tuple[int, ...]]


def convert_checkpoint(file: Path, eta: float, folder: Path, model: FrozenModel | None = None) -> str:
    """
    Rewrites one checkpoint of the published code and writes it to `folder`.

    Args:
        file: The `.pt` file, read with `weights_only=True`, so that nothing in it can run; or the same state_dict as
            `.safetensors`.
        eta: The mixing weight, which the published code takes from the file's path, in [0, 1].
        model: What the checkpoint was trained for; its text encoder is then noted in `config.json`.

    Returns:
        A sentence with the source's SHA-256 and what was written.

    Raises:
        ConfigError: No such file, one that is cut off or damaged, a pickle that holds more than tensors, keys or shapes of
            something else, NaN, a model of another width.
    """
    if not 0.0 <= eta <= 1.0:
        raise ConfigError(f"--eta must lie between 0 and 1, not {eta}.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"{folder} is a file; give the name of a folder with -o.")
    if (other := _holder(folder)) != SURAdapter.__name__:
        raise ConfigError(f"{folder} holds a {other}, which would be overwritten; name another folder with -o.")
    state = _read(file)
    width, inner, layers = _shape(file, state)
    expected = _published(width, inner, layers)
    dead = {key for key in expected if key.startswith(DEAD)}
    problems = check_fit({k: s for k, s in expected.items() if k not in dead or k in state}, state)
    if problems:
        raise ConfigError(f"{file} is no SUR-adapter of width {width} with {layers} layers: {problems}.")
    for key, value in state.items():
        if key not in dead and not torch.isfinite(value).all():
            raise ConfigError(f"{file}: the weight {key} holds NaN or infinite values; take an earlier checkpoint.")
    if model is not None and sum(model.widths) != width:
        raise ConfigError(
            f"{file} is of width {width}, the text encoder of {model.folder} of {sum(model.widths)}: it was trained for another"
            " model; name that, or leave --model out."
        )
    trained_for = model.identify() if model is not None else None
    adapter = SURAdapter(
        width, layout="token", num_layers=layers, feedforward_size=inner, eta=eta, text_encoder=trained_for
    )
    adapter.load_state_dict(_renamed(state, width, layers), strict=True)
    try:
        adapter.save_pretrained(folder)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}. Choose another folder with -o.") from None
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    kept = sum(p.numel() for p in adapter.parameters())
    return f"{folder}: token layout, width {width}, {layers} layers, {kept:,} weights, from sha256 {digest}."


def _read(file: Path) -> dict[str, torch.Tensor]:
    try:
        state = read_safetensors(file) if file.suffix == ".safetensors" else unpickle(file)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in state.items()
    ):
        raise ConfigError(f"{file} is no state_dict of tensors{_where_else(state)}.")
    # Saved from several GPUs, every key begins with "module.".
    return {key.removeprefix("module."): value.float() for key, value in state.items()}


def _holder(folder: Path) -> str:
    """The class whose config.json is in `folder`; `SURAdapter` where there is none."""
    try:
        config = json.loads((folder / CONFIG_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return SURAdapter.__name__
    except (OSError, ValueError):
        config = None
    named = config if isinstance(config, dict) else {}
    return str(named.get("_class_name") or (named.get("architectures") or ["model"])[0])


def _where_else(state: object) -> str:
    """Training scripts like to save more than the weights."""
    entries = state.items() if isinstance(state, dict) else ()
    nested = [name for name, value in entries if isinstance(value, dict) and value]
    return f"; it may lie within: torch.save(checkpoint[{nested[0]!r}], FILE) keeps that alone" if nested else ""


def _shape(file: Path, state: dict[str, torch.Tensor]) -> tuple[int, int, int]:
    layers = {int(m[1]) for key in state if (m := re.match(rf"{re.escape(LAYER)}(\d+)\.", key))}
    if layers != set(range(len(layers))) or not {"fc.weight", f"{LAYER}0.linear1.weight"} <= state.keys():
        raise ConfigError(f"{file} is no SUR-adapter: it lacks fc.weight or {LAYER}0.linear1.weight.")
    width = state["fc.weight"].shape[0]
    return width, state[f"{LAYER}0.linear1.weight"].shape[0], len(layers)


def _published(width: int, inner: int, layers: int) -> Shapes:
    """Names and shapes of the published state_dict: 48 tensors for two layers."""
    square: Shapes = {"weight": (width, width), "bias": (width,)}
    norm: Shapes = {"weight": (width,), "bias": (width,)}
    parts: dict[str, Shapes] = {
        "self_attn.out_proj": square,
        "linear1": {"weight": (inner, width), "bias": (inner,)},
        "linear2": {"weight": (width, inner), "bias": (width,)},
        "norm1": norm,
        "norm2": norm,
    }
    block: Shapes = {"self_attn.in_proj_weight": (3 * width, width), "self_attn.in_proj_bias": (3 * width,)}
    block |= {f"{part}.{kind}": shape for part, both in parts.items() for kind, shape in both.items()}
    shapes: Shapes = {f"{name}.{kind}": square[kind] for name in (*HEAD, DEAD[1][:-1]) for kind in square}
    for prefix in ("encoder_layer.", *(f"{LAYER}{i}." for i in range(layers))):
        shapes |= {prefix + name: shape for name, shape in block.items()}
    return shapes


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
        else:
            renamed[f"{names[stem]}.{kind}"] = value
    return renamed
