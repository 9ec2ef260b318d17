"""`vignette evaluate` as its user calls it, on a tiny model and a judge made for the test."""

from __future__ import annotations

import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.tiny import write_adapter
from vignette.engine.catalogue import read_catalogue
from vignette.evaluation import cli
from vignette.evaluation.cases import read_cases
from vignette.evaluation.drawing import Settings, draw, missing, picture_file, plan
from vignette.evaluation.instruments.asked import Asked
from vignette.evaluation.instruments.base import Metric, Reading
from vignette.evaluation.report import _render, _signed
from vignette.evaluation.scores import measure
from vignette.evaluation.statistics import RatioSet
from vignette.evaluation.variants import Variant, default_variants, parse_variant

CPU = torch.device("cpu")
CATALOGUE = read_catalogue(Path(__file__).parent.parent / "models.toml")
CASES = [
    {
        "id": "one",
        "group": "counting",
        "narrative": "Did you see <b>two cats</b> | asleep?",
        "keywords": "2cat, sleeping",
        "facts": [{"object": "cat", "plural": "cats", "count": 2}],
    },
    {
        "id": "two",
        "group": "colour",
        "narrative": "the cat was red",
        "keywords": "1cat, red cat",
        "facts": [{"object": "cat", "plural": "cats", "colour": "red"}],
    },
    {
        "id": "three",
        "group": "colour",
        "narrative": "a blue cat",
        "keywords": "1cat, blue cat",
        "facts": [{"object": "cat", "plural": "cats", "colour": "blue"}],
    },
]
VARIANTS = [
    "name=base,model=tiny,prompt=narrative",
    "name=adapted,model=tiny,adapter=default,prompt=narrative",
    "name=half,model=tiny,adapter=default,scale=0.5,prompt=narrative",
    "name=ceiling,model=tiny,prompt=keywords",
]


class Brightness:
    """An instrument whose figures are known from the pictures alone; it counts what it is asked to measure."""

    id = "brightness-1"
    name = "bright"
    label = "mean of the <channels>"
    metrics = (Metric("bright/red", "red", judged=True), Metric("bright/blue", "blue", judged=True))

    def __init__(self) -> None:
        self.measured = 0

    def measure(self, images, cases):
        self.measured += len(images)
        pixels = [np.asarray(i, dtype=float) / 255 for i in images]
        return [Reading({"bright/red": p[..., 0].mean(), "bright/blue": p[..., 2].mean()}, ("<i>",)) for p in pixels]


@pytest.fixture(scope="module")
def set_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("set") / "cases.jsonl"
    file.write_text("\n".join(json.dumps(c) for c in CASES))
    return file


@pytest.fixture
def variants(models_toml: Path) -> list[Variant]:
    return [parse_variant(text, read_catalogue(models_toml)) for text in VARIANTS]


def call(models_toml: Path, set_file: Path, output: Path, *more: str) -> int:
    arguments = ["--models", str(models_toml), "--set", str(set_file), "-o", str(output), "--device", "cpu", *more]
    return cli.main(arguments)


def test_one_command_draws_measures_and_reports(
    models_toml: Path, set_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    meter = Brightness()
    monkeypatch.setattr(cli, "load_instruments", lambda *_: Asked([meter], absent=["nothing <else>"]))
    chosen = [part for text in VARIANTS for part in ("--variant", text)]
    assert call(models_toml, set_file, tmp_path, *chosen, "--seeds", "2", "--steps", "3") == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [v["name"] for v in figures["variants"]] == ["base", "adapted", "half", "ceiling"]
    assert (figures["baseline"], figures["ceiling"], figures["candidate"]) == ("base", "ceiling", "adapted")
    assert figures["groups"] == {"counting": 1, "colour": 2}
    assert figures["instruments"] == [{"id": "brightness-1", "name": "bright", "label": "mean of the <channels>"}]
    mean = figures["metrics"]["bright/mean"]
    assert set(mean["means"]) == {"base", "adapted", "half", "ceiling"}
    assert set(mean["gains"]) == {"adapted", "half", "ceiling"}
    assert set(mean["closed"]) == {"adapted", "half"}
    assert mean["means"]["base"]["units"] == 3
    gain = mean["means"]["adapted"]["estimate"] - mean["means"]["base"]["estimate"]
    assert mean["gains"]["adapted"]["estimate"] == pytest.approx(gain)
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 4 * 3 * 2
    assert meter.measured == 24
    said = capsys.readouterr()
    assert "24 to draw" in said.out
    assert "Not measured: nothing <else>" in said.err

    # A second run finds everything, and a wider comparison draws only what is new.
    assert call(models_toml, set_file, tmp_path, *chosen, "--seeds", "2", "--steps", "3") == 0
    assert "0 to draw" in capsys.readouterr().out
    assert call(models_toml, set_file, tmp_path, *chosen, "--seeds", "3", "--steps", "3") == 0
    assert "24 there already, 12 to draw" in capsys.readouterr().out
    assert meter.measured == 36

    markdown = (tmp_path / "report.md").read_text()
    assert r"Did you see \<b\>two cats\</b\> \| asleep?" in markdown
    assert "| adapted | tiny | sur | 1.0 | narrative |" in markdown
    assert r"* bright: mean of the \<channels\>" in markdown
    assert "<li>bright: mean of the &lt;channels&gt;</li>" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "gallery.png").read_bytes().startswith(b"\x89PNG")


