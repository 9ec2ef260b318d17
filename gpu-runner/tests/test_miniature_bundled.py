"""What comes with the project: weights of the second edition's world, with a lexicon and a notice that name all of it."""

import pytest

from vignette.cli import MODELS_TOML
from vignette.engine.catalogue import read_catalogue
from vignette.miniature import tokenizer
from vignette.miniature.export import WEIGHTS, size_mib
from vignette.miniature.growth import new_names
from vignette.miniature.judge_net import world_of
from vignette.miniature.language.nouns import NOUNS
from vignette.miniature.world import FIRST, SECOND
from vignette.reading.lexicon import read_lexicon


@pytest.mark.parametrize("model", read_catalogue(MODELS_TOML).models, ids=lambda model: model.id)
def test_lexicon_and_notice_name_everything(model):
    phrases = read_lexicon(model.lexicon).phrases
    assert tuple(phrases["thing"]) == SECOND.things
    known = [tuple(phrases[group]) for group in ("tint", "action", "place")]
    assert known == [SECOND.colours, SECOND.actions, SECOND.places]
    for thing in SECOND.things:
        assert NOUNS[thing][0][1] in model.notice.text, thing


def test_every_style_of_the_world_is_served():
    paths = {model.path for model in read_catalogue(MODELS_TOML).models}
    assert paths == {WEIGHTS / style for style in SECOND.styles}


def test_judge_and_tokenizer_know_it():
    assert world_of(WEIGHTS / "judge") == SECOND
    tokens = tokenizer.load(WEIGHTS / "day" / "tokenizer")
    for name in new_names(SECOND, FIRST):
        assert len(tokens(name, add_special_tokens=False).input_ids) == 1, name


def test_the_weights_are_small_enough_for_a_repository():
    assert size_mib() < 48
