"""The second edition's poses: at rest, asleep under a blanket, in mid-jump, on wings; in the day style's flat colours.

A pose is an RGBA canvas of 176 x 176 px whose feet line lies at `FEET`; the drawing is 112 px high or wide on it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from .art import SPRITE, rasterise, sprite
from .drawings import FACTS, Facts

CANVAS = 176
FEET = 168
_MIDDLE = CANVAS // 2
_UNIT = SPRITE / 32
_INK = (44, 40, 62, 255)

RGBA = tuple[int, int, int, int]

_WING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">'
    '<path fill="{fill}" stroke="{edge}" stroke-width="1.5" stroke-linejoin="round" d="M30.5 25C25 28.5 14 28 8.5 23.5'
    "c2.5.3 4-.1 5-.9C8.5 21.5 5 18.5 3.3 14.5c2.7 1 5 1 6.7.4C6 12 3 7.5 2 2c9 .5 23 5 27.5 13 1.8 3.3"
    ' 2 7 1 10Z"/><path fill="none" stroke="{edge}" stroke-width="1.2" stroke-linecap="round" d="M13.5 22.600c4 .9 8 .6'
    ' 11-.8M10 14.900c4 3 8.5 4 13 3.2"/></svg>'
)
_BLANKET = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32" width="32" height="32">'
    '<path fill="#a4938a" d="M3 8C7 5 25 5 29 8c1.5 7 2 15 2 24H1c0-9 .5-17 2-24Z"/>'
    '<path fill="#c3b2a4" d="M2.1 14h27.7l.5 5H1.5zM1.2 25h29.600l.2 5H1z"/>'
    '<path fill="#fdf8ee" stroke="#b7a698" stroke-width="1" d="M2.5 7C7 3 25 3 29.5 7c1.5 1.5.5 5-1.5 4.5C22 9 10 9'
    ' 4 11.5 2 12 1 8.5 2.5 7Z"/></svg>'
)


@lru_cache(maxsize=64)
def _wing(fill: str, edge: str, size: int) -> Image.Image:
    return rasterise(_WING.format(fill=fill, edge=edge), size)


@lru_cache(maxsize=64)
def _blanket(width: int, height: int) -> Image.Image:
    return rasterise(_BLANKET, 128).resize((width, height), Image.Resampling.BICUBIC)


def _hex(rgb: np.ndarray) -> str:
    return "#" + "".join(f"{int(v):02x}" for v in np.clip(rgb, 0, 255))


def _main_colour(body: Image.Image) -> np.ndarray:
    pixels = np.asarray(body, np.float32).reshape(-1, 4)
    solid = pixels[(pixels[:, 3] > 200) & (pixels[:, :3].max(1) > 90)][:, :3]
    return np.median(solid, axis=0)


def _close_eyes(body: Image.Image, facts: Facts) -> None:
    """Paint each eye over with the colour around it and draw a lid's arc."""
    pixels = np.asarray(body)
    draw = ImageDraw.Draw(body)
    for x, y, radius in facts.eyes:
        if radius == 0:
            continue
        cx, cy, r = x * _UNIT, y * _UNIT, radius * _UNIT + 1.5
        angles = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        ring = pixels[
            np.clip(cy + np.sin(angles) * (r + 2.5), 0, SPRITE - 1).astype(int),
            np.clip(cx + np.cos(angles) * (r + 2.5), 0, SPRITE - 1).astype(int),
        ]
        skin = np.median(ring[ring[:, 3] > 200], axis=0) if (ring[:, 3] > 200).any() else np.array([200] * 3)
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=(*(int(v) for v in skin[:3]), 255))
        lid = max(r, 6.0)
        draw.arc((cx - lid, cy - lid, cx + lid, cy + lid * 0.8), 20, 160, fill=_INK, width=4)


