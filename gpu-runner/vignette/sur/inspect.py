"""What a SUR-adapter's folder holds, for a person."""

from __future__ import annotations

from pathlib import Path

from vignette.errors import ConfigError
from vignette.sur.adapter import SURAdapter
from vignette.sur.checkpoint import WEIGHTS_NAME

KNOWN_WIDTHS = {768: "Stable Diffusion 1.x (CLIP ViT-L/14)", 1024: "Stable Diffusion 2.x (OpenCLIP ViT-H/14)"}
KNOWN_WIDTHS |= {2048: "SDXL (CLIP ViT-L/14 and OpenCLIP ViT-bigG/14)"}
LAYOUTS = {
    "token": "token: faithful to the published code, each token by itself and one attention over the prompt",
    "sequence": "sequence: attention over the tokens of one prompt, identity before training",
}


def describe(folder: Path) -> str:
    """
    One `name  value` line per fact: layout, text encoder, sizes, strength, training marks, configuration.

    Raises:
        ConfigError: The folder holds no adapter that loads; the sentence names file and remedy.
    """
    try:
        adapter = SURAdapter.load(folder)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    config = adapter.config
    width = config["hidden_size"]
    tokens = "any number" if config["layout"] == "token" else f"up to {config['max_length']}"
    file = folder / WEIGHTS_NAME
    facts = {
        "layout": LAYOUTS[config["layout"]],
        "text encoder": f"{width} wide, {tokens} tokens"
        + (f"; {KNOWN_WIDTHS[width]}" if width in KNOWN_WIDTHS else ""),
        "parameters": f"{sum(p.numel() for p in adapter.parameters()):,}",
        "file": f"{file.name}, {file.stat().st_size:,} bytes",
        "scale": f"{config['default_scale']:g} by default; eta {config['eta']:g}",
        "negative prompt": "adapted too" if config["adapt_negative"] else "left as it is",
        "padding": _padding(adapter),
        "trained for": " and ".join(config["text_encoder"] or ["a text encoder that it does not name"]),
        "teacher": f"{config['teacher_dim']} wide" if config["teacher_dim"] else "none in this checkpoint",
        "configuration": ", ".join(f"{k}={v}" for k, v in config.items() if k[0] != "_" and k != "text_encoder"),
    }
    longest = max(map(len, facts))
    return "\n".join(f"{name:<{longest}}  {value}" for name, value in facts.items())


def _padding(adapter: SURAdapter) -> str:
    if adapter.config["layout"] == "token" or not adapter.config["mask_padding"]:
        return "seen, as the UNet sees it"
    return "hidden from the words"
