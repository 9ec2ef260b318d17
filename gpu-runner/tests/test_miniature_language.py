"""The second edition's English: many shapes, held-out ones apart, grammar that agrees, and the whole scene in every sentence."""

import random
import re

import pytest

from vignette.miniature import tokenizer
from vignette.miniature.language import (
    LANGUAGES,
    caption,
    distract,
    held_out_shapes,
    narrative,
    nouns,
    of_two_kinds,
    tell,
    training_shapes,
    wide,
    words,
)
from vignette.miniature.language.distraction import WORDS as DISTRACTIONS
from vignette.miniature.language.teller import article
from vignette.miniature.language.verbs import BEYOND, VERBS
from vignette.miniature.language.written import as_told
from vignette.miniature.world import FIRST, SECOND, Group, Scene, sample_scene


def told(count, held_out=False, world=SECOND, vocabulary="known"):
    rng = random.Random(11)
    scenes = [sample_scene(rng, held_out=held_out, world=world) for _ in range(count)]
    return [(scene, narrative(scene, rng, held_out, vocabulary)) for scene in scenes]


@pytest.fixture(scope="module")
def trained():
    return told(3000)


@pytest.fixture(scope="module")
def held_out():
    return told(1500, held_out=True, vocabulary="rare")


def names(thing, many=None):
    pairs = (*nouns.NOUNS[thing], *nouns.BEYOND.get(thing, ()))
    return [n for one, plural in pairs for n in ((one, plural) if many is None else (plural,) if many else (one,))]


def test_there_are_hundreds_of_shapes_and_no_held_out_one_is_trained():
    training, kept = set(training_shapes()), set(held_out_shapes())
    assert len(training) >= 400
    assert len(kept) >= 80
    assert not training & kept


def test_every_thing_has_names_and_every_colour_place_and_action_words():
    assert set(nouns.NOUNS) == set(SECOND.things)
    assert set(words.COLOURS) == set(words.SIMILES) == set(SECOND.colours)
    assert set(words.PLACES) == set(SECOND.places)
    assert set(SECOND.actions) < set(VERBS)
    assert set(BEYOND) == set(VERBS)


def test_no_name_means_two_things():
    seen = {}
    for thing in nouns.NOUNS:
        for name in names(thing):
            assert seen.setdefault(name, thing) == thing, name


def test_sentences_are_whole(trained, held_out):
    for _, text in trained + held_out:
        assert not re.search(r"[{}]|  | [,.?!]|\.\.|,,|, ?[.?!]", text), text
        assert text == text.strip()


def test_articles_and_verbs_agree(trained, held_out):
    for _, text in trained + held_out:
        assert not re.search(r"\b[Aa] [aeio]", text), text
        assert not re.search(r"\b[Aa]n [^aeiou]", text), text
        assert not re.search(r"\b(they|both|all) (is|was|has)\b", text), text
        assert not re.search(r"\bit (are|were|have)\b", text), text
    assert article("a", "orange cat") == "an orange cat"
    assert article("two", "owls") == "two owls"


def test_every_part_of_the_scene_is_said(trained, held_out):
    colour_words = {c: (*words.COLOURS[c], *words.BEYOND_COLOURS[c]) for c in SECOND.colours}
    for scene, text in trained + held_out:
        low = text.lower()
        places = (*words.PLACES[scene.place], *words.BEYOND_PLACES[scene.place])
        assert any(p.lower() in low for p in places), (scene, text)
        for group in scene.groups:
            assert any(name in low for name in names(group.thing)), (scene, text)
            if group.colour:
                assert any(word in low for word in colour_words[group.colour]), (scene, text)
            if group.action:
                verbs = (*VERBS[group.action], *BEYOND[group.action])
                forms = {f for v in verbs for f in (v.base, v.third, v.past, v.participle, v.ing) if f}
                assert group.action in low or any(f in low for f in forms), (scene, text)


