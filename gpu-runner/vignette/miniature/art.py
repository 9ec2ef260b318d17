"""Sprites: the open drawings of `miniature/art`, rasterised and tinted; and the first edition's poses."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

ART = Path(__file__).resolve().parents[2] / "miniature" / "art"
SPRITE = 128
TINT_RGB = {
    "red": (222, 36, 44),
    "orange": (250, 134, 20),
    "yellow": (252, 214, 40),
    "green": (40, 166, 70),
    "blue": (40, 104, 232),
    "purple": (136, 62, 196),
    "pink": (250, 120, 190),
}


def drawing_file(thing: str) -> Path:
    """The SVG file of `thing`."""
    return ART / f"{thing.replace(' ', '_')}.svg"


def rasterise(svg: str, size: int = SPRITE) -> Image.Image:
    """A drawing that declares 32 x 32 px as RGBA, `size` x `size` px."""
    import resvg_py

    svg = svg.replace('width="32" height="32"', f'width="{size}" height="{size}"')
    return Image.open(io.BytesIO(bytes(resvg_py.svg_to_bytes(svg_string=svg)))).convert("RGBA")


def _tint(image: Image.Image, rgb: tuple[int, int, int]) -> Image.Image:
    """Keep the drawing's light and dark, replace its hue: dark stays dark (eyes, outlines), the rest runs from shade to highlight."""
    pixels = np.asarray(image, np.float32)
    colour, alpha = pixels[..., :3], pixels[..., 3:]
    light = (colour @ np.array([0.299, 0.587, 0.114], np.float32))[..., None] / 255
    value = colour.max(-1, keepdims=True) / 255
    body = light[(value > 0.36) & (alpha > 128)]
    # Drawings differ in brightness: the typical tone of each becomes the tint itself, or dark ones would turn yellow into olive.
    light = np.clip(light * (0.6 / max(float(np.median(body)), 0.15)), 0, 1) if body.size else light
    target = np.array(rgb, np.float32)
    shade, glow = target * 0.42, target + (255 - target) * 0.55
    tinted = np.where(
        light < 0.6, shade + (target - shade) * light / 0.6, target + (glow - target) * (light - 0.6) / 0.4
    )
    dark = np.clip((0.34 - value) / 0.1, 0, 1)
    return Image.fromarray(
        np.concatenate([tinted * (1 - dark) + colour * dark, alpha], -1).round().astype(np.uint8), "RGBA"
    )


@lru_cache(maxsize=512)
def sprite(thing: str, colour: str | None) -> Image.Image:
    """An RGBA drawing of `thing`, 128 x 128 px, in its natural colours (`colour` None) or tinted."""
    image = rasterise(drawing_file(thing).read_text())
    return image if colour is None else _tint(image, TINT_RGB[colour])


@lru_cache(maxsize=1)
def _wing() -> Image.Image:
    wing = Image.new("RGBA", (72, 72))
    draw = ImageDraw.Draw(wing)
    for i, (w, h) in enumerate(((60, 26), (46, 24), (32, 22))):
        top = 8 + i * 15
        draw.ellipse((70 - w, top, 71, top + h), fill=(255, 255, 255, 255), outline=(150, 170, 205, 255), width=3)
    return wing


@lru_cache(maxsize=2048)
def posed(thing: str, colour: str | None, action: str | None, mirrored: bool) -> Image.Image:
    """The drawing in the pose of `action`, on a 168 x 168 px canvas: lying with Zs, tilted in a jump with motion marks, or winged."""
    body = sprite(thing, colour)
    if mirrored:
        body = body.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    canvas = Image.new("RGBA", (168, 168))
    draw = ImageDraw.Draw(canvas)
    if action == "sleeping":
        lying = body.rotate(-90 if mirrored else 90, Image.Resampling.BICUBIC).resize(
            (128, 112), Image.Resampling.BICUBIC
        )
        canvas.alpha_composite(lying, (20, 54))
        for x, y, size in ((96, 36, 20), (120, 14, 27)):
            points = [(x, y), (x + size, y), (x, y + size), (x + size, y + size)]
            draw.line(points, fill=(35, 50, 110, 255), width=10, joint="curve")
            draw.line(points, fill=(235, 242, 255, 255), width=5, joint="curve")
    elif action == "jumping":
        canvas.alpha_composite(body.rotate(-22 if mirrored else 22, Image.Resampling.BICUBIC, expand=False), (20, 4))
        for x, bottom in ((44, 150), (84, 164), (124, 150)):
            draw.line([(x, 136), (x, bottom)], fill=(60, 60, 70, 255), width=9)
            draw.line([(x, 137), (x, bottom - 1)], fill=(255, 255, 255, 255), width=5)
    elif action == "flying":
        wing = _wing()
        canvas.alpha_composite(wing, (0, 30))
        canvas.alpha_composite(wing.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (96, 30))
        canvas.alpha_composite(body.resize((112, 112), Image.Resampling.BICUBIC), (28, 36))
    else:
        canvas.alpha_composite(body, (20, 40))
    return canvas
