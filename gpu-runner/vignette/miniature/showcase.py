"""The README's picture: sentences drawn without and with the adapter, from the same seeds."""

from __future__ import annotations

import textwrap
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from PIL import Image, ImageDraw, ImageFont

from vignette.sur.adapter import SURAdapter

from .sample import sample
from .text import hidden_states

SENTENCES = (
    "three little purple cats have fallen asleep on the beach",
    "my son wants a green frog that jumps around in the living room",
    "believe it or not, two blue elephants flew over the snow today",
    "grandpa's old guitar, bright yellow, was left in the desert",
    "can you paint four red tulips in the grass?",
    "it was a clear night, and a pink house stood under the stars",
)
_SCALE, _GAP, _TEXT = 2, 8, 46


def draw(weights: Path, output: Path, first_seed: int = 1, style: str = "day") -> None:
    """Write `output` (PNG): a column a sentence, seeds counting up from `first_seed`; above without, below with the adapter."""
    pipe = StableDiffusionPipeline.from_pretrained(
        weights / style, local_files_only=True, use_safetensors=True, dtype=torch.float32
    )
    adapter = SURAdapter.load(weights / "adapters" / "sur").float()
    plain = hidden_states(pipe.text_encoder, pipe.tokenizer, list(SENTENCES))
    empty = hidden_states(pipe.text_encoder, pipe.tokenizer, [""])
    seeds = list(range(first_seed, first_seed + len(SENTENCES)))
    with torch.no_grad():
        contexts = (plain, adapter(plain.float()))
    side = 128 * _SCALE
    sheet = Image.new("RGB", (len(SENTENCES) * (side + _GAP) + _GAP, 2 * (side + _GAP) + _GAP + _TEXT), "white")
    for row, context in enumerate(contexts):
        pictures = sample(pipe.unet, pipe.vae, pipe.scheduler, context, empty, seeds)
        for column, picture in enumerate(pictures):
            large = Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS)
            sheet.paste(large, (_GAP + column * (side + _GAP), _GAP + row * (side + _GAP)))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    for column, sentence in enumerate(SENTENCES):
        lines = "\n".join(textwrap.wrap(sentence, 38))
        pen.multiline_text(
            (_GAP + column * (side + _GAP), 2 * (side + _GAP) + _GAP), lines, fill=(40, 40, 48), font=font
        )
    sheet.save(output)
