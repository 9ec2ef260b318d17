"""The studies' plots: every figure stands where it belongs, the same figures give the same bytes, and what is missing is named."""

import json
from xml.etree import ElementTree

import pytest

from vignette.miniature import cli
from vignette.miniature.chart import Scale

SVG = "{http://www.w3.org/2000/svg}"
ATTRIBUTES = ("object", "colour", "count", "action", "place")


def row(mean, **more):
    intervals = {a: [mean - 0.1, mean + 0.05] for a in ATTRIBUTES}
    return {a: mean for a in ATTRIBUTES} | {
        "mean": mean, "interval": [mean - 0.05, mean + 0.05], "intervals": intervals, **more,
    }  # fmt: skip


def study():
    rows = {"base/narrative": row(0.5), "adapter/narrative": row(0.7), "base/keyword": row(0.9)}
    return {"prompts": 100, "style": "ink", **rows}


def variants():
    gain = {"gain": {"mean": [-0.02, 0.25]}}
    return {
        "prompts": 60,
        "style": "day",
        "scenes": 400,
        "base/keyword": row(0.9, kid=0.2),
        "base/narrative": row(0.5, kid=0.6, kid_over_keyword=[0.3, 0.5]),
        "LLM-rewriting/narrative": row(0.45, kid=0.7, kid_over_keyword=[0.4, 0.6], **gain),
        "adapter/no-LLM": row(0.7, kid=0.3, kid_over_keyword=[-0.1, 0.3], **gain),
        "published-recipe/narrative": row(0.51, kid=0.6, kid_over_keyword=[0.3, 0.5], **gain),
        "scale/0.5": row(0.6, kid=0.4),
        "scale/1.5": row(0.65, kid=0.4),
        "triples/40": row(0.55, kid=0.4),
        "failures": ["two cats"],
    }


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "rare-words-ink.json").write_text(json.dumps(study()))
    (tmp_path / "study" / "variants.json").write_text(json.dumps(variants()))
    (tmp_path / "study" / "reading.json").write_text(json.dumps({"measures": {}}))
    return tmp_path


def plots(docs, output="images"):
    return cli.main(["plots", "-i", str(docs / "study"), "-o", str(docs / output)])


def parsed(docs, name):
    return ElementTree.parse(docs / "images" / f"{name}.svg").getroot()  # noqa: S314  # our own


def drawn(root, family, tag):
    """Coordinates of a family's marks, left to right."""
    attribute = {"circle": "cx", "rect": "x", "line": "x1"}.get(tag)
    found = [e for e in root.iter(SVG + tag) if family in e.get("class").split() and "level" not in e.get("class")]
    return sorted(float(e.get(attribute) if attribute else e.get("points").split(",")[0]) for e in found)


def texts(root):
    return [e.text for e in root.iter(SVG + "text")]


def test_each_kind_of_figures_becomes_its_plots_and_the_markdown_that_shows_them(docs, capsys):
    assert plots(docs) == 0
    names = {"marks", "variants", "variants-scale", "variants-triples", "variants-kid"}
    assert {file.stem for file in (docs / "images").iterdir()} == names
    lines = capsys.readouterr().out.splitlines()
    assert {line.rpartition("](")[2] for line in lines} == {f"images/{name}.svg)" for name in names}
    assert "adapter/narrative 70 %" in next(line for line in lines if "marks.svg" in line)


def test_the_same_figures_give_the_same_bytes(docs):
    plots(docs)
    plots(docs, "again")
    for file in (docs / "images").iterdir():
        assert file.read_bytes() == (docs / "again" / file.name).read_bytes()


def test_every_plot_names_its_command_and_its_figures_and_is_told_to_who_cannot_see_it(docs):
    plots(docs)
    for file in (docs / "images").iterdir():
        text = file.read_text()
        assert "miniature plots, from" in text
        assert "prefers-color-scheme: dark" in text
        root = ElementTree.fromstring(text)  # noqa: S314  # our own
        assert root.get("aria-labelledby") == "title description"
        assert "%" in root.findtext(f"{SVG}desc")