def test_a_reading_cut_off_by_a_crash_is_measured_again(
    variants: list[Variant], set_file: Path, tmp_path: Path
) -> None:
    jobs = plan(variants[:1], read_cases(set_file), 1, Settings(num_inference_steps=2), CPU)
    draw(jobs, tmp_path / "pictures", CPU)
    first, second = Brightness(), Brightness()
    readings = measure(first, jobs, tmp_path / "pictures", tmp_path / "scores")
    file = tmp_path / "scores" / "brightness-1.jsonl"
    file.write_text(file.read_text()[:-20])
    assert measure(second, jobs, tmp_path / "pictures", tmp_path / "scores") == readings
    assert (first.measured, second.measured) == (3, 1)
    assert measure(second, jobs, tmp_path / "pictures", tmp_path / "scores") == readings
    assert second.measured == 1


def test_pictures_that_cannot_be_drawn_are_listed_and_left_out_of_the_pairs(
    models_toml: Path, set_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "load_instruments", lambda *_: Asked([Brightness()]))
    broken = write_adapter(tmp_path / "broken", gain=5e37)
    chosen = ["--variant", VARIANTS[0], "--variant", f"name=broken,model=tiny,adapter={broken},prompt=narrative"]
    assert call(models_toml, set_file, tmp_path / "out", *chosen, "--steps", "2") == 0
    figures = json.loads((tmp_path / "out" / "figures.json").read_text())
    assert len(figures["not_drawn"]) == 3
    assert all("invalid numbers" in sentence for sentence in figures["not_drawn"].values())
    assert set(figures["metrics"]["bright/mean"]["means"]) == {"base"}
    assert figures["metrics"]["bright/mean"]["gains"] == {}
    assert "3 pictures could not be drawn" in (tmp_path / "out" / "report.md").read_text()
    assert "not drawn" in (tmp_path / "out" / "report.html").read_text()


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_html_report_stands_alone_and_runs_nothing_of_the_prompts(
    models_toml: Path, set_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "load_instruments", lambda *_: Asked([Brightness()]))
    assert call(models_toml, set_file, tmp_path, "--title", "<script>alert(1)</script>", "--steps", "2") == 0
    html = (tmp_path / "report.html").read_text()
    tags = Tags()
    tags.feed(html)
    names = [tag for tag, _ in tags.found]
    assert "script" not in names
    assert names.count("b") == html.count("<b>")  # the prompt's <b> is text
    assert "&lt;b&gt;two cats" in html
    images = [attributes["src"] or "" for tag, attributes in tags.found if tag == "img"]
    assert len(images) >= 9
    assert all(source.startswith("data:image/webp;base64,") for source in images)
    assert "://" not in html


def test_an_interrupted_run_goes_on_where_it_stopped(variants: list[Variant], set_file: Path, tmp_path: Path) -> None:
    jobs = plan(variants, read_cases(set_file), 1, Settings(num_inference_steps=2), CPU)
    drawn = 0

    def stop_after_five() -> None:
        nonlocal drawn
        drawn += 1
        if drawn == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw(jobs, tmp_path, CPU, stop_after_five)
    assert len(missing(jobs, tmp_path)) == len(jobs) - 5
    before = {file: file.stat().st_mtime_ns for file in tmp_path.glob("*.png")}
    assert draw(jobs, tmp_path, CPU) == {}
    assert missing(jobs, tmp_path) == []
    assert all(file.stat().st_mtime_ns == time for file, time in before.items())
    assert not list(tmp_path.glob("*.part"))


