"""The day style's places: flat colours, a sky worth looking at. Each place has 256 variants, drawn twice as fine and reduced."""

from __future__ import annotations

import math
import random
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from .layout import HORIZON, SIZE

_FINE = SIZE * 2

RGB = tuple[int, int, int]


def _jitter(rng: random.Random, rgb: RGB, amount: int = 10) -> RGB:
    r, g, b = (max(0, min(255, c + rng.randint(-amount, amount))) for c in rgb)
    return r, g, b


def _gradient(top: RGB, bottom: RGB, height: int = _FINE) -> Image.Image:
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    column = np.array(top, np.float32) * (1 - ramp) + np.array(bottom, np.float32) * ramp
    return Image.fromarray(np.repeat(column.round().astype(np.uint8), _FINE, axis=1), "RGB")


def _hills(draw: ImageDraw.ImageDraw, rng: random.Random, base: float, height: float, fill: RGB) -> None:
    phase, waves = rng.uniform(0, 6.28), rng.uniform(1.0, 2.2)
    line = [
        (x, base - height * (0.5 + 0.5 * math.sin(phase + waves * x / _FINE * 6.28))) for x in range(0, _FINE + 8, 8)
    ]
    draw.polygon([*line, (_FINE, _FINE), (0, _FINE)], fill=fill)


def _cloud(draw: ImageDraw.ImageDraw, x: float, y: float, size: float, fill: RGB) -> None:
    for dx, dy, r in ((-0.9, 0.15, 0.5), (0, -0.1, 0.75), (0.9, 0.15, 0.55), (0.3, 0.25, 0.6)):
        draw.ellipse(
            (x + (dx - r) * size, y + (dy - r * 0.7) * size, x + (dx + r) * size, y + (dy + r * 0.7) * size), fill=fill
        )


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, r: float, fill: RGB) -> None:
    draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _meadow(rng: random.Random, h: float) -> Image.Image:
    image = _gradient(_jitter(rng, (92, 170, 238)), (206, 234, 250))
    draw = ImageDraw.Draw(image)
    _disc(draw, rng.choice((rng.uniform(20, 60), rng.uniform(196, 236))), rng.uniform(22, 44), 17, (255, 240, 150))
    for _ in range(rng.randint(1, 3)):
        _cloud(draw, rng.uniform(20, 236), rng.uniform(24, 84), rng.uniform(15, 24), (250, 252, 255))
    _hills(draw, rng, h + 10, 28, _jitter(rng, (132, 196, 110)))
    _hills(draw, rng, h + 22, 14, _jitter(rng, (106, 182, 82)))
    for _ in range(12):
        x, y = rng.uniform(0, _FINE), rng.uniform(h + 26, _FINE)
        _disc(draw, x, y, 2.6, rng.choice(((255, 255, 255), (255, 226, 110))))
        draw.line([(x - 10, y + 6), (x - 7, y - 1)], fill=(78, 150, 62), width=2)
    return image


def _snow(rng: random.Random, h: float) -> Image.Image:
    image = _gradient(_jitter(rng, (168, 196, 222)), (228, 238, 246))
    draw = ImageDraw.Draw(image)
    _hills(draw, rng, h + 6, 30, _jitter(rng, (208, 222, 236), 6))
    for _ in range(rng.randint(3, 5)):
        x, y, s = rng.uniform(6, 250), h + rng.uniform(4, 14), rng.uniform(16, 28)
        for k in range(3):
            w = s * (0.36 + 0.14 * k)
            top = y - s * (1.5 - 0.45 * k)
            draw.polygon([(x, top), (x - w, top + s * 0.62), (x + w, top + s * 0.62)], fill=(112, 148, 148))
    _hills(draw, rng, h + 20, 12, (244, 248, 252))
    for _ in range(36):
        _disc(draw, rng.uniform(0, _FINE), rng.uniform(0, _FINE), rng.uniform(1.4, 3.0), (255, 255, 255))
    return image