def _stand(body: Image.Image, width: float = 1.0, height: float = 1.0) -> tuple[Image.Image, tuple[int, int]]:
    """The drawing cut to its outline and scaled, and where its top left goes so that its feet meet the feet line."""
    cut = body.crop(body.getbbox())
    if (width, height) != (1.0, 1.0):
        cut = cut.resize((round(cut.width * width), round(cut.height * height)), Image.Resampling.BICUBIC)
    return cut, (_MIDDLE - cut.width // 2, FEET - cut.height)


def _asleep(body: Image.Image, facts: Facts, canvas: Image.Image) -> None:
    _close_eyes(body, facts)
    cut, (left, top) = _stand(body, 1.0, 0.88)
    canvas.alpha_composite(cut, (left, top))
    height = max(26, round(cut.height * facts.tucked)) + 6
    canvas.alpha_composite(_blanket(132, height), (_MIDDLE - 66, FEET - height + 4))
    draw = ImageDraw.Draw(canvas)
    for x, y, size in ((110, max(top - 18, 26), 20), (130, max(top - 44, 4), 26)):
        points = [(x, y), (x + size, y), (x, y + size), (x + size, y + size)]
        draw.line(points, fill=(255, 255, 255, 255), width=13, joint="curve")
        draw.line(points, fill=(46, 58, 120, 255), width=6, joint="curve")


def _mid_jump(body: Image.Image, facts: Facts, canvas: Image.Image) -> None:
    angle = -20 if facts.facing == "left" else 9
    cut, (left, top) = _stand(body.rotate(angle, Image.Resampling.BICUBIC), 0.96, 1.04)
    canvas.alpha_composite(cut, (left, max(top - 36, 0)))
    draw = ImageDraw.Draw(canvas)
    for x, bottom in ((58, 158), (88, 172), (118, 158)):
        draw.rounded_rectangle((x - 7, 136, x + 7, bottom), 7, fill=(255, 255, 255, 255), outline=_INK, width=3)


def _airborne(body: Image.Image, facts: Facts, canvas: Image.Image) -> None:
    if facts.wings == "own":
        main = _main_colour(body)
        fill, edge = _hex(main + (255 - main) * 0.35), _hex(main * 0.55)
    else:
        fill, edge = "#fbfcff", "#8c9cc0"
    if facts.wings == "none":
        cut, (left, top) = _stand(body, 0.95, 0.95)
        canvas.alpha_composite(cut, (left, top - 34))
        draw = ImageDraw.Draw(canvas)
        for i in range(7):
            x, y = 30 + i * 17, 150 + round(12 * np.sin(i * 1.1))
            draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=(255, 255, 255, 255), outline=(110, 120, 160, 255), width=2)
        return
    if facts.facing == "front":
        wing = _wing(fill, edge, 84)
        canvas.alpha_composite(wing, (0, 36))
        canvas.alpha_composite(wing.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (CANVAS - 84, 36))
        cut, (left, top) = _stand(body, 0.86, 0.86)
        canvas.alpha_composite(cut, (left, top - 16))
        return
    body = body.rotate(-8, Image.Resampling.BICUBIC)
    box = body.getbbox() or (0, 0, 0, 0)
    cut, (left, top) = _stand(body, 0.92, 0.92)
    top -= 4
    # The shoulder of the mirrored wing is at the left of its box: it grows from the back up and rearwards.
    wing = _wing(fill, edge, 88).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    x = left + round((facts.back[0] * _UNIT - box[0]) * 0.92)
    y = top + round((facts.back[1] * _UNIT - box[1]) * 0.92)
    far = wing.rotate(24, Image.Resampling.BICUBIC)
    canvas.alpha_composite(far, (max(0, min(x - 26, CANVAS - 88)), max(0, y - 74)))
    canvas.alpha_composite(cut, (left, top))
    canvas.alpha_composite(wing, (max(0, min(x - 6, CANVAS - 88)), max(0, y - 66)))


_ACTS = {"sleeping": _asleep, "jumping": _mid_jump, "flying": _airborne}


@lru_cache(maxsize=4096)
def pose(thing: str, colour: str | None, action: str | None, mirrored: bool) -> Image.Image:
    """`thing` tinted `colour` (None: natural) doing `action` (None: at rest); `mirrored` faces the other way."""
    canvas = Image.new("RGBA", (CANVAS, CANVAS))
    body = sprite(thing, colour).copy()
    if action is None:
        cut, at = _stand(body)
        canvas.alpha_composite(cut, at)
    else:
        _ACTS[action](body, FACTS[thing], canvas)
    return canvas.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored else canvas