def test_a_count_is_said_as_a_number_or_shown_one_by_one(trained):
    said = {
        n: [
            w.lower()
            for w in (
                *words.NUMBERS[n],
                *words.BEYOND_NUMBERS[n],
                words.CARDINALS[n],
                "both",
                "second",
                "third",
                "fourth",
            )
        ]
        for n in words.NUMBERS
    }
    for scene, text in trained:
        for group in scene.groups:
            if group.count > 1:
                assert any(re.search(rf"\b{re.escape(w)}\b", text.lower()) for w in said[group.count]), (scene, text)


def saying(texts, kept):
    """How many of `texts` say one of `kept`, leaving out those that are part of a known name."""
    known = " ".join(names for pairs in nouns.NOUNS.values() for one in pairs for names in one)
    kept = [w for w in kept if w not in known]
    pattern = re.compile(r"\b(?:" + "|".join(map(re.escape, kept)) + r")\b", re.IGNORECASE)
    return sum(bool(pattern.search(text)) for _, text in texts)


def test_rare_words_are_kept_from_first_lessons_and_unheard_ones_from_all_training(trained, held_out):
    names_beyond, colours_beyond = nouns.BEYOND.values(), words.BEYOND_COLOURS.values()
    rare = [name for pairs in names_beyond for one in pairs[: max(1, len(pairs) - 1)] for name in one]
    rare += [c for colours in colours_beyond for c in colours[:-1]]
    unheard = [name for pairs in names_beyond if len(pairs) > 1 for name in pairs[-1]]
    unheard += [colours[-1] for colours in colours_beyond]
    assert saying(trained, rare) == saying(trained, unheard) == saying(held_out, unheard) == 0
    assert saying(held_out, rare) > 100
    stress = told(1500, held_out=True, vocabulary="unheard")
    assert saying(stress, rare) == 0
    assert saying(stress, unheard) > 50


@pytest.fixture(scope="module")
def widely():
    rng = random.Random(12)
    scenes = [sample_scene(rng, world=SECOND) for _ in range(1500)]
    return [(s, narrative(s, rng, False, "wide")) for s in scenes]


def test_wide_words_are_many_and_each_means_one_thing():
    assert set(wide.PLACES) == set(words.PLACES)
    assert set(wide.VERBS) == set(VERBS)
    assert min(map(len, wide.PLACES.values())) >= 30
    assert min(len(verbs) for name, verbs in wide.VERBS.items() if name != "object") >= 20
    places = [
        p for many in (words.PLACES, words.BEYOND_PLACES, wide.PLACES) for phrases in many.values() for p in phrases
    ]
    assert len(places) == len(set(places))
    doings = [v.base for many in (VERBS, BEYOND, wide.VERBS) for name in SECOND.actions for v in many[name]]
    assert len(doings) == len(set(doings))
    resting = {v.base for many in (VERBS, BEYOND, wide.VERBS) for v in many["animal"]}
    assert not resting & set(doings)


def test_wide_words_say_something_that_distraction_does_not():
    for phrase in (p for phrases in wide.PLACES.values() for p in phrases):
        assert any(w not in DISTRACTIONS and len(w) > 2 and w != "the" for w in re.findall(r"[\w'-]+", phrase)), phrase


def test_only_the_wide_vocabulary_tells_wide_words_and_it_tells_no_unheard_ones(trained, held_out, widely):
    only_wide = [p for phrases in wide.PLACES.values() for p in phrases]
    unheard = [phrases[-1] for phrases in words.BEYOND_PLACES.values()]
    unheard += [verbs[-1].base for verbs in BEYOND.values() if len(verbs) > 1]
    unheard += [colours[-1] for colours in words.BEYOND_COLOURS.values()]
    assert saying(trained, only_wide) == saying(held_out, only_wide) == saying(widely, unheard) == 0
    assert 0.3 < saying(widely, only_wide) / len(widely) < 0.6