def test_pictures_are_the_same_in_any_company_and_named_by_what_made_them(
    variants: list[Variant], models_toml: Path, set_file: Path, tmp_path: Path
) -> None:
    cases = read_cases(set_file)
    settings = Settings(num_inference_steps=2)
    everything = plan(variants, cases, 1, settings, CPU)
    alone = plan(variants[1:2], cases[2:], 1, settings, CPU)
    assert alone[0].key == everything[3 + 2].key
    draw(everything, tmp_path / "all", CPU)
    draw(alone, tmp_path / "one", CPU)
    together, single = (picture_file(tmp_path / f, alone[0].key).read_bytes() for f in ("all", "one"))
    assert len(together) == len(single)
    keys = {job.key for job in everything}
    assert len(keys) == len(everything)
    assert {j.key for j in plan(variants, cases, 1, Settings(num_inference_steps=3), CPU)}.isdisjoint(keys)
    # A scale of 0 leaves the prompt alone, so it is the base's picture.
    catalogue = read_catalogue(models_toml)
    silent = parse_variant("model=tiny,adapter=default,scale=0,prompt=narrative", catalogue)
    assert {j.key for j in plan([silent], cases, 1, settings, CPU)} < keys


def test_one_folder_in_two_precisions_is_loaded_twice(
    sd15_folder: Path, set_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vignette.engine import loader

    loaded: list[str] = []
    load = loader.load_model
    monkeypatch.setattr(loader, "load_model", lambda spec, device: (loaded.append(spec.dtype), load(spec, device))[1])
    case, variants = read_cases(set_file)[:1], []
    for dtype in ("float32", "bfloat16"):
        variant = parse_variant(f"name={dtype},model={sd15_folder},prompt=narrative", CATALOGUE)
        variants.append(replace(variant, model=variant.model.model_copy(update={"dtype": dtype, "id": dtype})))
    draw(plan(variants, case, 1, Settings(num_inference_steps=1), CPU), tmp_path, CPU)
    assert sorted(loaded) == ["bfloat16", "float32"]


def test_other_weights_are_other_pictures(sd15_folder: Path, set_file: Path, tmp_path: Path) -> None:
    cases = read_cases(set_file)[:1]
    keys = set()
    for seed in (1, 2):
        folder = write_adapter(tmp_path / f"adapter-{seed}", seed=seed)
        variant = parse_variant(f"model={sd15_folder},adapter={folder},prompt=narrative", CATALOGUE)
        jobs = plan([variant], cases, 1, Settings(), CPU)
        assert (jobs[0].request.width, jobs[0].request.height) == (64, 64)
        keys |= {job.key for job in jobs}
    assert len(keys) == 2


def test_an_id_comes_before_a_folder_of_that_name(
    models_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "sur").mkdir()
    monkeypatch.chdir(tmp_path)
    catalogue = read_catalogue(models_toml)
    names = [v.name for v in default_variants("tiny", catalogue)]
    assert names == ["base/narrative", "adapter/narrative", "base/keywords"]
    variant = parse_variant("model=tiny,adapter=sur,prompt=narrative", catalogue)
    assert variant.adapter == catalogue.default.adapters[0]
    assert parse_variant(f"model={variant.model.path},prompt=keywords", catalogue).model.id == "tiny"


def test_trained_adapters_go_by_the_names_of_their_runs(models_toml: Path, tmp_path: Path) -> None:
    (tmp_path / "first" / "adapter").mkdir(parents=True)
    variant = parse_variant(
        f"model=tiny,adapter={tmp_path}/first/adapter,prompt=narrative", read_catalogue(models_toml)
    )
    assert variant.adapter is not None
    assert variant.adapter.id == "first-adapter"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (["--variant", "model=nosuch,prompt=narrative"], "There is no model 'nosuch'"),
        (["--model", "nosuch"], "--model: There is no model 'nosuch'"),
        (["--variant", "model=tiny,adapter=nosuch,prompt=narrative"], "neither a folder nor an adapter of tiny"),
        (["--variant", "model=tiny,prompt=poem"], "prompt must be narrative or keywords"),
        (["--variant", "model=tiny,scale=0.5,prompt=narrative"], "scale means nothing without an adapter"),
        (["--variant", "model=tiny,adapter=sur,scale=nan,prompt=narrative"], "scale must be a number from 0 to 2"),
        (["--variant", "colour=red"], "'colour=red' must be one of"),
        (["--variant", VARIANTS[0], "--variant", VARIANTS[0]], "Two variants are called 'base'"),
        (["--variant", VARIANTS[0], "--model", "tiny"], "--model goes without --variant"),
        (["--baseline", "nobody"], "--baseline nobody: there is no such variant"),
        (["--steps", "51"], "--steps: num_inference_steps must lie between 1 and 50"),
        (["--width", "30"], "--width: width must be a multiple of"),
        (["--scheduler", "MagicScheduler"], "--scheduler: The model tiny cannot be drawn"),
        (["--group", "poetry"], "it has counting, colour"),
        (["--set", "nosuch.jsonl"], "There is no file nosuch.jsonl"),
        (["--vqa", "nosuch"], "--vqa nosuch: no Transformers model is there"),
        (["--clip", "nosuch"], "--clip nosuch: no Transformers model is there"),
        (["--detector", "nosuch"], "--detector nosuch: no Transformers model is there"),
        (["--kid-reference", "renders"], "--kid-reference needs a network"),
        (["--device", "abacus"], "must be auto, cpu, cuda"),
    ],
)
def test_bad_input_is_named_before_anything_is_drawn(
    models_toml: Path,
    set_file: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    more: list[str],
    expected: str,
) -> None:
    assert call(models_toml, set_file, tmp_path / "out", *more) == 2
    assert expected in capsys.readouterr().err
    assert not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("option", ["--shown", "--failures"])
