"""From the work folder to the bundled model: a diffusers folder, the adapter and the judge, fp16 safetensors."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from pathlib import Path

import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline, UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.sur.adapter import SURAdapter

from .unet import build_scheduler, own_layers

WEIGHTS = Path(__file__).resolve().parents[2] / "miniature" / "weights"


SHARED = ("text_encoder", "tokenizer")
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
# In the names of a sharded checkpoint. What both hold counts as the last one has it: diffusers loads shards in this order.
SHARD = "diffusion_pytorch_model-0000{}-of-00002.safetensors"


def export_model(
    folder: Path,
    vae: AutoencoderKL,
    text: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    unet: UNet2DConditionModel,
    shared_with: str | None = None,
) -> None:
    """Write a folder that `StableDiffusionPipeline.from_pretrained` loads. What it has in common with its neighbour
    `shared_with` is a link to that one's, so that no weights lie in the repository twice: text encoder and tokenizer, and of
    autoencoder and UNet all but decoder and `unet.own_layers`.
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
    partial = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    pipe.save_pretrained(partial, safe_serialization=True)
    if shared_with:
        for name in SHARED:
            shutil.rmtree(partial / name)
            (partial / name).symlink_to(Path("..") / shared_with / name)
        decoder = [name for name in vae.state_dict() if name.startswith(("decoder.", "post_quant_conv."))]
        _share(partial / "vae", shared_with, decoder)
        _share(partial / "unet", shared_with, own_layers(unet))
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    for part in (vae, text, unet):
        part.float()


def _share(folder: Path, neighbour: str, own: Collection[str]) -> None:
    """Leave the tensors named in `own` in `folder`, and make the rest a link to the neighbour's.

    Raises ValueError where the rest is not what the neighbour has.
    """
    whole, other = load_file(folder / WEIGHTS_NAME), Path("..", "..", neighbour, folder.name, WEIGHTS_NAME)
    theirs = load_file(folder / other)
    if different := [name for name in whole if name not in own and not torch.equal(whole[name], theirs[name])]:
        raise ValueError(f"{folder} does not have {different[0]} in common with {neighbour}")
    save_file({name: whole[name] for name in whole if name in own}, folder / SHARD.format(2), {"format": "pt"})
    (folder / SHARD.format(1)).symlink_to(other)
    (folder / WEIGHTS_NAME).unlink()
    index = {
        "metadata": {"total_size": sum(t.numel() * t.element_size() for t in whole.values())},
        "weight_map": {name: SHARD.format(2 if name in own else 1) for name in sorted(whole)},
    }
    (folder / f"{WEIGHTS_NAME}.index.json").write_text(json.dumps(index, indent=1) + "\n")


def export_adapter(folder: Path, adapter: SURAdapter) -> None:
    """Write `config.json` and fp16 safetensors."""
    adapter.half().save_pretrained(folder, safe_serialization=True)
    adapter.float()


def make_readable(folder: Path) -> None:
    """Let everyone read the weights in `folder`: safetensors writes files that only their owner may read, as no container's user is."""
    for file in folder.rglob("*.safetensors"):
        if not file.is_symlink():
            file.chmod(0o644)


def size_mib(folder: Path = WEIGHTS) -> float:
    """The bundled weights' size in MiB."""
    return sum(f.lstat().st_size for f in folder.rglob("*") if f.is_file()) / 2**20
