"""A checkpoint in one file, with Stability's names, draws what the diffusers folder of the same weights draws."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.drawing import assert_same, draw, request
from vignette.engine.catalogue import ModelSpec
from vignette.engine.loader import load_model
from vignette.errors import ConfigError

CPU = torch.device("cpu")
RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
# The tiny UNet's blocks: two levels, one layer each.
UNET = {
    "conv_in": "input_blocks.0.0",
    "down_blocks.0.resnets.0": "input_blocks.1.0",
    "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
    "down_blocks.1.resnets.0": "input_blocks.3.0",
    "down_blocks.1.attentions.0": "input_blocks.3.1",
    "mid_block.resnets.0": "middle_block.0",
    "mid_block.attentions.0": "middle_block.1",
    "mid_block.resnets.1": "middle_block.2",
    "up_blocks.0.resnets.0": "output_blocks.0.0",
    "up_blocks.0.attentions.0": "output_blocks.0.1",
    "up_blocks.0.resnets.1": "output_blocks.1.0",
    "up_blocks.0.attentions.1": "output_blocks.1.1",
    "up_blocks.0.upsamplers.0.conv": "output_blocks.1.2.conv",
    "up_blocks.1.resnets.0": "output_blocks.2.0",
    "up_blocks.1.resnets.1": "output_blocks.3.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}
VAE = (
    (r"up_blocks\.(\d)\.resnets", lambda m: f"up.{1 - int(m[1])}.block"),
    (r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{1 - int(m[1])}.upsample"),
    (r"down_blocks\.(\d)\.resnets", lambda m: f"down.{m[1]}.block"),
    (r"down_blocks\.(\d)\.downsamplers\.0", lambda m: f"down.{m[1]}.downsample"),
    (r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}"),
    (r"mid_block\.attentions\.0", lambda m: "mid.attn_1"),
    ("group_norm", lambda m: "norm"),
    (r"to_out\.0", lambda m: "proj_out"),
    ("to_([qkv])", lambda m: m[1]),
    ("conv_norm_out", lambda m: "norm_out"),
    ("conv_shortcut", lambda m: "nin_shortcut"),
)


def unet_name(key: str) -> str:
    block = max((name for name in UNET if key.startswith(name + ".")), key=len)
    rest = key.removeprefix(block + ".")
    if "resnets" in block:
        layer, _, rest = rest.partition(".")
        rest = f"{RESNET[layer]}.{rest}"
    return f"model.diffusion_model.{UNET[block]}.{rest}"


def vae_name(key: str) -> str:
    for pattern, name in VAE:
        key = re.sub(pattern, name, key)
    return "first_stage_model." + key


def write_single_file(folder: Path, file: Path) -> Path:
    weights = {unet_name(k): v for k, v in load_file(folder / "unet/diffusion_pytorch_model.safetensors").items()}
    for key, value in load_file(folder / "vae/diffusion_pytorch_model.safetensors").items():
        attention = ".attentions.0.to_" in key and value.ndim == 2
        weights[vae_name(key)] = value[:, :, None, None] if attention else value
    for key, value in load_file(folder / "text_encoder/model.safetensors").items():
        weights["cond_stage_model.transformer.text_model." + key.removeprefix("text_model.")] = value
    save_file({k: v.contiguous() for k, v in weights.items()}, file)
    return file


def test_draws_what_the_folder_draws(sd15_folder: Path, tmp_path: Path) -> None:
    file = write_single_file(sd15_folder, tmp_path / "model.safetensors")
    single = load_model(ModelSpec(id="tiny", path=file, config=sd15_folder), CPU)
    folder = load_model(ModelSpec(id="tiny", path=sd15_folder), CPU)
    assert_same(draw(single, request()).pictures(), draw(folder, request()).pictures())
    assert single.version != folder.version


def test_missing_weights_are_named(sd15_folder: Path, tmp_path: Path) -> None:
    file = write_single_file(sd15_folder, tmp_path / "model.safetensors")
    weights = load_file(file)
    save_file({k: v for k, v in weights.items() if "middle_block" not in k}, file)
    with pytest.raises(ConfigError, match=r"model\.safetensors"):
        load_model(ModelSpec(id="tiny", path=file, config=sd15_folder), CPU)
