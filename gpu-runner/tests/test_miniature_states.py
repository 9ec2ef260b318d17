"""The distance of a narrative's states to the keyword prompt's."""

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn
from transformers import CLIPTextModel

from vignette.miniature import tokenizer
from vignette.miniature.states import nearest_is_right, state_errors, wrong_in_one
from vignette.miniature.world import Group, Scene

DAY = Path(__file__).parents[1] / "miniature" / "weights" / "day"
ONE = Scene((Group("cat", 2, "purple"),), "beach")
TWO = Scene((Group("cat", 2, "purple"), Group("frog", 1, "red")), "beach")


@pytest.fixture(scope="module")
def words():
    encoder = CLIPTextModel.from_pretrained(DAY / "text_encoder", local_files_only=True, use_safetensors=True)
    return encoder.float().eval(), tokenizer.load(DAY / "tokenizer")


def test_a_keyword_prompt_is_at_no_distance_from_itself_and_a_sentence_is(words):
    other = replace(ONE, place="meadow").keywords
    assert state_errors(nn.Identity(), *words, [(ONE, ONE.keywords)]) == {"one kind": 0}
    assert state_errors(nn.Identity(), *words, [(ONE, other), (ONE, ONE.keywords)])["one kind"] > 0.01


def test_the_kinds_of_a_picture_have_no_order(words):
    turned = replace(TWO, groups=TWO.groups[::-1]).keywords
    found = state_errors(nn.Identity(), *words, [(TWO, turned)])
    assert found["two kinds"] > 0.1
    assert found["two kinds, in the nearer order"] == 0


def test_a_scene_can_be_wrong_in_every_thing_that_the_world_holds():
    wrong = wrong_in_one(ONE)
    # Of 24 things, 8 colours (none is one), 4 counts, 4 actions (so is rest) and 6 places one each is right.
    assert {name: len(scenes) for name, scenes in wrong.items()} == {
        "object": 23,
        "colour": 7,
        "count": 3,
        "action": 3,
        "place": 5,
    }
    assert Scene((Group("dog", 2, "purple"),), "beach") in wrong["object"]
    assert Scene((Group("cat", 2, "purple"),), "room") in wrong["place"]
    assert len({s.keywords for scenes in wrong.values() for s in scenes}) == 41
    # A sleeping cactus is in no world, and one does nothing that could be wrong.
    asleep = wrong_in_one(Scene((Group("cat", 1, None, "sleeping"),), "room"))
    assert all(scene.groups[0].thing != "cactus" for scene in asleep["object"])
    assert wrong_in_one(Scene((Group("cactus"),), "room"))["action"] == []


def test_the_nearest_keyword_prompt_tells_what_was_read(words):
    misread = replace(ONE, place="meadow").keywords
    found = nearest_is_right(nn.Identity(), *words, [(ONE, ONE.keywords), (ONE, misread), (TWO, "of no one kind")])
    assert found == {"object": 1.0, "colour": 1.0, "count": 1.0, "action": 1.0, "place": 0.5}
    assert "action" not in nearest_is_right(nn.Identity(), *words, [(Scene((Group("cactus"),), "room"), "a cactus")])
