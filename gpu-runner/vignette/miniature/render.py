"""Scenes to pictures: a place, shadows, things from far to near. 128 x 128 px, deterministic per seed."""

from __future__ import annotations

import random

from PIL import Image, ImageDraw, ImageFilter

from . import ink
from .art import posed
from .layout import HORIZON, SIZE, place_things
from .places import VARIANTS, background
from .poses import CANVAS, FEET, pose
from .world import FIRST, Group, Scene, World

_BACKGROUNDS = {"day": background, "ink": ink.background}
_SPANS = {1: (58, 78), 2: (46, 60), 3: (38, 48), 4: (33, 41)}


def _spots(rng: random.Random, scene: Scene) -> list[tuple[Group, float, float, float]]:
    """Where each thing stands: (group, centre x, feet y, size), in pixels, without crowding; flying things are high up."""
    members = [g for g in scene.groups for _ in range(g.count)]
    total = len(members)
    low, high = _SPANS[min(total, 4)]
    size = rng.uniform(low, high)
    slots = list(range(total))
    rng.shuffle(slots)
    ground = HORIZON[scene.place] * SIZE
    spots = []
    for group, slot in zip(members, slots, strict=True):
        width = SIZE / total
        x = (slot + 0.5) * width + rng.uniform(-0.12, 0.12) * width if total > 1 else rng.uniform(44, 84)
        x = min(max(x, size * 0.5), SIZE - size * 0.5)
        feet = rng.uniform(max(ground + 8, 92), 124)
        spots.append((group, x, feet, size * (0.86 + 0.14 * (feet - 92) / 32)))
    return sorted(spots, key=lambda spot: spot[2])


def _shade(image: Image.Image, shadows: Image.Image, style: str) -> None:
    """Darken `image` where `shadows`, "L", lie: washed flat in ink, soft by day."""
    if style == "ink":
        image.paste(ink.SHADOW, (0, 0), shadows)
    else:
        image.paste((20, 24, 40), (0, 0), shadows.filter(ImageFilter.GaussianBlur(1.2)))


def _render_first(scene: Scene, seed: int, style: str) -> Image.Image:
    rng = random.Random(f"{seed}/{scene}")
    image = _BACKGROUNDS[style](scene.place, rng.randrange(VARIANTS)).copy()
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    shadows = Image.new("L", (SIZE, SIZE))
    draw = ImageDraw.Draw(shadows)
    things: list[tuple[Image.Image, int, int]] = []
    for group, x, feet, size in _spots(rng, scene):
        canvas = round(size * 168 / 128)
        pose = (ink.posed if style == "ink" else posed)(group.thing, group.colour, group.action, rng.random() < 0.5)
        if group.action != "sleeping":
            pose = pose.rotate(rng.uniform(-6, 6), Image.Resampling.BICUBIC)
        pose = pose.resize((canvas, canvas), Image.Resampling.BICUBIC, reducing_gap=2.0)
        lift = {"jumping": size * rng.uniform(0.2, 0.3), "flying": rng.uniform(0.42, 0.55) * SIZE}.get(
            group.action or "", 0.0
        )
        reach = size * (0.40 if not lift else 0.28)
        draw.ellipse((x - reach, feet - reach * 0.26, x + reach, feet + reach * 0.26), fill=95 if not lift else 60)
        top = max(-round(canvas * 0.15), round(feet - lift - canvas))
        things.append((pose, round(x - canvas / 2), top))
    _shade(image, shadows, style)
    for pose, left, top in things:
        # paste() clips at the borders, alpha_composite() refuses negative offsets.
        image.paste(pose, (left, top), pose)
    return image


def _render_second(scene: Scene, seed: int, style: str) -> Image.Image:
    rng = random.Random(f"{seed}/{scene}")
    variant, mirrored = rng.randrange(VARIANTS), rng.random() < 0.5
    image = _BACKGROUNDS[style](scene.place, variant).copy()
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    spots = place_things(rng, scene)
    shadows = Image.new("L", (SIZE, SIZE))
    draw = ImageDraw.Draw(shadows)
    for spot in spots:
        wide = spot.size * (0.42 if not spot.lift else 0.27)
        draw.ellipse(
            (spot.x - wide, spot.ground - wide * 0.24, spot.x + wide, spot.ground + wide * 0.24),
            fill=60 if spot.lift else 105,
        )
    _shade(image, shadows, style)
    drawn = ink.pose if style == "ink" else pose
    for spot in spots:
        canvas = round(spot.size * CANVAS / 128)
        thing = drawn(spot.group.thing, spot.group.colour, spot.group.action, spot.mirrored)
        thing = thing.resize((canvas, canvas), Image.Resampling.BICUBIC, reducing_gap=2.0)
        if spot.tilt:
            thing = thing.rotate(spot.tilt, Image.Resampling.BICUBIC)
        top = max(round(spot.ground - spot.lift - canvas * FEET / CANVAS), -round(canvas * 0.08))
        # paste() clips at the borders, alpha_composite() refuses negative offsets.
        image.paste(thing, (round(spot.x - canvas / 2), top), thing)
    return image


def render(scene: Scene, seed: int, world: World = FIRST, style: str = "day") -> Image.Image:
    """Draw `scene` of `world` in one of its styles; equal seeds give equal pictures. Returns RGB, 128 x 128 px.

    The composition depends on scene and seed alone, so the styles show the same scene.
    Raises ValueError for a style that the world does not have.
    """
    if style not in world.styles:
        raise ValueError(f"the {world.name} edition is not drawn in style {style!r}, only in {', '.join(world.styles)}")
    return _render_first(scene, seed, style) if world is FIRST else _render_second(scene, seed, style)
