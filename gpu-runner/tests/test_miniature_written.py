"""Narratives written one by one: each means a scene that training may see, and a changed one means its changed scene."""

import json
import random
import re

import pytest

from vignette.errors import ConfigError
from vignette.evaluation.cases import read_cases, scene_of
from vignette.miniature.cli import ROOT
from vignette.miniature.held_out import written_set
from vignette.miniature.language import written
from vignette.miniature.language.written import another_colour, another_number, another_thing, as_told, lines
from vignette.miniature.world import FIRST, MAX_COUNT, SECOND, parse_keywords, sample_scene


@pytest.mark.parametrize("world", [FIRST, SECOND])
def test_no_written_narrative_tells_a_combination_kept_from_training(world):
    assert len(lines(world)) > 1000
    assert not any(scene.held_out for scene, _ in lines(world))
    assert {g.thing for scene, _ in lines(world) for g in scene.groups} == set(world.things)
    assert len({text for _, text in lines(world)}) == len(lines(world))


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("A dog, two red cats, snow.", ("dog", "cat")),
        ("Kittens in the snow, red, two of them. And a hound!", ("cat", "dog")),
        ("In the snow: the barking one, and two red cats", ("cat", "dog")),
    ],
)
def test_the_kinds_stand_in_the_order_in_which_they_are_told(text, order):
    scene = parse_keywords("2cat, red cat, 1dog, snow background")
    assert tuple(group.thing for group in as_told(scene, text).groups) == order
    assert set(as_told(scene, text).groups) == set(scene.groups)


@pytest.mark.parametrize(
    ("file", "count", "world"),
    [("by-hand", 400, FIRST), ("by-hand-second", 300, SECOND), ("by-hand-third", 200, SECOND)],
)
def test_the_set_written_by_hand_is_of_scenes_and_sentences_that_no_training_has(file, count, world):
    cases = read_cases(ROOT / f"{file}.jsonl")
    told = {text for _, text in lines(SECOND)}
    assert len(cases) == len(written_set(ROOT / f"{file}.jsonl", count, world)) == count
    for case in cases:
        assert parse_keywords(case.keywords) == scene_of(case)
        assert scene_of(case).held_out
        assert case.narrative not in told


def test_the_study_draws_the_first_of_a_file_s_narratives():
    drawn = written_set(ROOT / "by-hand.jsonl", 100)
    assert [text for _, text, _ in drawn] == [c.narrative for c in read_cases(ROOT / "by-hand.jsonl")[:100]]
    assert all(parse_keywords(scene.keywords) == scene for scene, _, _ in drawn)
    assert len({seed for _, _, seed in drawn}) == 100


@pytest.mark.parametrize(
    ("change", "value"), [("keywords", "a cat asleep"), ("place", "moon"), ("thing", "panda"), ("id", "")]
)
def test_a_case_of_another_world_is_named(tmp_path, change, value):
    case = json.loads((ROOT / "by-hand.jsonl").read_text().splitlines()[0])
    if change == "thing":
        case["facts"][0]["object"] = value
    else:
        case[change] = value
    (tmp_path / "set.jsonl").write_text(json.dumps(case) + "\n")
    with pytest.raises(ConfigError, match=r"set\.jsonl"):
        written_set(tmp_path / "set.jsonl", 100)


def test_changed_narratives_stay_in_the_training_world():
    told = {text for _, text in lines()}
    rng, changed = random.Random(3), 0
    for _ in range(3000):
        scene, text = written(rng)
        assert not scene.held_out
        assert sum(group.count for group in scene.groups) <= MAX_COUNT
        changed += text not in told
    assert changed > 500


@pytest.mark.parametrize(
    ("change", "keywords", "text", "pattern"),
    [
        (another_colour, "1cat, red cat, snow background", "A red cat in the snow", r"An? (\w+) cat in the snow"),
        (another_number, "3cat, snow background", "THREE cats sat in snow", r"(TWO|FOUR) cats sat in snow"),
        (another_thing, "1cat, snow background", "One cat. A cat!", r"One (\w+)\. An? \1!"),
        (another_thing, "1apple, snow background", "an apple in snow", r"an? (\w+) in snow"),
    ],
)
def test_a_plain_word_gives_way_and_the_scene_with_it(change, keywords, text, pattern):
    for seed in range(8):
        scene, changed = change(parse_keywords(keywords), 0, text, random.Random(seed))
        found = re.fullmatch(pattern, changed)
        assert found
        assert scene != parse_keywords(keywords)
        word = found[1].lower()
        number = {"two": 2, "four": 4}.get(word)
        assert word in (scene.groups[0].colour, scene.groups[0].thing) or number == scene.groups[0].count
        assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", changed.lower())


@pytest.mark.parametrize(
    ("change", "keywords", "text"),
    [
        (another_colour, "1cat, red cat, snow background", "A cat as red as a fire engine in the snow"),
        (another_colour, "1cat, red cat, snow background", "A crimson cat in the snow"),
        (another_colour, "1cat, red cat, 1dog, red dog, snow background", "A red cat and a red dog in the snow"),
        (another_number, "3cat, snow background", "Three cats, and the third sat in snow"),
        (another_number, "3cat, snow background", "a trio of cats in snow"),
        (another_number, "2cat, 2car, snow background", "Two cats in the snow and to each cat a car"),
        (another_thing, "1cat, snow background", "A cat in the snow, a kitten still"),
        (another_thing, "1cat, snow background", "A tabby in the snow"),
    ],
)
def test_what_is_said_twice_or_otherwise_stays(change, keywords, text):
    assert change(parse_keywords(keywords), 0, text, random.Random(1)) is None


@pytest.mark.parametrize("seed", range(20))
def test_keywords_can_be_read_back(seed):
    scene = sample_scene(random.Random(seed))
    assert parse_keywords(scene.keywords) == scene


@pytest.mark.parametrize("prompt", ["", "cat", "3cat", "5cat, beach background", "3cat, purple dog, beach background"])
def test_what_is_no_scene_is_refused(prompt):
    with pytest.raises(ValueError, match="no scene's keywords"):
        parse_keywords(prompt)
