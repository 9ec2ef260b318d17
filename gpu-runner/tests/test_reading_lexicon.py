"""Lexicons compose keyword prompts, and every mistake in one is named."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from vignette.errors import ConfigError
from vignette.reading.lexicon import GENERAL, find_lexicon, read_lexicon, slots

GOOD = """
templates = ["{count}{thing}, {place} background", "{thing} and {thing2}"]
[phrases]
thing = ["cat", "dog"]
count = { 1 = "one", 2 = "two" }
place = ["beach"]
"""


def lexicon(tmp_path: Path, text: str = GOOD) -> Path:
    file = tmp_path / "lexicon.toml"
    file.write_text(text)
    return file


def test_entries_and_tags_keep_the_files_order(tmp_path: Path) -> None:
    read = read_lexicon(lexicon(tmp_path))
    assert read.entries == (("thing", "cat"), ("thing", "dog"), ("count", "1"), ("count", "2"), ("place", "beach"))
    assert read.tags == ("cat", "dog", "one", "two", "beach")
    assert slots("{thing} and {thing2}, {thing}") == (("thing", "thing"), ("thing2", "thing"))


def test_prompts_hold_what_they_say(tmp_path: Path) -> None:
    read, rng = read_lexicon(lexicon(tmp_path)), random.Random(0)
    composed = dict(sorted((text, sorted(held)) for text, held in (read.compose(rng) for _ in range(60))))
    assert composed["2dog, beach background"] == [("count", "2"), ("place", "beach"), ("thing", "dog")]
    assert composed["cat and dog"] == [("thing", "cat"), ("thing", "dog")]
    assert len(composed) == 6


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("{place} background", "{places} background", r"slot \{places\}, but there is no phrases.places"),
        ("{place} background", "beach", "no template has the slot {place} of phrases.place"),
        ("{place} background", "{place!r}", "a slot is a name in lower case"),
        ("{place} background", "{} x", "a slot is a name in lower case"),
        ("{place} background", "{place", "templates|template|'}'"),
        ("{thing} and {thing2}", "{place} {place2}", "phrases.place has fewer phrases"),
        ('["cat", "dog"]', '["cat", "cat"]', "phrases.thing has the same phrase twice"),
        ('["cat", "dog"]', "[]", "phrases.thing has fewer phrases"),
        ('["cat", "dog"]', '"cat"', "phrases.thing"),
        ('["cat", "dog"]', '["cat", ""]', "phrases.thing"),
        ("templates =", "template =", "template"),
        ("[phrases]", "[phrases", "cannot be read"),
    ],
)
def test_mistakes_are_named(old: str, new: str, says: str, tmp_path: Path) -> None:
    assert old in GOOD
    file = lexicon(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigError, match=says) as error:
        read_lexicon(file)
    assert str(error.value).startswith(str(file))


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no lexicon"):
        read_lexicon(tmp_path / "none.toml")


def test_general_is_the_bundled_lexicon_unless_a_file_has_that_name(tmp_path: Path) -> None:
    assert find_lexicon(tmp_path / "general") == GENERAL
    assert find_lexicon(tmp_path / "words.toml") == tmp_path / "words.toml"
    (tmp_path / "general").write_text(GOOD)
    assert find_lexicon(tmp_path / "general") == tmp_path / "general"


def test_the_bundled_lexicon_names_what_people_ask_for_in_prompts_that_an_encoder_takes() -> None:
    read, rng = read_lexicon(GENERAL), random.Random(0)
    assert 400 <= len(read.entries) <= 600
    assert len(set(read.tags)) == len(read.tags)
    for text, held in (read.compose(rng) for _ in range(2000)):
        assert len(held) >= 3
        assert all(phrase in text for _, phrase in held)
        # CLIP's encoder takes 75 tokens, and cuts few of these words in two.
        assert len(re.findall(r"\w+|[^\w\s]", text)) <= 30
