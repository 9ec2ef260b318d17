"""The studies' tables: the document's places hold the figures, and a place that cannot be filled is named."""

import json

import pytest

from vignette.miniature import cli, tables

ROWS = {"object": 0.5, "colour": 0.25, "count": 0.125, "action": 1, "place": 0, "mean": 0.375}
STUDY = {
    "prompts": 40,
    "one_kind": 30,
    "language": "second",
    "vocabulary": "rare",
    "base/narrative": ROWS,
    "adapter/narrative": {**ROWS, "object": 0.756},
    "base/keyword": ROWS,
    **{f"{way}, one kind": ROWS for way in ("base/narrative", "adapter/narrative", "base/keyword")},
    "gain": {name: [-0.0123, 0.2] for name in ROWS},
}


@pytest.fixture
def docs(tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "one.json").write_text(json.dumps(STUDY))
    return tmp_path


def run(docs, text):
    (docs / "study.md").write_text(text)
    return cli.main(["tables", "-i", str(docs / "study"), "-o", str(docs / "study.md")])


def test_a_place_is_filled_and_what_stands_around_it_stays(docs, capsys):
    before, after = "# A study\n<!-- table marks one -->\n", "<!-- end -->\nand more | words\n"
    assert run(docs, f"{before}| old |\n{after}<!-- table gains one one -->\n<!-- end -->\n") == 0
    assert "2 tables" in capsys.readouterr().out
    text = (docs / "study.md").read_text()
    assert text.startswith(before)
    assert f"{after}<!-- table gains" in text
    assert "| old |" not in text
    assert "| 40 scenes | object | colour | count | action | place | mean |\n|---|---|---|---|---|---|---|\n" in text
    assert "| adapter/narrative | 76 % | 25 % | 12 % | 100 % | 0 % | 38 % |" in text
    assert "| attribute | rare words | rare words |" in text
    assert "| mean | -1.2 to +20.0 | -1.2 to +20.0 |" in text


def test_a_table_says_how_many_scenes_it_is_of(docs):
    assert run(docs, "<!-- table one-kind one -->\n<!-- end -->\n") == 0
    assert "| 30 scenes | object |" in (docs / "study.md").read_text()


def test_what_keyword_prompts_lack_stands_out(docs):
    row = {"object": 0.95, "colour": 0.949, "count": 0.92, "action": 0.9, "place": 0.979}
    ways = {"base/keyword": row, "base/keyword, one kind": dict.fromkeys(row, 1)}
    (docs / "study" / "ink.json").write_text(json.dumps({"sentences": "by-hand", "style": "ink", **ways}))
    assert run(docs, "<!-- table wanted ink -->\n<!-- end -->\n") == 0
    lines = (docs / "study.md").read_text().splitlines()
    assert "| by other hands, in ink | 95.0 % | **94.9 %** | 92.0 % | 90.0 % | **97.9 %** |" in lines
    assert "| by other hands, in ink, one kind | 100.0 % | 100.0 % | 100.0 % | 100.0 % | 100.0 % |" in lines


def test_how_much_is_closed_stands_beside_what_it_is_of(docs):
    means = {"base/narrative": 0.7, "adapter/narrative": 0.925, "base/keyword": 0.95}
    closed = {"in_words": "90 % (95 % confidence set 80 % to 100 %)"}
    study = {name: {"mean": mean} for name, mean in means.items()} | {"closed": closed}
    (docs / "study" / "rare.json").write_text(json.dumps({"language": "second", "vocabulary": "rare", **study}))
    assert run(docs, "<!-- table closed rare -->\n<!-- end -->\n") == 0
    assert "| rare words | 70 % | 92 % | 95 % | 90 % | 80 % to 100 % |" in (docs / "study.md").read_text()


