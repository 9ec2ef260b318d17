"""The written narratives, the miniature's set, and facts as questions and contrasts."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from vignette.evaluation.cases import GROUPS, Case, Fact, choose, miniature_cases, read_cases, scene_of
from vignette.evaluation.instruments.questions import (
    COLOURS,
    NUMBERS,
    Question,
    agrees,
    contrasts,
    questions,
    with_article,
)
from vignette.miniature.world import WORLDS

CASES = read_cases()


def case(**fact: object) -> Case:
    return Case(
        id="x",
        group="test",
        narrative="n",
        keywords="k",
        facts=(Fact(object="dog", plural="dogs", **fact),),  # type: ignore[arg-type]
    )


def test_there_are_a_hundred_narratives_of_each_group_with_answers() -> None:
    assert Counter(c.group for c in CASES) == dict.fromkeys(GROUPS, 104)
    asked = {"action": "action", "colour": "colour", "counting": "count"}
    for c in CASES:
        assert all(getattr(f, asked[c.group]) is not None for f in c.facts), c.id
        assert all(len(f.others) >= 3 and f.action not in f.others for f in c.facts if f.action), c.id


def test_narratives_are_sentences_of_their_own_and_no_template() -> None:
    texts = [c.narrative for c in CASES]
    assert len(set(texts)) == len(texts)
    openings = Counter(" ".join(t.lower().split()[:3]) for t in texts)
    assert max(openings.values()) <= 5
    words = [len(t.split()) for t in texts]
    assert 18 < sum(words) / len(words) < 26
    assert min(words) >= 8
    assert len({w for t in texts for w in re.findall(r"[a-z']+", t.lower())}) > 1400
    assert sum("?" in t for t in texts) >= 20
    assert sum(bool(re.search(r"\b(as|like)\b", t)) for t in texts) >= 60
    assert not any(re.search(r"\d[a-z]", t) for t in texts)  # no keyword like 2cat


def test_every_colour_is_named_in_its_narrative_and_is_a_basic_one() -> None:
    for c in choose(CASES, ["colour"]):
        for fact in c.facts:
            assert fact.colour in COLOURS
            assert fact.colour in c.narrative.lower().replace("grey", "gray"), c.id
            assert f"{fact.colour} {fact.object}" in c.keywords


def test_counts_are_spread_and_stand_in_the_keywords() -> None:
    counted = choose(CASES, ["counting"])
    assert Counter(f.count for c in counted for f in c.facts).keys() >= set(range(1, 9))
    for c in counted:
        assert c.keywords.startswith(f"{c.facts[0].count}{c.facts[0].object}, ")


@pytest.mark.parametrize("edition", ["first", "second"])
def test_the_miniature_s_set_is_its_study_s(edition: str) -> None:
    from vignette.miniature.held_out import held_out_set

    world = WORLDS[edition]
    cases = miniature_cases(12, world)
    for c, (scene, narrative, _) in zip(cases, held_out_set(12, "second", world), strict=True):
        assert (c.narrative, c.keywords) == (narrative, scene.keywords)
        assert scene_of(c) == scene
    assert choose(cases, limit=5) == cases[:5] == miniature_cases(5, world)


def test_only_a_line_feed_ends_a_line_and_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    told = [c.model_copy(update={"narrative": f"one\u2028two\x85{c.narrative}"}) for c in CASES[:2]]
    file = tmp_path / "cases.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(c.model_dump_json() for c in told).encode())
    assert "\u2028" in file.read_text("utf-8")
    assert read_cases(file) == told


def test_facts_become_questions() -> None:
    (colour,) = questions(case(colour="red"))
    assert [(q.text, q.wanted) for q in colour] == [("what color is the dog?", "red")]
    (count,) = questions(case(count=3))
    assert [(q.text, q.wanted) for q in count] == [("how many dogs are in the picture?", "three")]
    (action,) = questions(case(action="sleeping", others=("running", "eating")))
    assert [(q.text, q.wanted) for q in action] == [
        ("is the dog sleeping?", "yes"),
        ("is the dog running?", "no"),
        ("is the dog eating?", "no"),
    ]


def test_facts_become_contrasts() -> None:
    (colour,) = contrasts(case(colour="orange"))
    assert colour.captions[colour.wanted] == "a photo of an orange dog"
    assert len(colour.captions) == len(COLOURS)
    (count,) = contrasts(case(count=10))
    assert count.captions[count.wanted] == "a photo of ten dogs"
    assert "a photo of one dog" in count.captions
    (action,) = contrasts(case(count=None, action="sleeping", others=("running",)))
    assert action.captions == ("a photo of a dog sleeping", "a photo of a dog running")


@pytest.mark.parametrize(
    ("attribute", "wanted", "answer", "right"),
    [
        ("colour", "red", "Red", True),
        ("colour", "red", "it is red", True),
        ("colour", "red", "red and white", False),
        ("colour", "gray", "grey", True),
        ("colour", "purple", "violet", True),
        ("colour", "red", "", False),
        ("counting", "three", "3", True),
        ("counting", "three", "three dogs", True),
        ("counting", "three", "2 or 3", False),
        ("counting", "one", "none", False),
        ("counting", "three", "33", False),
        ("action", "yes", "yes", True),
        ("action", "yes", "yesterday", False),
        ("action", "no", "no", True),
        ("action", "no", "not sure", False),
    ],
)
def test_what_answers_mean(attribute: str, wanted: str, answer: str, right: bool) -> None:
    assert agrees(Question(attribute, "?", wanted), answer) is right


@pytest.mark.parametrize(
    "thing", ["a dog", "an owl", "an umbrella", "a unicorn", "a one-eyed cat", "an onion", "a European"]
)
def test_things_have_the_article_that_they_are_said_with(thing: str) -> None:
    assert with_article(thing.split(maxsplit=1)[1]) == thing


def test_numbers_in_words_reach_the_largest_count() -> None:
    assert NUMBERS[12] == "twelve"
    with pytest.raises(ValueError, match="less than or equal to 12"):
        Fact(object="dog", plural="dogs", count=13)
