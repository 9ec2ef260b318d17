"""The ink style: a picture book of pen, washes and cut paper. The scenes and drawings are the day style's own.

Every thing is a paper cut-out: colour, pen line, and a rim of bare paper that sets it off from the place, night included.
"""

from __future__ import annotations

import math
import random
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from . import art, poses
from .layout import HORIZON, SIZE
from .places import VARIANTS

RGB = tuple[int, int, int]

PAPER: RGB = (248, 240, 222)
PEN: RGB = (42, 36, 54)
SHADOW: RGB = (112, 98, 96)
_FINE = SIZE * 2


def _blend(a: RGB, b: RGB, share: float) -> RGB:
    r, g, b_ = (round(x + (y - x) * share) for x, y in zip(a, b, strict=True))
    return r, g, b_


def _pen(
    draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], rng: random.Random, width: int = 3, fill: RGB = PEN
) -> None:
    """A line as a hand draws it: each point a little off."""
    draw.line(
        [(x + rng.uniform(-1, 1), y + rng.uniform(-1, 1)) for x, y in points], fill=fill, width=width, joint="curve"
    )


def _ridge(rng: random.Random, base: float, height: float) -> list[tuple[float, float]]:
    phase, waves = rng.uniform(0, 6.28), rng.uniform(0.8, 1.8)
    return [
        (x, base - height * (0.5 + 0.5 * math.sin(phase + waves * x / _FINE * 6.28))) for x in range(-8, _FINE + 16, 12)
    ]


def _land(draw: ImageDraw.ImageDraw, rng: random.Random, base: float, height: float, wash: RGB, pen: RGB = PEN) -> list:
    line = _ridge(rng, base, height)
    draw.polygon([*line, (_FINE, _FINE), (0, _FINE)], fill=wash)
    _pen(draw, line, rng, 3, pen)
    return line


def _sun(draw: ImageDraw.ImageDraw, rng: random.Random, fill: RGB, rays: bool) -> None:
    x, y, r = rng.choice((rng.uniform(30, 70), rng.uniform(186, 226))), rng.uniform(34, 50), 16
    draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=PEN, width=3)
    for i in range(12 if rays else 0):
        c, s = math.cos(i * math.pi / 6), math.sin(i * math.pi / 6)
        _pen(draw, [(x + c * (r + 6), y + s * (r + 6)), (x + c * (r + 14), y + s * (r + 14))], rng, 3)


def _hatch(
    draw: ImageDraw.ImageDraw, rng: random.Random, x: float, y: float, length: float, strokes: int, pen: RGB
) -> None:
    for i in range(strokes):
        _pen(draw, [(x + i * 7, y), (x + i * 7 - length * 0.6, y + length)], rng, 2, pen)


def _meadow(rng: random.Random, h: float) -> Image.Image:
    image = Image.new("RGB", (_FINE, _FINE), _blend(PAPER, (150, 202, 224), 0.55))
    draw = ImageDraw.Draw(image)
    _sun(draw, rng, (250, 214, 110), rays=True)
    _land(draw, rng, h + 8, 30, _blend(PAPER, (150, 186, 120), 0.7))
    _land(draw, rng, h + 24, 14, _blend(PAPER, (132, 176, 96), 0.8))
    for _ in range(11):
        x, y = rng.uniform(6, _FINE - 6), rng.uniform(h + 32, _FINE - 4)
        for dx in (-5, 0, 5):
            _pen(draw, [(x, y), (x + dx, y - 11)], rng, 2, (64, 92, 56))
    return image


def _snow(rng: random.Random, h: float) -> Image.Image:
    image = Image.new("RGB", (_FINE, _FINE), (170, 186, 202))
    draw = ImageDraw.Draw(image)
    _land(draw, rng, h + 6, 30, (218, 224, 228))
    for _ in range(rng.randint(3, 5)):
        x, y, s = rng.uniform(6, 250), h + rng.uniform(6, 14), rng.uniform(34, 52)
        outline = [(x - s * 0.34, y), (x, y - s), (x + s * 0.34, y), (x - s * 0.34, y)]
        draw.polygon(outline, fill=(136, 152, 160))
        _pen(draw, outline, rng, 3)
        _pen(draw, [(x, y), (x, y + 8)], rng, 3)
    _land(draw, rng, h + 22, 12, (250, 248, 242))
    for _ in range(5):
        x, y = rng.uniform(0, 220), rng.uniform(h + 40, _FINE - 8)
        _pen(draw, [(x, y), (x + 12, y - 3), (x + 26, y)], rng, 2, (170, 178, 190))
    for _ in range(30):
        x, y, r = rng.uniform(0, _FINE), rng.uniform(0, h), rng.uniform(2.2, 3.8)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=(255, 253, 246))
    return image


