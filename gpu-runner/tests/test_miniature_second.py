"""The second edition's weights so far: of its world, with a lexicon and a notice that name all of it."""

from vignette.engine.catalogue import read_catalogue
from vignette.miniature import tokenizer
from vignette.miniature.export import size_mib
from vignette.miniature.growth import new_names
from vignette.miniature.judge_net import world_of
from vignette.miniature.language.nouns import NOUNS
from vignette.miniature.paths import ROOT
from vignette.miniature.world import FIRST, SECOND
from vignette.reading.lexicon import read_lexicon

FOLDER = ROOT / "second"


def test_the_lexicon_and_the_notice_name_everything():
    (spec,) = read_catalogue(FOLDER / "models.toml").models
    phrases = read_lexicon(spec.lexicon).phrases
    assert tuple(phrases["thing"]) == SECOND.things
    assert [tuple(phrases[group]) for group in ("tint", "action", "place")] == [
        SECOND.colours,
        SECOND.actions,
        SECOND.places,
    ]
    for thing in SECOND.things:
        assert NOUNS[thing][0][1] in spec.notice.text, thing


def test_judge_and_tokenizer_know_it():
    assert world_of(FOLDER / "judge") == SECOND
    tokens = tokenizer.load(FOLDER / "day" / "tokenizer")
    for name in new_names(SECOND, FIRST):
        assert len(tokens(name, add_special_tokens=False).input_ids) == 1, name


def test_there_is_room_for_the_second_style():
    parts = sum(size_mib(FOLDER / part) for part in ("adapters", "clip", "day", "judge"))
    assert parts + size_mib(ROOT / "weights" / "ink") < 48
