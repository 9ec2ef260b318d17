"""Random models with exactly Stable Diffusion's parts, small enough to draw in milliseconds."""

from __future__ import annotations

import json
import string
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from vignette.sur import SURAdapter

ZERO_SNR = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
}
SD15 = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}


def write_tokenizer(folder: Path, pad: str = "<|endoftext|>") -> CLIPTokenizer:
    """A CLIP tokenizer that knows characters, and the word "cat" as one token. SD 2.x and SDXL pad with "!"."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = list(string.ascii_lowercase + string.digits + string.punctuation)
    tokens = [*letters, *(letter + "</w>" for letter in letters), "ca", "cat</w>", "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\nc a\nca t</w>\n")
    return CLIPTokenizer(
        vocab=str(folder / "vocab.json"),
        merges=str(folder / "merges.txt"),
        model_max_length=77,
        pad_token=pad,
    )


# What Stable Diffusion 2.x has otherwise: heads by level, and projections that are no convolutions.
SD2_UNET = {"attention_head_dim": (2, 4), "use_linear_projection": True}


def write_model(
    folder: Path,
    *,
    scheduler: dict = ZERO_SNR,
    latent_channels: int = 4,
    seed: int = 0,
    unet_config: dict | None = None,
    pad: str = "<|endoftext|>",
) -> Path:
    """A `StableDiffusionPipeline` folder: text encoder 32 wide, 16 latent pixels for 32 image pixels (f = 2)."""
    torch.manual_seed(seed)
    tokenizer = write_tokenizer(folder / "tokenizer-source", pad)
    text_encoder = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        )
    )
    unet = UNet2DConditionModel(
        sample_size=16,
        in_channels=latent_channels,
        out_channels=latent_channels,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=32,
        norm_num_groups=4,
        **({"attention_head_dim": 2} | (unet_config or {})),
    )
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=latent_channels,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=4,
    )
    pipeline = StableDiffusionPipeline(
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=unet,
        vae=vae,
        scheduler=DDIMScheduler(**scheduler),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder, safe_serialization=True)
    return folder


def write_adapter(folder: Path, *, seed: int = 1, gain: float = 0.5, **config: object) -> Path:
    """A sequence adapter whose output layer is no longer zero, so that it visibly changes prompts."""
    torch.manual_seed(seed)
    adapter = SURAdapter(32, num_heads=4, **config)  # type: ignore[arg-type]
    torch.nn.init.normal_(adapter.encoder.proj_out.weight, std=gain)
    adapter.save_pretrained(folder)
    return folder


def write_models_toml(folder: Path, model: Path, adapter: Path, *, more: str = "") -> Path:
    file = folder / "models.toml"
    file.write_text(
        f"""
[[models]]
id = "tiny"
path = "{model}"
description = "Random weights."
default = true

[models.defaults]
width = 32
height = 32
num_inference_steps = 4
guidance_scale = 4.0

[models.limits]
min_width = 16
max_width = 64
min_height = 16
max_height = 64
max_steps = 50

[[models.adapters]]
id = "sur"
path = "{adapter}"
default = true
{more}
"""
    )
    return file