def _beach(rng: random.Random, h: float) -> Image.Image:
    image = _gradient(_jitter(rng, (100, 194, 240)), (226, 244, 250))
    draw = ImageDraw.Draw(image)
    if rng.random() < 0.7:
        _disc(draw, rng.uniform(30, 226), rng.uniform(24, 50), 15, (255, 246, 190))
    if rng.random() < 0.6:
        _cloud(draw, rng.uniform(20, 236), rng.uniform(20, 70), rng.uniform(14, 22), (252, 254, 255))
    sea = h - 40
    draw.rectangle((0, sea, _FINE, h + 30), fill=_jitter(rng, (28, 140, 196)))
    draw.rectangle((0, sea + 22, _FINE, h + 30), fill=_jitter(rng, (52, 176, 208)))
    for _ in range(9):
        x, y = rng.uniform(0, _FINE), rng.uniform(sea + 6, h - 4)
        draw.line([(x, y), (x + rng.uniform(10, 26), y)], fill=(186, 228, 240), width=2)
    _hills(draw, rng, h + 8, 12, (240, 248, 250))
    _hills(draw, rng, h + 13, 12, _jitter(rng, (244, 220, 162), 6))
    for _ in range(8):
        _disc(draw, rng.uniform(0, _FINE), rng.uniform(h + 24, _FINE), 2.2, (220, 190, 128))
    return image


def _night(rng: random.Random, h: float) -> Image.Image:
    image = _gradient(_jitter(rng, (12, 16, 58), 6), (56, 56, 118))
    draw = ImageDraw.Draw(image)
    for _ in range(34):
        _disc(draw, rng.uniform(0, _FINE), rng.uniform(0, h), rng.uniform(0.9, 2.4), (250, 246, 214))
    x, y = rng.uniform(30, 226), rng.uniform(26, 50)
    _disc(draw, x, y, 18, (250, 240, 196))
    _disc(draw, x + 8, y - 5, 15, (24, 28, 76))
    _hills(draw, rng, h + 8, 30, _jitter(rng, (36, 40, 88), 5))
    _hills(draw, rng, h + 18, 12, _jitter(rng, (30, 52, 72), 5))
    return image


def _desert(rng: random.Random, h: float) -> Image.Image:
    image = _gradient(_jitter(rng, (248, 168, 96)), (254, 222, 160))
    draw = ImageDraw.Draw(image)
    _disc(draw, rng.uniform(30, 226), rng.uniform(34, 80), 22, (255, 244, 206))
    for _ in range(rng.randint(1, 2)):
        x, w = rng.uniform(0, 220), rng.uniform(34, 60)
        draw.polygon(
            [(x - w * 0.6, h + 14), (x - w * 0.4, h - 34), (x + w * 0.4, h - 34), (x + w * 0.6, h + 14)],
            fill=_jitter(rng, (196, 108, 74)),
        )
    _hills(draw, rng, h + 8, 22, _jitter(rng, (226, 150, 88)))
    _hills(draw, rng, h + 26, 20, _jitter(rng, (238, 176, 106)))
    return image


def _room(rng: random.Random, h: float) -> Image.Image:
    wall = _jitter(rng, rng.choice(((232, 214, 190), (214, 222, 206), (222, 210, 222))), 6)
    image = Image.new("RGB", (_FINE, _FINE), wall)
    draw = ImageDraw.Draw(image)
    x, y = rng.choice((rng.uniform(16, 50), rng.uniform(150, 182))), rng.uniform(14, 26)
    draw.rectangle((x - 4, y - 4, x + 60, y + 76), fill=(250, 248, 242))
    draw.rectangle((x + 1, y + 1, x + 55, y + 71), fill=_jitter(rng, (158, 206, 236)))
    draw.line([(x + 28, y), (x + 28, y + 72)], fill=(250, 248, 242), width=4)
    draw.line([(x, y + 36), (x + 56, y + 36)], fill=(250, 248, 242), width=4)
    floor = _jitter(rng, (176, 122, 78), 8)
    draw.rectangle((0, h, _FINE, _FINE), fill=floor)
    draw.rectangle((0, h - 5, _FINE, h), fill=(246, 240, 230))
    dark = tuple(int(c * 0.85) for c in floor)
    for i in range(-3, 12):
        draw.line([(128 + (i - 4) * 26, h + 1), (128 + (i - 4) * 52, _FINE)], fill=dark, width=2)
    return image


_PLACES = {"meadow": _meadow, "snow": _snow, "beach": _beach, "night": _night, "desert": _desert, "room": _room}
VARIANTS = 256


@lru_cache(maxsize=VARIANTS * len(_PLACES))
def background(place: str, variant: int) -> Image.Image:
    """The empty `place`, RGB, 128 x 128 px; the image is cached: copy before drawing on it."""
    rng = random.Random(f"{place}/{variant}")
    return _PLACES[place](rng, HORIZON[place] * _FINE).reduce(2)