def test_ways_stand_by_their_marks_and_by_their_pictures_quality(docs):
    keyword = {**ROWS, "mean": 0.9, "kid": 0.002, "brisque": 30.04}
    over = {"kid_over_keyword": [-0.001, 0.002], "brisque_over_keyword": [-1.26, 0.5]}
    swept = {**ROWS, "kid": 0.1, "brisque": 1}
    plain = {**ROWS, "kid": 0.001, "brisque": 31, "gain": {"mean": [0.1, 0.2]}, **over}
    ways = {"base/narrative": plain, "base/keyword": keyword, "scale/0.5": swept, "fresh renders": {"brisque": 55}}
    (docs / "study" / "ways.json").write_text(json.dumps(ways))
    assert run(docs, "<!-- table variants ways -->\n<!-- end -->\n<!-- table looks ways -->\n<!-- end -->\n") == 0
    text = (docs / "study.md").read_text()
    assert "| fresh renders |  |  | 55.0 |  |" in text
    lines = [line for line in text.splitlines() if line.startswith("| base")]
    assert [line.split(" |")[0] for line in lines] == [
        f"| base/{of}" for of in ("keyword", *2 * ["narrative"], "keyword")
    ]
    assert lines[1].endswith("| 38 % | +10.0 to +20.0 |")
    assert lines[2] == "| base/narrative | 0.0010 | -0.0010 to +0.0020 | 31.0 | -1.3 to +0.5 |"
    assert lines[3] == "| base/keyword | 0.0020 |  | 30.0 |  |"


def test_a_failure_says_what_was_asked_for_and_what_was_lost(docs):
    missed = {"narrative": "a | b", "keywords": "1cat", "adapter/bundled": "count, action", "base/keyword": ""}
    (docs / "study" / "ways.json").write_text(json.dumps({"failures": [missed]}))
    assert run(docs, "<!-- table failures ways -->\n<!-- end -->\n") == 0
    assert "| 1 | a \\| b | 1cat | count, action | nothing |" in (docs / "study.md").read_text()


def test_what_each_way_gains_over_the_others(docs):
    over = {"published-recipe/narrative": [0.01, 0.05], "LLM-rewriting/narrative": [-0.1, 0.3]}
    ways = {"adapter/no-LLM": {"over": over}, "published-recipe/narrative": {"over": over}}
    (docs / "study" / "ways.json").write_text(json.dumps(ways))
    assert run(docs, "<!-- table over ways -->\n<!-- end -->\n") == 0
    lines = (docs / "study.md").read_text().splitlines()
    assert "| adapter/no-LLM | +1.0 to +5.0 | -10.0 to +30.0 |" in lines
    assert not any(line.startswith("| published-recipe") for line in lines)


def test_the_pictures_quality_beside_that_of_the_keyword_prompts(docs):
    ways = {"base/narrative": {"kid": 0.05}, "base/keyword": {"kid": 0.004}}
    ways["adapter/narrative"] = {"kid": 0.00456, "kid_over_keyword": [-0.001, 0.0021]}
    (docs / "study" / "seen.json").write_text(json.dumps({"sentences": "by-hand", **ways}))
    assert run(docs, "<!-- table quality seen -->\n<!-- end -->\n") == 0
    assert "| by other hands | 0.0500 | 0.0046 | 0.0040 | -0.0010 to +0.0021 |" in (docs / "study.md").read_text()


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("marcs one", "no table 'marcs'; there are instrument, marks"),
        ("marks two", "two.json is not there: run that study first"),
        ("states one", "lack 'states': run that study again"),
    ],
)
def test_a_place_that_cannot_be_filled_is_named_and_nothing_is_written(docs, capsys, place, said):
    text = f"<!-- table marks one -->\n<!-- end -->\n<!-- table {place} -->\n<!-- end -->\n"
    assert run(docs, text) == 2
    assert said in capsys.readouterr().err
    assert (docs / "study.md").read_text() == text


def test_a_document_that_is_not_there_is_named(docs, capsys):
    assert cli.main(["tables", "-i", str(docs / "study"), "-o", str(docs / "none.md")]) == 2
    assert "none.md cannot be read: No such file" in capsys.readouterr().err


@pytest.mark.parametrize(("document", "least"), [("docs/study.md", 12), ("docs/reading.md", 1), ("README.md", 1)])
def test_the_tables_in_docs_are_those_of_the_figures_beside_them(tmp_path, document, least):
    kept = (cli.FIGURES.parents[1] / document).read_text()
    (tmp_path / "copy.md").write_text(kept)
    assert tables.fill(tmp_path / "copy.md", cli.FIGURES) >= least
    assert (tmp_path / "copy.md").read_text() == kept, (
        f"docs/study has changed: run `npm exec vignette -- miniature tables -o {document}`"
    )
