"""All of the study by one command, at trial size."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from tests.tiny_training import write_teacher
from vignette.engine.catalogue import ModelSpec, read_catalogue
from vignette.engine.manifest import fingerprint
from vignette.miniature import cli, frozen, studies, variants
from vignette.miniature.figures import weights_of
from vignette.miniature.kept import kept
from vignette.miniature.render import render
from vignette.miniature.world import SECOND, parse_keywords

DOCUMENT = """# A study
<!-- table marks unheard-words -->
<!-- end -->
<!-- table variants variants -->
<!-- end -->
<!-- table reading-by-probe reading -->
<!-- end -->
"""


@pytest.fixture
def quick(monkeypatch):
    """One set of sentences, few scenes for the judge, and ways of two steps each."""
    monkeypatch.setattr(studies.study, "FRESH", 4)
    sets = {name: asked for name, asked in studies.SETS.items() if name.startswith("unheard-words")}
    monkeypatch.setattr(studies, "SETS", sets)
    monkeypatch.setattr(studies, "SHEETS_OF", tuple(sets))
    plan = variants.Plan
    monkeypatch.setattr(
        studies.variants, "Plan", lambda **given: plan(scenes=4, steps=2, prompts=2, drawing_steps=1, **given)
    )
    monkeypatch.setattr(variants, "REAL", 6)
    for name in ("SCALES", "SHARES"):
        monkeypatch.setattr(variants, name, (0.5,))


def test_one_command_leaves_figures_sheets_plots_and_tables(quick, tmp_path, monkeypatch):
    taught, train = [], variants.train
    monkeypatch.setattr(
        variants, "train", lambda options, **more: taught.append(options.model) or train(options, **more)
    )
    (tmp_path / "study.md").write_text(DOCUMENT)
    places = {"work": "work", "figures": "study", "pictures": "images", "documents": "study.md"}
    given = [word for name, place in places.items() for word in (f"--{name}", str(tmp_path / place))]
    done = cli.main(["studies", "--most", "2", "--teacher", str(write_teacher(tmp_path / "teacher")), *given])
    assert done == 0
    figures = json.loads((tmp_path / "study" / "unheard-words.json").read_text())
    assert (figures["prompts"], figures["vocabulary"]) == (2, "unheard")
    assert figures["judge_on_renders"].keys() == figures["judge_on_redrawn"].keys()
    assert (
        len(figures["adapter/narrative"]["kid_over_keyword"])
        == len(figures["adapter/narrative"]["brisque_over_keyword"])
        == 2
    )
    assert not {"kid_over_keyword", "brisque_over_keyword"} & figures["base/keyword"].keys()
    assert figures["adapter/narrative"]["kid"] != figures["base/narrative"]["kid"]
    other = json.loads((tmp_path / "study" / "unheard-words-ink.json").read_text())
    assert (figures["style"], other["style"]) == ("day", "ink")
    ways, again = (
        json.loads((tmp_path / "study" / f"{name}.json").read_text()) for name in ("variants", "variants-ink")
    )
    assert ways.keys() - again.keys() == {"scale/0.5", "triples/2"}
    assert ways["weights"] != again["weights"]
    for picture in ("study", "study-ink", "study/variants-failures", "study/variants-ink-failures"):
        assert (tmp_path / "images" / f"{picture}.png").is_file(), picture
    for plot in ("marks", "variants", "variants-ink"):
        assert (tmp_path / "images" / "study" / f"{plot}.svg").is_file(), plot
    # One training of each way serves both styles: ink's are asked for with the first style's model.
    assert {model.name for model in taught} == {"day"}
    assert len(list((tmp_path / "work").glob("adapter-no-LLM-1"))) == 1
    text = (tmp_path / "study.md").read_text()
    assert f"| base/keyword | {figures['base/keyword']['object']:.0%}".replace("%", " %") in text
    assert "| published-recipe/narrative |" in text
    assert "| narrative, adapted: probe |" in text


def test_a_study_with_a_work_folder_draws_each_picture_once(tmp_path, monkeypatch):
    monkeypatch.setattr(studies.study, "FRESH", 2)
    drawn, sample = [], frozen.sample
    monkeypatch.setattr(
        frozen, "sample", lambda *given, **more: drawn.append(given[6:]) or sample(*given[:6], 1, 4.0, **more)
    )

    def study(*more: str) -> dict:
        output = tmp_path / "figures.json"
        given = ["--prompts", "2", "--work", str(tmp_path / "work"), "--output", str(output), *more]
        assert cli.main(["study", *given]) == 0
        return json.loads(output.read_text())

    first, again = study(), study()
    assert drawn == [()] + [(25, 4.0)] * 3
    for figures in (first, again):
        del figures["minutes"]
    assert first == again
    study("--guidance", "2")
    assert drawn[4:] == [(25, 2.0)] * 3
    study("--style", "ink")
    assert len(drawn) == 11


def test_a_picture_drawn_again_is_nearer_to_what_it_was_the_less_noise_is_laid_over_it():
    frozen_model = frozen.Frozen(cli.ROOT / "weights", "day")
    pictures = np.stack([np.asarray(render(parse_keywords("1cat, red cat, sleeping, beach background"), 5, SECOND))])
    context = frozen_model.states(["1cat, red cat, sleeping, beach background"])
    little, much = (frozen_model.redraw(pictures, context, [1], strength).astype(float) for strength in (0.08, 0.6))
    nearer, further = (np.abs(again - pictures).mean() for again in (little, much))
    assert nearer < 12
    assert nearer < further / 1.2


def test_a_picture_cut_off_half_way_is_made_again(tmp_path):
    source, made = np.zeros(3), np.arange(4)

    def make() -> np.ndarray:
        return made

    assert kept(None, source, ("a",), make) is made
    assert (kept(tmp_path, source, ("a",), make) == made).all()
    (file,) = tmp_path.iterdir()
    file.rename(file.with_suffix(".part.npy"))
    with pytest.raises(StopIteration):
        kept(tmp_path, source, ("a",), lambda: next(iter(())))
    assert (kept(tmp_path, source, ("a",), make) == made).all()
    assert (kept(tmp_path, source, ("a",), lambda: made + 1) == made).all()
    assert (kept(tmp_path, source, ("b",), lambda: made + 1) == made + 1).all()
    assert (kept(tmp_path, source + 1, ("a",), lambda: made + 2) == made + 2).all()


def test_every_set_of_the_study_is_one_of_its_documents_tables_and_of_the_bundled_weights():
    text = cli.FIGURES.with_suffix(".md").read_text()
    for name, asked in studies.SETS.items():
        assert f"<!-- table marks {name} -->" in text
        figures = json.loads((cli.FIGURES / f"{name}.json").read_text())
        assert (figures["prompts"], figures["style"]) == (asked.prompts, asked.style)
        assert made_by(figures) == bundled(asked.style), f"{name} is of other weights: run `miniature studies`"


@pytest.mark.parametrize("style", studies.STYLES)
def test_the_ways_beside_each_other_are_measured_as_the_command_does_and_on_the_bundled_weights(style):
    figures = json.loads((cli.FIGURES / f"{studies.in_style('variants', style)}.json").read_text())
    plan = variants.Plan(style=style, sweeps=style == studies.STYLES[0])
    asked = {key: value for key, value in asdict(plan).items() if key not in ("teacher", "ways")}
    assert {key: figures[key] for key in asked} == asked
    assert figures["teacher"]
    assert figures["ways"] == []
    assert made_by(figures) == bundled(style), "the ways are of other weights: run `miniature studies --teacher`"


def test_the_readings_are_of_the_bundled_weights():
    (spec,) = (s for s in read_catalogue(cli.ROOT.parent / "models.toml").models if s.id == "miniature")
    assert json.loads((cli.FIGURES / "reading.json").read_text())["weights"] == fingerprint(spec)


def made_by(figures):
    return figures["weights"], figures["adapter"]


def bundled(style):
    weights = cli.ROOT / "weights"
    return fingerprint(ModelSpec(id=style, path=weights / style)), weights_of(weights / "adapters" / "sur")


def test_no_narratives_at_all_is_a_mistake(capsys):
    assert cli.main(["studies", "--most", "0"]) == 2
    assert "--most must be at least 1" in capsys.readouterr().err