def test_marks_stand_in_order_of_their_values_with_an_interval_for_each_attribute(docs):
    plots(docs)
    root = parsed(docs, "marks")
    means = [drawn(root, family, tag)[-1] for family, tag in (("base", "circle"), ("keyword", "rect"))]
    assert means[0] < drawn(root, "adapter", "polygon")[-1] < means[1]
    for family in ("base", "adapter", "keyword"):
        assert len(drawn(root, family, "line")) == len(ATTRIBUTES) + 1


def test_a_study_is_called_by_its_sentences_and_a_style_that_its_name_ends_in(docs):
    (docs / "study" / "other-hands.json").write_text(json.dumps(study() | {"style": "day"}))
    plots(docs)
    titles = [text for text in texts(parsed(docs, "marks")) if "words" in text or "hands" in text]
    assert titles == ["Other hands", "Rare words, ink"]


def test_figures_without_intervals_by_attribute_are_drawn_without_them(docs):
    table = study()
    for name in ("base/narrative", "adapter/narrative", "base/keyword"):
        del table[name]["intervals"]
    (docs / "study" / "rare-words-ink.json").write_text(json.dumps(table))
    plots(docs)
    assert len(drawn(parsed(docs, "marks"), "adapter", "line")) == 1


def test_ways_are_told_best_first_and_sweeps_are_not_among_them(docs):
    plots(docs)
    ways = [text for text in texts(parsed(docs, "variants")) if "/" in text]
    assert ways == [
        "base/keyword", "adapter/no-LLM", "published-recipe/narrative", "base/narrative", "LLM-rewriting/narrative",
    ]  # fmt: skip
    assert any("gain \N{MINUS SIGN}2 to +25" in text for text in texts(parsed(docs, "variants")))


def test_the_sweep_goes_from_no_adapter_over_the_trained_scale(docs):
    plots(docs)
    root = parsed(docs, "variants-scale")
    assert [text for text in texts(root) if text in ("0", "0.5", "1", "1.5")] == ["0", "0.5", "1", "1.5"]
    assert len(drawn(root, "adapter", "polygon")) == 3
    assert len(drawn(root, "base", "circle")) == 1


def test_the_data_size_curve_ends_at_all_triples(docs):
    plots(docs)
    assert [text for text in texts(parsed(docs, "variants-triples")) if text in ("40", "400")] == ["40", "400"]


def test_kid_is_set_against_that_of_the_keyword_prompts(docs):
    plots(docs)
    root = parsed(docs, "variants-kid")
    zero = next(float(e.get("x1")) for e in root.iter(SVG + "line") if "level" in e.get("class"))
    assert drawn(root, "keyword", "rect")[-1] + 4 == pytest.approx(zero)
    low, high = next(
        (float(e.get("x1")), float(e.get("x2"))) for e in root.iter(SVG + "line") if e.get("class") == "whisker adapter"
    )
    assert low < zero < high


def test_a_scale_may_be_logarithmic():
    scale = Scale(10, 1000, 0, 100, logarithmic=True)
    assert scale(100) == pytest.approx(50)


def test_a_folder_without_figures_is_named_with_what_writes_some(tmp_path, capsys):
    assert cli.main(["plots", "-i", str(tmp_path), "-o", str(tmp_path / "images")]) == 2
    assert "miniature study --output" in capsys.readouterr().err
    assert not (tmp_path / "images").exists()


def test_a_file_that_is_no_json_is_named(docs, capsys):
    (docs / "study" / "variants.json").write_text('{"prompts": 60,')
    assert plots(docs) == 2
    assert "variants.json is no JSON" in capsys.readouterr().err


def test_a_study_of_variants_that_lacks_a_row_is_named(docs, capsys):
    table = variants()
    del table["base/keyword"]
    (docs / "study" / "variants.json").write_text(json.dumps(table))
    assert plots(docs) == 2
    assert "variants.json lacks 'base/keyword'" in capsys.readouterr().err


def test_the_plots_in_docs_are_those_of_the_figures_beside_them(tmp_path, capsys):
    assert cli.main(["plots", "-o", str(tmp_path)]) == 0
    fresh, kept = ({file.name: file.read_text() for file in folder.glob("*.svg")} for folder in (tmp_path, cli.PLOTS))
    assert fresh == kept, "docs/study has changed: run `npm exec vignette -- miniature plots`"