def _beach(rng: random.Random, h: float) -> Image.Image:
    image = Image.new("RGB", (_FINE, _FINE), _blend(PAPER, (178, 216, 226), 0.35))
    draw = ImageDraw.Draw(image)
    _sun(draw, rng, (252, 222, 130), rays=False)
    for _ in range(rng.randint(1, 3)):
        x, y = rng.uniform(40, 216), rng.uniform(24, 70)
        _pen(draw, [(x - 12, y - 4), (x - 5, y - 7), (x, y), (x + 5, y - 7), (x + 12, y - 4)], rng, 3)
    sea = h - 40
    draw.rectangle((0, sea, _FINE, h + 30), fill=(104, 168, 182))
    _pen(draw, [(0, sea), (_FINE // 2, sea), (_FINE, sea)], rng, 3)
    for row in range(3):
        y, shift = sea + 12 + row * 13, rng.uniform(0, 24)
        for x in range(-24, _FINE, 48):
            arc = [(x + shift + i * 5, y - 4 * math.sin(i * math.pi / 5)) for i in range(6)]
            _pen(draw, arc, rng, 3, (236, 240, 230))
    _land(draw, rng, h + 12, 10, (240, 214, 160))
    for _ in range(14):
        x, y = rng.uniform(0, _FINE), rng.uniform(h + 24, _FINE)
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(176, 142, 92))
    return image


def _night(rng: random.Random, h: float) -> Image.Image:
    image = Image.new("RGB", (_FINE, _FINE), (38, 40, 74))
    draw = ImageDraw.Draw(image)
    for _ in range(16):
        x, y, r = rng.uniform(0, _FINE), rng.uniform(0, h - 10), rng.uniform(3, 6)
        _pen(draw, [(x - r, y), (x + r, y)], rng, 2, PAPER)
        _pen(draw, [(x, y - r), (x, y + r)], rng, 2, PAPER)
    x, y = rng.uniform(36, 220), rng.uniform(32, 48)
    draw.ellipse((x - 20, y - 20, x + 20, y + 20), fill=PAPER)
    draw.ellipse((x - 10, y - 24, x + 26, y + 12), fill=(38, 40, 74))
    _land(draw, rng, h + 6, 30, (56, 60, 96), (150, 150, 170))
    line = _land(draw, rng, h + 20, 12, (44, 54, 76), (168, 166, 176))
    for x, y in line[::2]:
        _pen(draw, [(x, y + 8), (x - 8, y + 20)], rng, 2, (104, 108, 132))
    return image


def _desert(rng: random.Random, h: float) -> Image.Image:
    image = Image.new("RGB", (_FINE, _FINE), (246, 206, 150))
    draw = ImageDraw.Draw(image)
    _sun(draw, rng, (240, 146, 92), rays=False)
    for _ in range(rng.randint(1, 2)):
        x, w = rng.uniform(10, 210), rng.uniform(30, 52)
        mesa = [(x - w * 0.6, h + 14), (x - w * 0.42, h - 32), (x + w * 0.42, h - 32), (x + w * 0.6, h + 14)]
        draw.polygon(mesa, fill=(206, 132, 94))
        _pen(draw, mesa, rng, 3)
        _hatch(draw, rng, x + w * 0.06, h - 26, 26, 3, PEN)
    _land(draw, rng, h + 10, 24, (230, 166, 108))
    line = _land(draw, rng, h + 28, 20, (238, 184, 122))
    for x, y in line[::3]:
        _pen(draw, [(x, y + 14), (x + 14, y + 10), (x + 28, y + 14)], rng, 2, (168, 108, 70))
    return image


def _room(rng: random.Random, h: float) -> Image.Image:
    wall = rng.choice(((230, 214, 200), (216, 220, 204), (224, 210, 216)))
    image = Image.new("RGB", (_FINE, _FINE), wall)
    draw = ImageDraw.Draw(image)
    for x in range(rng.randint(4, 16), _FINE, 22):
        draw.line([(x, 0), (x, h)], fill=_blend(wall, (120, 96, 96), 0.22), width=5)
    left, y = rng.choice((rng.uniform(20, 50), rng.uniform(150, 178))), rng.uniform(16, 28)
    draw.rectangle((left, y, left + 58, y + 76), fill=(190, 216, 222), outline=PEN, width=4)
    _pen(draw, [(left + 29, y), (left + 29, y + 76)], rng, 3)
    _pen(draw, [(left, y + 38), (left + 58, y + 38)], rng, 3)
    draw.rectangle((0, h, _FINE, _FINE), fill=(198, 152, 112))
    _pen(draw, [(0, h), (128, h), (_FINE, h)], rng, 4)
    for i in range(-3, 12):
        _pen(draw, [(128 + (i - 4) * 30, h + 2), (128 + (i - 4) * 58, _FINE)], rng, 2, (120, 82, 60))
    return image


_PLACES = {"meadow": _meadow, "snow": _snow, "beach": _beach, "night": _night, "desert": _desert, "room": _room}


@lru_cache(maxsize=VARIANTS * len(_PLACES))
def background(place: str, variant: int) -> Image.Image:
    """The empty `place` in ink, RGB, 128 x 128 px; the image is cached: copy before drawing on it."""
    rng = random.Random(f"ink/{place}/{variant}")
    return _PLACES[place](rng, HORIZON[place] * _FINE).reduce(2)


def cut_out(flat: Image.Image) -> Image.Image:
    """A flat drawing, RGBA, as a cut-out: its colours a little off its pen lines, within a rim of paper; same size."""
    alpha = flat.getchannel("A").point(lambda v: 255 if v > 127 else 0)
    paper = Image.new("RGBA", flat.size, (*PAPER, 0))
    paper.putalpha(alpha.filter(ImageFilter.MaxFilter(15)).filter(ImageFilter.GaussianBlur(1)))
    line = alpha.filter(ImageFilter.MaxFilter(7)).filter(ImageFilter.GaussianBlur(0.8))
    paper.paste(PEN, (0, 0), line)
    pixels = np.asarray(flat, np.float32)
    # Washes: fewer tones of the same hues, a touch of the paper under each, and a slope of light from above.
    value = pixels[..., :3].max(-1, keepdims=True).clip(1)
    tones = pixels[..., :3] * (np.round(value / 255 * 5) / 5 * 255 / value)
    slope = np.linspace(1.06, 0.9, pixels.shape[0], dtype=np.float32)[:, None, None]
    wash = (0.9 * (0.35 * pixels[..., :3] + 0.65 * tones) + 0.1 * np.array(PAPER, np.float32)) * slope
    colours = Image.fromarray(np.clip(wash, 0, 255).astype(np.uint8), "RGB")
    paper.paste(colours, (0, 0), flat.getchannel("A"))
    grey = Image.composite(flat.convert("L"), Image.new("L", flat.size, 255), alpha)
    edges = grey.filter(ImageFilter.FIND_EDGES).point(lambda v: 190 if v > 60 else 0)
    inside = ImageChops.multiply(edges, alpha.filter(ImageFilter.MinFilter(7)))
    paper.paste(PEN, (0, 0), inside.filter(ImageFilter.GaussianBlur(0.7)))
    return paper


@lru_cache(maxsize=4096)
def posed(thing: str, colour: str | None, action: str | None, mirrored: bool) -> Image.Image:
    """`art.posed`, the first edition's pose, as a cut-out."""
    return cut_out(art.posed(thing, colour, action, mirrored))


@lru_cache(maxsize=4096)
def pose(thing: str, colour: str | None, action: str | None, mirrored: bool) -> Image.Image:
    """`poses.pose`, the second edition's, as a cut-out."""
    return cut_out(poses.pose(thing, colour, action, mirrored))
