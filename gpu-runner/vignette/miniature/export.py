"""From the work folder to the bundled model: a diffusers folder, the adapter and the judge, fp16 safetensors."""

from __future__ import annotations

from pathlib import Path

from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.sur.adapter import SURAdapter

from .unet import build_scheduler

WEIGHTS = Path(__file__).resolve().parents[2] / "miniature" / "weights"


def export_model(
    folder: Path, vae: AutoencoderKL, text: CLIPTextModel, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel
) -> None:
    """Write a folder that `StableDiffusionPipeline.from_pretrained` loads."""
    pipe = StableDiffusionPipeline(
        vae=vae,
        text_encoder=text,
        tokenizer=tokenizer,
        unet=unet,
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    for part in (vae, text, unet):
        part.register_to_config(_name_or_path="") if hasattr(part, "register_to_config") else None
        part.half()
    pipe.save_pretrained(folder, safe_serialization=True)
    for part in (vae, text, unet):
        part.float()


def export_adapter(folder: Path, adapter: SURAdapter) -> None:
    """Write `config.json` and fp16 safetensors."""
    adapter.half().save_pretrained(folder, safe_serialization=True)
    adapter.float()


def size_mib(folder: Path = WEIGHTS) -> float:
    """The bundled weights' size in MiB."""
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20
