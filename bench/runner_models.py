"""Models for the runner's benches: the bundled miniature, or Stable Diffusion in its full sizes with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, StableDiffusionXLPipeline, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from vignette.engine import schedulers
from vignette.engine.catalogue import Defaults, ModelSpec, SpeedSpec, read_catalogue
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.lora import LoraSwitch
from vignette.engine.speed import speed_up

MODELS_TOML = Path(__file__).resolve().parent.parent / "gpu-runner" / "models.toml"
SD_BLOCKS: dict[str, Any] = {"block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2, "sample_size": 64}
# From the config.json of stable-diffusion-v1-5/stable-diffusion-v1-5, stabilityai/stable-diffusion-2-1 and stable-diffusion-xl-base-1.0.
UNETS: dict[str, dict[str, Any]] = {
    "sd15": SD_BLOCKS | {"cross_attention_dim": 768, "attention_head_dim": 8},
    "sd21": SD_BLOCKS
    | {"cross_attention_dim": 1024, "attention_head_dim": (5, 10, 20, 20), "use_linear_projection": True},
    "sdxl": {
        "block_out_channels": (320, 640, 1280),
        "layers_per_block": 2,
        "sample_size": 128,
        "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        "transformer_layers_per_block": (1, 2, 10),
        "attention_head_dim": (5, 10, 20),
        "cross_attention_dim": 2048,
        "use_linear_projection": True,
        "addition_embed_type": "text_time",
        "addition_time_embed_dim": 256,
        "projection_class_embeddings_input_dim": 2816,
    },
}
CLIP_L = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
CLIP_H = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 23, "num_attention_heads": 16}
CLIP_G = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 20}
TEXTS: dict[str, list[dict[str, Any]]] = {
    "sd15": [CLIP_L],
    "sd21": [CLIP_H],
    "sdxl": [CLIP_L, CLIP_G | {"projection_dim": 1280}],
}
SIZES = {"sd15": 512, "sd21": 512, "sdxl": 1024}
CHOICES = ("miniature", *UNETS)


def bench_model(
    name: str,
    device: torch.device,
    dtype: torch.dtype,
    speed: SpeedSpec = SpeedSpec(),  # noqa: B008  # frozen
) -> LoadedModel:
    """
    `name` is one of CHOICES; full sizes need no checkpoint and draw noise at the speed of the real ones. `speed` rearranges
    the weights that the engine and diffusers' pipeline share.
    """
    miniature = read_catalogue(MODELS_TOML).default
    if name == "miniature":
        return load_model(miniature.model_copy(update={"dtype": str(dtype)[6:], "speed": speed}), device)
    torch.manual_seed(0)
    tokenizer = load_model(miniature, torch.device("cpu")).tokenizer
    with torch.device(device):
        parts = full_size_parts(name, len(tokenizer))
    frozen = {key: part.to(dtype).eval().requires_grad_(False) for key, part in parts.items()}
    spec = ModelSpec(
        id=name,
        path=MODELS_TOML.parent,
        max_batch=32,
        speed=speed,
        defaults=Defaults(width=SIZES[name], height=SIZES[name], num_inference_steps=20),
    )
    changeable = {key: part for key, part in frozen.items() if key != "vae"}
    compiled = speed_up(frozen, spec)
    return LoadedModel(
        spec=spec,
        compiled=compiled,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer if name == "sdxl" else None,
        **frozen,
        scheduler_config={
            "beta_start": 0.00085,
            "beta_end": 0.012,
            "beta_schedule": "scaled_linear",
            "steps_offset": 1,
        },
        adapters={},
        device=device,
        dtype=dtype,
        version=f"random-{name}",
        loras=LoraSwitch(changeable, {}),
        zeros_for_empty=name == "sdxl",
    )


def full_size_parts(name: str, vocabulary: int = 49408) -> dict[str, Any]:
    """UNet, VAE and text encoders of `name` with random weights, on PyTorch's default device."""
    clips = [CLIPTextConfig(vocab_size=vocabulary, max_position_embeddings=77, **config) for config in TEXTS[name]]
    parts: dict[str, Any] = {
        "unet": UNet2DConditionModel(in_channels=4, out_channels=4, **UNETS[name]),
        "vae": AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            sample_size=SIZES[name],
        ),
        "text_encoder": CLIPTextModel(clips[0]),
    }
    if len(clips) > 1:
        parts["text_encoder_2"] = CLIPTextModelWithProjection(clips[1])
    return parts


def diffusers_pipeline(model: LoadedModel) -> Any:
    """diffusers' own pipeline over the very same weights."""
    scheduler, _ = schedulers.build(model.spec.defaults.scheduler, model.scheduler_config, 1)
    shared = {"vae": model.vae, "text_encoder": model.text_encoder, "tokenizer": model.tokenizer, "unet": model.unet}
    if model.is_xl:
        second = {"text_encoder_2": model.text_encoder_2, "tokenizer_2": model.tokenizer_2}
        pipeline: Any = StableDiffusionXLPipeline(**shared, **second, scheduler=scheduler, add_watermarker=False)
    else:
        pipeline = StableDiffusionPipeline(
            **shared, scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline
