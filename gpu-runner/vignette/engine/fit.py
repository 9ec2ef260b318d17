"""Whether the parts of a diffusers folder are there and fit each other, as far as configurations say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vignette.engine.folders import read_json
from vignette.errors import ConfigError

# What diffusers and transformers take where a configuration does not say.
DEFAULTS: dict[str, dict[str, Any]] = {
    "unet": {"in_channels": 4, "out_channels": 4, "cross_attention_dim": 1280},
    "vae": {"latent_channels": 4, "block_out_channels": [64]},
    "text_encoder": {"hidden_size": 512, "projection_dim": 512},
}
SIZES = 6  # of SDXL's micro-conditioning: original size, crop offset and target size (arXiv 2307.01952)


def read_config(folder: Path, part: str) -> dict[str, Any]:
    """
    The configuration of one part, with what its library takes for a field that is not there.

    Raises:
        ConfigError: No such file, no JSON object, or a field of another type.
    """
    file, known = folder / part / "config.json", DEFAULTS["text_encoder" if part.startswith("text") else part]
    config = known | read_json(file)
    for name, default in known.items():
        if type(config[name]) is not type(default):
            raise ConfigError(f"{file}: {name} is {config[name]!r}; copy or download {part}/ again.")
    return config


def check_tokenizer(folder: Path) -> None:
    """
    Raises:
        ConfigError: No words, of which transformers makes an empty tokenizer, no folder, or JSON that is cut off.
    """
    if not (folder / "tokenizer.json").is_file() and not all(
        (folder / name).is_file() for name in ("vocab.json", "merges.txt")
    ):
        raise ConfigError(
            f"{folder} holds neither tokenizer.json nor vocab.json with merges.txt; copy or download"
            f" {folder.name}/ again."
        )
    for file in sorted(folder.glob("*.json")):
        read_json(file)


def check_unet(folder: Path, unet: Mapping[str, Any], vae: Mapping[str, Any], pooled: int | None) -> None:
    """
    Args:
        folder: What the sentence calls the model.
        unet, vae: Their configurations.
        pooled: Width of the pooled vector that the second text encoder gives, `None` for a model of one encoder.

    Raises:
        ConfigError: A UNet that wants other conditioning than its pipeline gives, or another VAE or text encoder.
    """
    wanted = None if pooled is None else "text_time"
    if unet.get("time_cond_proj_dim") is not None or unet.get("addition_embed_type") != wanted:
        raise ConfigError(f"{folder}: this UNet wants other conditioning than its pipeline gives; it is not supported.")
    taken, given = unet["in_channels"], unet["out_channels"]
    if taken != given:
        raise ConfigError(
            f"{folder}: this UNet takes {taken} channels and gives {given}: an inpainting or depth UNet needs more than text;"
            " take the base model."
        )
    if taken != vae["latent_channels"]:
        raise ConfigError(
            f"{folder}: the UNet's in_channels are {taken}, the VAE's latent_channels {vae['latent_channels']}: take the vae/"
            " that belongs to this UNet."
        )
    if pooled is None:
        return
    times = SIZES * (unet.get("addition_time_embed_dim") or 0)
    if unet.get("projection_class_embeddings_input_dim") != pooled + times:
        raise ConfigError(
            f"{folder}: text_encoder_2's projection_dim is {pooled}, which with {times} for the sizes does not make the UNet's"
            f" projection_class_embeddings_input_dim, {unet.get('projection_class_embeddings_input_dim')}: take the"
            " text_encoder_2/ that belongs to this UNet."
        )
