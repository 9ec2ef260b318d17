"""Editions of the miniature's world: the first stays as its weights know it, to the byte; the second is DESIGN's."""

import hashlib
import json
import random

import numpy as np
import pytest

from vignette.miniature import tokenizer
from vignette.miniature.captions import caption, narrative
from vignette.miniature.data import build, load, scene_at, scene_to_dict
from vignette.miniature.layout import SIZE, place_things
from vignette.miniature.poses import FEET, pose
from vignette.miniature.render import render
from vignette.miniature.world import FIRST, MAX_COUNT, SECOND, Group, Scene, is_held_out, sample_scene, world_named


def _hash(value: str | bytes) -> str:
    return hashlib.sha256(value if isinstance(value, bytes) else value.encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def first_scenes():
    rng = random.Random(5)
    return [scene_at(i, 1) for i in range(21)] + [sample_scene(rng, held_out=True) for _ in range(21)]


def test_the_first_edition_still_samples_its_scenes(first_scenes):
    assert _hash(json.dumps([scene_to_dict(s) for s in first_scenes])) == "42da27ffd8a4522f"
    assert _hash("\n".join(s.keywords for s in first_scenes)) == "d2b185b6e1468161"


def test_the_first_edition_still_draws_its_pictures(first_scenes):
    pictures = b"".join(np.asarray(render(s, i)).tobytes() for i, s in enumerate(first_scenes))
    assert _hash(pictures) == "e30a43104ee9fba5"
    inked = b"".join(np.asarray(render(s, i, style="ink")).tobytes() for i, s in enumerate(first_scenes))
    assert _hash(inked) == "a86449867d172888"


def test_the_first_edition_still_writes_its_sentences(first_scenes):
    rng = random.Random(6)
    trained = [narrative(s, rng) for s in first_scenes[:21]]
    held_out = [narrative(s, rng, True) for s in first_scenes[:21]]
    plain = [caption(s, rng) for s in first_scenes[:21]]
    assert [_hash("\n".join(t)) for t in (trained, held_out, plain)] == [
        "8001a7eab9b2d1e9",
        "a7d33f2febef9a11",
        "8a7f1a2f2154edf6",
    ]
    assert _hash("\n".join(tokenizer._corpus(1, "first", lines=200))) == "af8ed9ed72615029"


def test_the_second_edition_knows_56_things_with_a_drawing_each():
    from vignette.miniature.art import drawing_file

    assert len(SECOND.things) == len(set(SECOND.things)) == 56
    assert set(FIRST.things) <= set(SECOND.things)
    assert all(drawing_file(thing).is_file() for thing in SECOND.things)


def test_scenes_of_the_second_edition_keep_to_its_rules():
    rng = random.Random(1)
    scenes = [sample_scene(rng, world=SECOND) for _ in range(3000)]
    assert {g.thing for s in scenes for g in s.groups} == set(SECOND.things)
    assert not any(s.held_out for s in scenes)
    for scene in scenes:
        assert scene.place in SECOND.places
        assert 1 <= sum(g.count for g in scene.groups) <= MAX_COUNT
        assert all(g.action is None or g.thing in SECOND.animals for g in scene.groups)
    assert any(len({g.action for g in s.groups}) == 2 for s in scenes)


def test_an_asked_for_held_out_scene_holds_an_untrained_combination():
    rng = random.Random(2)
    for _ in range(200):
        scene = sample_scene(rng, held_out=True, world=SECOND)
        assert any(is_held_out(group, scene.place) for group in scene.groups)


def test_an_unknown_edition_is_named_with_those_that_exist():
    with pytest.raises(ValueError, match=r"no edition 'third'.*first, second"):
        world_named("third")


SLEEPERS = Scene((Group("cat", 2, "purple", "sleeping"), Group("pine tree")), "beach")


@pytest.mark.parametrize("style", SECOND.styles)
def test_a_style_draws_equal_seeds_alike_and_other_seeds_otherwise(style):
    one, same, other = (np.asarray(render(SLEEPERS, seed, SECOND, style)) for seed in (7, 7, 8))
    assert one.shape == (128, 128, 3)
    assert (one == same).all()
    assert (one != other).any()


def test_the_styles_are_clearly_different_pictures_of_the_same_scene():
    differences = []
    for i in range(12):
        scene = scene_at(i, 3, SECOND)
        day, ink = (np.asarray(render(scene, i, SECOND, style), np.int16) for style in SECOND.styles)
        differences.append(np.abs(day - ink).mean())
    assert min(differences) > 8


def test_a_style_that_the_world_lacks_is_refused_by_name():
    with pytest.raises(ValueError, match="first edition is not drawn in style 'oil', only in day, ink"):
        render(SLEEPERS, 0, FIRST, "oil")


@pytest.mark.parametrize("animal", SECOND.animals)
def test_every_animal_has_its_own_picture_of_every_action(animal):
    drawn = [np.asarray(pose(animal, None, action, False)) for action in (None, *SECOND.actions)]
    for i, one in enumerate(drawn):
        assert one[..., 3].max() == 255
        for other in drawn[i + 1 :]:
            assert (one != other).any(-1).mean() > 0.1


def test_whoever_stands_or_sleeps_touches_the_feet_line():
    for thing in SECOND.things:
        rows = np.nonzero(np.asarray(pose(thing, None, None, False))[..., 3].max(1) > 127)[0]
        assert FEET - 4 <= rows.max() < FEET + 1, thing
    for animal in SECOND.animals:
        rows = np.nonzero(np.asarray(pose(animal, None, "sleeping", False))[..., 3].max(1) > 127)[0]
        assert FEET - 4 <= rows.max() < FEET + 6, animal


def test_flyers_are_in_the_sky_and_the_rest_on_the_ground():
    rng = random.Random(9)
    for i in range(500):
        scene = sample_scene(rng, world=SECOND)
        spots = place_things(random.Random(i), scene)
        assert len(spots) == sum(g.count for g in scene.groups)
        for spot in spots:
            feet = spot.ground - spot.lift
            assert (feet < 0.56 * SIZE) == (spot.group.action == "flying")
            assert spot.ground <= SIZE
            assert 0 < spot.x < SIZE


def test_the_renderer_writes_the_second_edition_and_its_style_to_disk(tmp_path):
    build(tmp_path, 3, seed=1, workers=1, world=SECOND, styles=("ink",))
    images, scenes = load(tmp_path)
    assert scenes == [scene_at(i, 1, SECOND) for i in range(3)]
    assert (images[2] == np.asarray(render(scenes[2], 2, SECOND, "ink"))).all()
