"""The miniature's world: scenes, sentences and pictures."""

import random

import numpy as np
import pytest

from vignette.miniature.captions import HELD_OUT, HELD_OUT_COLOURED, NARRATIVES, NARRATIVES_COLOURED, PLAIN, narrative
from vignette.miniature.render import render
from vignette.miniature.words import NOUNS, PLACE_PHRASES, VERBS
from vignette.miniature.world import ACTIONS, ANIMALS, OBJECTS, PLACES, THINGS, Group, Scene, sample_scene

CATS = Scene((Group("cat", 3, "purple", "sleeping"),), "beach")


def test_keyword_prompt_has_the_agreed_form():
    assert CATS.keywords == "3cat, purple cat, sleeping, beach background"


def test_keyword_prompt_of_two_natural_kinds_names_neither_colour_nor_action():
    scene = Scene((Group("tree", 2), Group("house")), "snow")
    assert scene.keywords == "2tree, 1house, snow background"


def test_training_scenes_never_hold_a_held_out_combination():
    rng = random.Random(0)
    assert not any(sample_scene(rng).held_out for _ in range(2000))
    assert all(sample_scene(rng, held_out=True).held_out for _ in range(200))


def test_only_animals_act():
    rng = random.Random(1)
    for _ in range(2000):
        for group in sample_scene(rng).groups:
            assert group.action is None or group.thing in ANIMALS
            assert 1 <= group.count <= 4


def test_held_out_shapes_are_none_of_the_trained_ones():
    trained = {*PLAIN, *NARRATIVES, *NARRATIVES_COLOURED}
    assert not trained & {*HELD_OUT, *HELD_OUT_COLOURED}


def test_every_thing_action_and_place_has_words():
    assert set(NOUNS) == set(THINGS) == {*ANIMALS, *OBJECTS}
    assert set(VERBS) == {None, *ACTIONS}
    assert set(PLACE_PHRASES) == set(PLACES)


@pytest.mark.parametrize("held_out", [False, True])
def test_a_narrative_says_everything_the_scene_holds(held_out):
    rng = random.Random(2)
    for _ in range(500):
        scene = sample_scene(rng)
        text = narrative(scene, rng, held_out).lower()
        assert any(phrase.lower() in text for phrase in PLACE_PHRASES[scene.place]), text
        for group in scene.groups:
            assert any(word in text for pair in NOUNS[group.thing] for word in pair), text
        assert "{" not in text
        assert "  " not in text


def test_equal_seeds_draw_equal_pictures_and_other_seeds_do_not():
    one, same, other = (np.asarray(render(CATS, seed)) for seed in (7, 7, 8))
    assert one.shape == (128, 128, 3)
    assert (one == same).all()
    assert (one != other).any()


def test_a_tint_changes_the_drawing_and_keeps_its_outline():
    from vignette.miniature.art import sprite

    natural, tinted = np.asarray(sprite("frog", None)), np.asarray(sprite("frog", "purple"))
    assert (natural[..., 3] == tinted[..., 3]).all()
    solid = tinted[tinted[..., 3] == 255][:, :3].astype(int)
    bright = solid[solid.max(1) > 100]
    assert (bright[:, 2] >= bright[:, 1]).mean() > 0.95  # purple: blue above green
