"""The distance of a narrative's states to the keyword prompt's."""

from dataclasses import replace
from pathlib import Path

import pytest
from torch import nn
from transformers import CLIPTextModel

from vignette.miniature import tokenizer
from vignette.miniature.states import state_errors
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
