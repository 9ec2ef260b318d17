"""The study of variants, at trial size: every way is trained, drawn and told, and what is done is not done again."""

import json

import pytest

from tests.tiny_training import write_teacher
from vignette.errors import ConfigError
from vignette.miniature import frozen, variants
from vignette.miniature.cli import ROOT
from vignette.miniature.rewrite import Rewriter
from vignette.miniature.world import FIRST
from vignette.training.optim import Optimisers
from vignette.training.stopping import Stopped


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(variants, "REAL", 6)
    monkeypatch.setattr(variants, "SCALES", (0.5,))
    monkeypatch.setattr(variants, "SHARES", (0.5,))


def test_every_variant_is_trained_on_the_same_triples_and_measured(small, tmp_path, monkeypatch):
    teacher = write_teacher(tmp_path / "teacher")
    plan = variants.Plan(scenes=4, steps=2, prompts=2, teacher=teacher, drawing_steps=1)
    output, sheet = tmp_path / "variants.json", tmp_path / "sheet.png"
    variants.run(ROOT / "weights", tmp_path / "work", plan, output, sheet)
    figures = json.loads(output.read_text())
    trained = {
        "adapter/bundled",
        "adapter/no-LLM",
        "adapter/LLM-last-layer",
        "adapter/LLM-layer-mean",
        "published-recipe/narrative",
    }
    rows = {"base/narrative", "base/keyword", "LLM-rewriting/narrative", "scale/0.5", "triples/2", *trained}
    assert rows < set(figures)
    attributes = {"object", "colour", "count", "action", "place"}
    for name in rows:
        assert {*attributes, "mean", "kid"} <= set(figures[name])
        for attribute, (low, high) in figures[name]["intervals"].items():
            assert 0 <= low <= figures[name][attribute] <= high <= 1
        assert set(figures[name]["intervals"]) == attributes
        assert ("kid_over_keyword" in figures[name]) == (name != "base/keyword")
        assert ("brisque_over_keyword" in figures[name]) == (name != "base/keyword")
    for name in (*trained, "LLM-rewriting/narrative"):
        assert set(figures[name]["gain"]) == {*attributes, "mean"}
        others = {"LLM-rewriting/narrative", "published-recipe/narrative"} - {name}
        assert set(figures[name]["over"]) == others
    assert len(figures["failures"]) == 2
    for missed in figures["failures"]:
        assert {"narrative", "keywords", "adapter/bundled", "base/keyword"} == set(missed)
        assert {*missed["adapter/bundled"].split(", "), *missed["base/keyword"].split(", ")} <= {*attributes, ""}
    assert sheet.stat().st_size > 0
    assert figures["teacher"] == "teacher"

    asked = []
    monkeypatch.setattr(variants.triples, "write", lambda *_, **__: asked.append("triples"))
    monkeypatch.setattr(variants, "Rewriter", lambda *_: asked.append("language model"))
    monkeypatch.setattr(frozen, "sample", lambda *_, **__: asked.append("picture"))
    again = variants.Study(ROOT / "weights", tmp_path / "work", plan)
    folder = again.train(variants.ADAPTER, variants.recipes(plan)[variants.ADAPTER])
    assert (folder / "config.json").exists()
    again.draw(variants.CEILING, again.frozen.states([scene.keywords for scene in again.scenes]))
    assert again.figures[variants.CEILING]["mean"] == figures[variants.CEILING]["mean"]
    assert len(again.rewritten(teacher)) == 2
    assert not asked


def test_without_a_language_model_the_published_recipe_distils_nothing():
    found = variants.recipes(variants.Plan())
    assert set(found) == {"adapter/no-LLM", "published-recipe/narrative"}
    assert found["published-recipe/narrative"]["distil_weight"] == 0


def test_some_ways_without_sweeps(small, tmp_path):
    output = tmp_path / "variants.json"
    plan = variants.Plan(scenes=4, steps=1, prompts=2, drawing_steps=1, ways=(variants.ADAPTER,), sweeps=False)
    variants.run(ROOT / "weights", tmp_path / "work", plan, output)
    figures = json.loads(output.read_text())
    measured = {name for name, row in figures.items() if isinstance(row, dict)}
    assert measured == {"base/keyword", "base/narrative", "adapter/no-LLM", "adapter/bundled", "fresh renders"}
    assert len(figures["weights"]) == 64


def test_a_run_that_is_stopped_keeps_what_it_has_and_goes_on(small, tmp_path, monkeypatch):
    output = tmp_path / "variants.json"
    plan = variants.Plan(scenes=4, steps=3, prompts=2, drawing_steps=1, ways=(variants.ADAPTER,), sweeps=False)
    taken = []
    learn = Optimisers.step
    monkeypatch.setattr(Optimisers, "step", lambda self, step: (taken.append(step), learn(self, step)))
    with pytest.raises(Stopped):
        variants.run(ROOT / "weights", tmp_path / "work", plan, output, stop=lambda: len(taken) > 0)
    # Asked before a step is taken, it ends after that one.
    assert taken == [0, 1]
    assert not output.exists()
    variants.run(ROOT / "weights", tmp_path / "work", plan, output)
    assert taken == [0, 1, 2]
    assert output.exists()


def test_a_way_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match="published-recipe/narrative"):
        variants.recipes(variants.Plan(ways=("adapter/other",)))


def test_a_rewriter_that_is_no_language_model_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be loaded"):
        Rewriter(tmp_path, FIRST)