def test_a_gallery_cannot_have_fewer_pictures_than_none(
    models_toml: Path, set_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture, option: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        call(models_toml, set_file, tmp_path, option, "-1")
    assert stopped.value.code == 2
    assert f"argument {option}: must be a number of at least 0, not '-1'" in capsys.readouterr().err


def test_galleries_may_be_left_out(
    models_toml: Path, set_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "load_instruments", lambda *_: Asked([Brightness()]))
    assert call(models_toml, set_file, tmp_path, "--steps", "1", "--shown", "0", "--failures", "0") == 0
    assert not (tmp_path / "gallery.png").exists()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("{", "line 2: the line: Invalid JSON"),
        (json.dumps(CASES[0]), "line 2: the id 'one' was used before"),
        (json.dumps(CASES[1] | {"facts": []}), "line 2: facts: Tuple should have at least 1 item"),
        (json.dumps(CASES[1] | {"facts": [{"object": "cat", "plural": "cats", "count": 99}]}), "facts[0].count"),
        (json.dumps(CASES[1] | {"mood": "good"}), "line 2: mood: Extra inputs"),
    ],
)
def test_a_bad_line_of_a_set_is_named(
    models_toml: Path, tmp_path: Path, capsys: pytest.CaptureFixture, line: str, expected: str
) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(CASES[0]) + "\n" + line)
    assert call(models_toml, file, tmp_path / "out") == 2
    assert expected in capsys.readouterr().err


def test_figures_are_written_as_people_write_them() -> None:
    assert [_signed(share, True) for share in (-0.0004, 0.123, -0.05)] == ["+0.0", "+12.3", "-5.0"]
    assert [_signed(gain, False) for gain in (-0.00001, -5.12e-05, 0.02709)] == ["+0.0000", "-0.0001", "+0.0271"]
    assert RatioSet(-0.001, "bounded", -0.004, 0.2).in_words() == "0 % (95 % confidence set 0 % to 20 %)"


def test_a_report_tells_better_from_worse_where_lower_is_better() -> None:
    def metric(title: str, higher: bool, low: float, high: float) -> dict[str, object]:
        gain = {"estimate": (low + high) / 2, "low": low, "high": high}
        means = {name: gain for name in ("base", "new")}
        return {"title": title, "higher_is_better": higher, "judged": False, "means": means, "gains": {"new": gain}}

    metrics = [
        metric("brisque", False, 1, 5),
        metric("niqe", False, -5, -1),
        metric("cosine", True, 1, 5),
        metric("musiq", True, -5, -1),
        metric("nothing", False, -1, 1),
    ]
    variant = {"model": "tiny", "adapter": None, "scale": 0.0, "prompt": "narrative"}
    texts = ("title", "date", "machine", "settings", "candidate")
    nothing = dict.fromkeys(("ceiling", "kid", "not_drawn", "missing_instruments", "instruments"))
    figures = {
        **dict.fromkeys(texts, "x"),
        **nothing,
        "cases": 2,
        "groups": {"action": 2},
        "seeds": 1,
        "variants": [variant | {"name": name} for name in ("base", "new")],
        "baseline": "base",
        "metrics": {str(m["title"]): m for m in metrics},
    }
    gains = _render("report.md.j2", figures, [], [], escape=False).partition("## Gain over base")[2]
    assert [line for line in gains.splitlines() if "[" in line] == [
        r"| brisque (lower is better) | +3.0000 [+1.0000, +5.0000] \* worse | ",
        r"| niqe (lower is better) | -3.0000 [-5.0000, -1.0000] \* better | ",
        r"| cosine | +3.0000 [+1.0000, +5.0000] \* better | ",
        r"| musiq | -3.0000 [-5.0000, -1.0000] \* worse | ",
        r"| nothing (lower is better) | +0.0000 [-1.0000, +1.0000] | ",
    ]
    html = _render("report.html.j2", figures, [], [], escape=True).partition("Gain over base")[2]
    assert '<td>brisque (lower is better)<td class="n"><b>+3.0000</b> worse<br>' in html
    assert '<td>cosine<td class="n"><b>+3.0000</b> better<br>' in html
