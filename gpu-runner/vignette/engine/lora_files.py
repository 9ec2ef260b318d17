"""LoRA files: read in three kinds of key names, and checked against the model that they are to change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from vignette.engine.lora import Lora, LowRank
from vignette.errors import ConfigError

PREFIXES = {
    "lora_unet_": "unet",
    "lora_te_": "text_encoder",
    "lora_te1_": "text_encoder",
    "lora_te2_": "text_encoder_2",
}
DOWN = (
    ".lora_down.weight",
    ".lora_A.weight",
    ".lora.down.weight",
    ".lora_linear_layer.down.weight",
    "_lora.down.weight",
)
UP = (".lora_up.weight", ".lora_B.weight", ".lora.up.weight", ".lora_linear_layer.up.weight", "_lora.up.weight")
SHOWN = 3
STABILITY_BLOCKS = ("lora_unet_input_blocks", "lora_unet_middle_block", "lora_unet_output_blocks")
# In this order: the first input block is no block at all.
STABILITY_NAMES = (
    ("input_blocks_0_0", "conv_in"),
    ("unet_out_2", "unet_conv_out"),
    ("input_blocks", "down_blocks"),
    ("middle_block", "mid_block"),
    ("output_blocks", "up_blocks"),
    ("downsamplers_0_op", "downsamplers_0_conv"),
    ("in_layers_2", "conv1"),
    ("out_layers_3", "conv2"),
    ("emb_layers_1", "time_emb_proj"),
    ("skip_connection", "conv_shortcut"),
    ("time_embed_0", "time_embedding_linear_1"),
    ("time_embed_2", "time_embedding_linear_2"),
    ("label_emb_0_0", "add_embedding_linear_1"),
    ("label_emb_0_2", "add_embedding_linear_2"),
)


def read_lora(file: Path, parts: dict[str, Any]) -> Lora:
    """
    Reads a LoRA in diffusers', PEFT's or kohya-ss's key names.

    Args:
        parts: The model's UNet and text encoders by name.

    Raises:
        ConfigError: No safetensors, another kind of network (LoHa, LoKr, DoRA), or one that was made for another model.
    """
    if file.suffix != ".safetensors" or not file.is_file():
        raise ConfigError(f"The LoRA {file} must be an existing .safetensors file; pickles are not loaded.")
    try:
        weights = load_file(file)
    except Exception as error:
        raise ConfigError(f"The LoRA {file} cannot be read, it is cut off or damaged: {error}.") from None
    odd = sorted(key for key in weights if any(kind in key for kind in ("hada_", "lokr_", "dora_scale", "lora_mid")))
    if odd:
        raise ConfigError(f"{file} is no plain LoRA but another kind of network ({odd[0]}); only LoRA is supported.")
    weights = _diffusers_blocks(weights, parts["unet"])
    modules = _modules(parts)
    found: Lora = {}
    for key, down in weights.items():
        end = next((end for end in DOWN if key.endswith(end)), None)
        if end is None:
            continue
        stem = key.removesuffix(end)
        up = weights.get(stem + UP[DOWN.index(end)])
        place = _place(stem, modules)
        if place is None or up is None or not _fits(modules[place], up, down):
            what = "lacks its other half" if up is None else "has no place of its shape in this model"
            raise ConfigError(f"The LoRA {file} was made for another model or is incomplete: {key} {what}.")
        rank = down.shape[0]
        alpha = weights.get(stem + ".alpha")
        scale = float(alpha) / rank if alpha is not None else 1.0
        # Of their own: what safetensors gives is a view of the file.
        flat_up, flat_down = up.flatten(1).clone(), down.flatten(1).clone()
        if not (torch.isfinite(flat_up).all() and torch.isfinite(flat_down).all()):
            raise ConfigError(f"The LoRA {file} holds invalid numbers (NaN) in {key}.")
        found[place] = LowRank(flat_up, flat_down, scale)
    known = (*DOWN, *UP, ".alpha")
    strange = [key for key in weights if not key.endswith(known)]
    if not found or strange:
        raise ConfigError(f"{file} is no LoRA for Stable Diffusion: {sorted(strange or weights)[:SHOWN]}.")
    return found


def _modules(parts: dict[str, Any]) -> dict[tuple[str, str], torch.Tensor]:
    return {
        (part, name): module.weight
        for part, root in parts.items()
        for name, module in root.named_modules()
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d)
    }


def _place(stem: str, modules: dict[tuple[str, str], torch.Tensor]) -> tuple[str, str] | None:
    """Where a key's module is; kohya-ss writes `_` for `.`, so its names are looked up among the flattened ones."""
    for prefix, part in PREFIXES.items():
        if stem.startswith(prefix):
            flat = stem.removeprefix(prefix).removeprefix("text_model_")
            return next((p for p in modules if p[0] == part and _plain(p[1]).replace(".", "_") == flat), None)
    part, _, name = stem.partition(".")
    if part not in ("unet", "text_encoder", "text_encoder_2"):
        part, name = "unet", stem
    name = name.removeprefix("base_model.model.").replace(".processor", "")
    for projection in ("to_q", "to_k", "to_v"):  # `to_q_lora.down` of diffusers' old attention processors
        name = name.removesuffix("_lora") if name.endswith(f"{projection}_lora") else name
    name = f"{name.removesuffix('_lora')}.0" if name.endswith("to_out_lora") else name
    name = name + ".0" if name.endswith("to_out") else name
    return next((p for p in modules if p[0] == part and _plain(p[1]) == _plain(name)), None)


def _plain(name: str) -> str:
    """transformers 5 dropped `text_model.` from the names of CLIP's modules; files have it still."""
    return name.removeprefix("text_model.")


def _fits(weight: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> bool:
    out, into = weight.shape[0], weight[0].numel()
    return up.shape[0] == out and up[0].numel() == down.shape[0] and down[0].numel() == into


def _diffusers_blocks(weights: dict[str, torch.Tensor], unet: Any) -> dict[str, torch.Tensor]:
    """
    kohya-ss names SDXL's blocks and layers as Stability's code does. diffusers knows which of its own blocks they are, but
    leaves the names for a later step of its own, which expects other files than this loader takes.
    """
    if not any(key.startswith(STABILITY_BLOCKS) for key in weights):
        return weights
    from diffusers.loaders.lora_conversion_utils import _maybe_map_sgm_blocks_to_diffusers

    numbered = _maybe_map_sgm_blocks_to_diffusers(weights, unet.config)
    return {_diffusers_name(key): value for key, value in numbered.items()}


def _diffusers_name(key: str) -> str:
    if not key.startswith("lora_unet_"):
        return key
    for theirs, ours in STABILITY_NAMES:
        key = key.replace(theirs, ours)
    return key
