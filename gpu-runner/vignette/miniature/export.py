"""From the work folder to the bundled model: a diffusers folder, the adapter and the judge, fp16 safetensors."""

from __future__ import annotations

import shutil
from pathlib import Path

from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.sur.adapter import SURAdapter

from .unet import build_scheduler

WEIGHTS = Path(__file__).resolve().parents[2] / "miniature" / "weights"


SHARED = ("vae", "text_encoder", "tokenizer")


def export_model(
    folder: Path,
    vae: AutoencoderKL,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    shared_with: str | None = None,
) -> None:
    """Write a folder that `StableDiffusionPipeline.from_pretrained` loads. What it has in common with its neighbour
    `shared_with` is a link to that one's, so that no weights lie in the repository twice.
    """
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
    for name in SHARED:
        if (folder / name).is_symlink():
            (folder / name).unlink()
    pipe.save_pretrained(folder, safe_serialization=True)
    for name in SHARED if shared_with else ():
        shutil.rmtree(folder / name)
        (folder / name).symlink_to(Path("..") / (shared_with or "") / name)
    for part in (vae, text, unet):
        part.float()


def export_adapter(folder: Path, adapter: SURAdapter) -> None:
    """Write `config.json` and fp16 safetensors."""
    adapter.half().save_pretrained(folder, safe_serialization=True)
    adapter.float()


def size_mib(folder: Path = WEIGHTS) -> float:
    """The bundled weights' size in MiB."""
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20