def test_wide_sentences_are_whole_and_say_the_place(widely):
    for scene, text in widely:
        assert not re.search(r"[{}]|  | [,.?!]|\.\.|,,|, ?[.?!]", text), text
        assert not re.search(r"\b(they|both|all) (is|was|has)\b", text), text
        places = (*words.PLACES[scene.place], *words.BEYOND_PLACES[scene.place], *wide.PLACES[scene.place])
        assert any(p.lower() in text.lower() for p in places), (scene, text)


def test_distraction_keeps_every_word_in_its_order_and_adds_only_what_means_nothing(trained):
    rng = random.Random(5)
    named = {w for thing in nouns.NOUNS for name in names(thing) for w in name.split()}
    named |= {
        w for c in words.COLOURS for name in (c, *words.COLOURS[c], *words.BEYOND_COLOURS[c]) for w in name.split()
    }
    named |= set(words.CARDINALS.values())
    named |= set(SECOND.actions) | set(SECOND.places)
    assert named & set(DISTRACTIONS) <= {"of"}
    for _, text in trained[:300]:
        left = iter(re.findall(r"[\w'-]+", distract(text, rng)))
        assert all(word in left for word in re.findall(r"[\w'-]+", text)), text


def test_what_is_not_in_the_picture_is_a_thing_of_its_own(trained):
    mentioned = [
        (s, m.group(1)) for s, t in trained for m in re.finditer(r"(?:forget the|don't want|[Nn]o) (\w+)[;,]", t)
    ]
    assert len(mentioned) > 20
    for scene, name in mentioned:
        assert not any(name in names(g.thing) for g in scene.groups)


def test_the_same_seed_tells_the_same():
    assert told(50) == told(50)


@pytest.mark.parametrize("language", LANGUAGES)
def test_both_languages_tell_the_first_world(language):
    rng = random.Random(3)
    texts = [tell(language, sample_scene(rng, world=FIRST), rng, i % 2 == 0) for i in range(200)]
    assert len(set(texts)) > 190


def test_narratives_fit_the_text_encoder(exported_tokenizer, held_out):
    too_long = [t for _, t in told(1000, world=FIRST) if len(exported_tokenizer(t).input_ids) > 77]
    assert len(too_long) <= 2


@pytest.fixture(scope="module")
def exported_tokenizer():
    from vignette.miniature.cli import ROOT

    return tokenizer.load(ROOT / "weights" / "day" / "tokenizer")


def test_captions_are_plain():
    rng = random.Random(2)
    scene = Scene((Group("owl", 1, "orange", "flying"),), "night")
    for _ in range(50):
        text = caption(scene, rng)
        assert len(text.split()) < 25
        assert any(name in text.lower() for name in names("owl"))


def test_two_kinds_told_in_few_words_are_whole_and_stand_in_the_scene_s_order():
    rng = random.Random(3)
    scenes = [s for s in (sample_scene(rng) for _ in range(4000)) if len(s.groups) > 1]
    texts = [of_two_kinds(scene, rng, "wide") for scene in scenes]
    assert len(set(texts)) > 0.99 * len(texts) > 500
    colours = {c: (*words.COLOURS[c], *words.BEYOND_COLOURS[c]) for c in FIRST.colours}
    for scene, text in zip(scenes, texts, strict=True):
        low = text.lower()
        assert not re.search(r"[{}]|  | [,.?!]|\.\.|,,|, ?[.?!]", text), text
        assert not re.search(r"\b[Aa] [aeio]|\b[Aa]n [^aeiou]", text), text
        assert all(any(word in low for word in colours[g.colour]) for g in scene.groups if g.colour), (scene, text)
    # A place may name a house, and a simile a strawberry.
    assert sum(as_told(*pair) == pair[0] for pair in zip(scenes, texts, strict=True)) > 0.97 * len(texts)
    both = [text for scene, text in zip(scenes, texts, strict=True) if len({g.colour for g in scene.groups}) == 1]
    assert sum(bool(re.search(r"\b(both|all (of them|three|four)|same)\b", text)) for text in both) > len(both) / 3
