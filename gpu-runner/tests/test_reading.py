"""Reading: phrases are found in the states they went into, learnt once, and told with the prediction."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import httpx
import pytest
import torch

from tests.drawing import draw, request
from tests.serving import finished
from tests.test_loader_single_file import write_single_file
from tests.tiny import write_model
from vignette.engine.catalogue import Catalogue, ModelSpec, NoticeSpec, read_catalogue
from vignette.engine.events import Started
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.text import encode_texts
from vignette.errors import ConfigError
from vignette.miniature.world import FIRST, SECOND, World
from vignette.reading import probe as probe_module
from vignette.reading.cli import main
from vignette.reading.lexicon import read_lexicon
from vignette.reading.measure import held_out, measure, read_outside
from vignette.reading.reader import FEWEST_TAGS, MOST_TAGS, Reader

ROOT = Path(__file__).resolve().parents[1]
LEXICON = """
templates = ["{count}{thing}, {place}", "{count}{thing}", "{place}"]
[phrases]
thing = ["cat", "dog", "fox"]
count = { 1 = "one", 2 = "two" }
place = ["beach", "room"]
"""
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def lexicon_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("lexicon") / "words.toml"
    file.write_text(LEXICON)
    return file


@pytest.fixture(scope="module")
def catalogue(models_toml: Path, lexicon_file: Path) -> Catalogue:
    """The tiny model of all tests, with a lexicon and a notice."""
    spec = read_catalogue(models_toml).default
    notice = NoticeSpec(text="It knows cats, dogs and foxes.", groups=("thing",), below=0.5)
    return Catalogue(models=(spec.model_copy(update={"lexicon": lexicon_file, "notice": notice}),))


@pytest.fixture(scope="module")
def model(catalogue: Catalogue) -> LoadedModel:
    return load_model(catalogue.default, CPU)


def reader(model: LoadedModel) -> Reader:
    assert model.reader is not None
    return model.reader


def probed(model: LoadedModel, text: str) -> dict[str, float]:
    with torch.inference_mode():
        states = encode_texts(model, [text])[text].states
        scores = reader(model).probe(states[None])[0].tolist()
    return dict(zip(reader(model).lexicon.tags, scores, strict=True))


@pytest.mark.parametrize("thing", ["cat", "dog", "fox"])
@pytest.mark.parametrize(("digit", "count"), [("1", "one"), ("2", "two")])
def test_keyword_prompts_are_read_as_they_were_written(model: LoadedModel, thing: str, digit: str, count: str) -> None:
    scores = probed(model, f"{digit}{thing}, beach")
    assert {tag for tag, score in scores.items() if score > 0.5} == {thing, count, "beach"}


def test_a_model_in_one_file_reads_too_and_learns_once(
    sd15_folder: Path, lexicon_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    words = tmp_path / "words.toml"
    words.write_text(lexicon_file.read_text())
    file = write_single_file(sd15_folder, tmp_path / "model.safetensors")
    spec = ModelSpec(id="tiny", path=file, config=sd15_folder, lexicon=words)
    first = load_model(spec, CPU)
    [kept] = tmp_path.glob("words.*.safetensors")
    with caplog.at_level(logging.INFO):
        again = load_model(spec, CPU)
    assert "Learning to read" not in caplog.text
    assert probed(again, "2cat, room") == probed(first, "2cat, room")
    write_single_file(write_model(tmp_path / "other", seed=8), file)
    load_model(spec, CPU)
    assert len({kept, *tmp_path.glob("words.*.safetensors")}) == 2


def test_a_score_is_the_share_of_prompts_that_hold_the_phrase(model: LoadedModel) -> None:
    assert all(0 <= score <= 1 for score in probed(model, "2cat, room").values())
    assert probed(model, "2cat, room")["room"] > 0.9 > 0.1 > probed(model, "2cat")["room"]


def test_the_strongest_come_first_and_some_always(model: LoadedModel) -> None:
    with torch.inference_mode():
        known = reader(model).read(encode_texts(model, ["2cat, room"])["2cat, room"].states, "2cat, room")
        nothing = reader(model).read(torch.zeros(77, 32), "")
    scores = [entry["score"] for entry in known.reading]
    assert scores == sorted(scores, reverse=True)
    assert {entry["tag"] for entry in known.reading} == {"cat", "two", "room"}
    assert FEWEST_TAGS <= len(nothing.reading) <= MOST_TAGS


def test_the_notice_is_told_below_its_bound_only(model: LoadedModel) -> None:
    known = reader(model)
    with torch.inference_mode():
        states = encode_texts(model, ["beach"])["beach"].states
        familiarity = known.familiarity(known.probe(states[None])[0].tolist(), "beach")
    assert 0 < familiarity < 0.5
    for below, told in ((familiarity / 2, None), (familiarity * 2, "Unknown.")):
        notice = NoticeSpec(text="Unknown.", groups=("thing",), below=below)
        assert Reader(known.lexicon, known.probe, notice).read(states, "beach").notice == told
    assert Reader(known.lexicon, known.probe).read(states, "beach").notice is None
    assert Reader(known.lexicon, known.probe).read(states, "beach").reading


def test_words_that_only_say_where_it_is_name_nothing(model: LoadedModel) -> None:
    notice = NoticeSpec(text="Unknown.", groups=("thing",), below=0.5, not_named=("among the foxes", "in the dog days"))
    known = reader(model)
    told = Reader(known.lexicon, known.probe, notice)
    for prompt, named in (("a robin among the foxes", False), ("In the dog days, a cat", True), ("the foxes", True)):
        assert (told.familiarity([0.1] * 7, prompt) == 1.0) is named
        assert known.familiarity([0.1] * 7, prompt) == 1.0


@pytest.mark.parametrize(
    ("prompt", "named"),
    [
        ("a cat", True),
        ("CATS everywhere", True),
        ("two foxes", True),
        ("a catalogue of dogma", False),
        ("a giraffe", False),
    ],
)
def test_who_names_what_the_model_knows_gets_no_notice(model: LoadedModel, prompt: str, named: bool) -> None:
    assert (reader(model).familiarity([0.1] * 7, prompt) == 1.0) is named


def test_what_the_unet_is_given_is_read(model: LoadedModel) -> None:
    events = draw(model, request("plain", seed=1), request("adapted", seed=1, adapter="sur")).events
    plain, adapted = (events[id][0] for id in ("plain", "adapted"))
    assert isinstance(plain, Started)
    assert isinstance(adapted, Started)
    assert plain.understood is not None
    assert plain.understood != adapted.understood


def test_it_is_learnt_once_for_a_text_encoder_and_a_lexicon(
    catalogue: Catalogue,
    model: LoadedModel,
    lexicon_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = list(lexicon_file.parent.glob("words.*.safetensors"))
    assert len(kept) == 1
    fitted: list[int] = []
    original = probe_module.fit
    monkeypatch.setattr(probe_module, "fit", lambda *given: fitted.append(1) or original(*given))
    again = load_model(catalogue.default, CPU)
    assert fitted == []
    assert torch.equal(reader(again).probe.weight, reader(model).probe.weight)

    other = tmp_path / "words.toml"
    other.write_text(LEXICON.replace('"fox"', '"owl"'))
    spec = catalogue.default.model_copy(update={"lexicon": other})
    load_model(spec, CPU)
    assert fitted == [1]
    assert next(tmp_path.glob("words.*.safetensors")).name != kept[0].name
    next(tmp_path.glob("words.*.safetensors")).write_bytes(b"half")
    with caplog.at_level(logging.WARNING):
        load_model(spec, CPU)
    assert fitted == [1, 1]
    assert "is damaged" in caplog.text


def test_a_folder_that_cannot_be_written_is_no_reason_to_stop(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "words.toml"
    file.write_text(LEXICON)

    def refuse(*given: object) -> None:
        raise OSError("read-only file system")

    monkeypatch.setattr(probe_module, "save_file", refuse)
    with caplog.at_level(logging.WARNING):
        loaded = load_model(catalogue.default.model_copy(update={"lexicon": file}), CPU)
    assert reader(loaded).probe.weight.shape == (128, 7)
    assert "cannot be kept (read-only file system)" in caplog.text
    assert [f.name for f in tmp_path.iterdir()] == ["words.toml"]


@pytest.mark.anyio
async def test_it_stands_in_the_predictions_metrics(client: httpx.AsyncClient, model: LoadedModel) -> None:
    known = await finished(client, {"prompt": "2cat, beach", "seed": 1, "num_inference_steps": 2, "adapter": None})
    assert {entry["tag"] for entry in known["metrics"]["reading"]} == {"cat", "two", "beach"}
    assert known["metrics"]["notice"] is None
    strange = await finished(client, {"prompt": "beach", "seed": 1, "num_inference_steps": 2, "adapter": None})
    assert strange["metrics"]["notice"] == "It knows cats, dogs and foxes."
    json.dumps(strange["metrics"])


def test_the_general_lexicon_reads_for_any_model(
    models_toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where models.toml's folder cannot be written, as in a container, the state folder keeps what was learnt."""
    monkeypatch.setattr(probe_module, "MOST_PROMPTS", 600)
    monkeypatch.setenv("VIGNETTE_STATE", str(tmp_path / "state"))
    head, middle, rest = models_toml.read_text().partition("[models.defaults]")
    file = tmp_path / "mounted" / "models.toml"
    file.parent.mkdir()
    file.write_text(head + 'lexicon = "general"\n' + middle + rest)
    model = load_model(read_catalogue(file).default, CPU)
    plain, adapted = (draw(model, request("a", seed=1, adapter=id)).events["a"][0] for id in (None, "sur"))
    assert isinstance(plain, Started)
    assert isinstance(adapted, Started)
    assert plain.understood is not None
    assert FEWEST_TAGS <= len(plain.understood.reading) <= MOST_TAGS
    assert {entry["tag"] for entry in plain.understood.reading} <= set(reader(model).lexicon.tags)
    assert plain.understood != adapted.understood
    [kept] = file.parent.glob("general.*.safetensors")

    (tmp_path / "state").mkdir()
    save, elsewhere = probe_module.save_file, kept.parent
    kept.unlink()

    def refuse(tensors: object, to: Path) -> None:
        if to.parent == elsewhere:
            raise OSError("read-only file system")
        save(tensors, to)  # type: ignore[arg-type]

    monkeypatch.setattr(probe_module, "save_file", refuse)
    load_model(read_catalogue(file).default, CPU)
    assert [f.name for f in (tmp_path / "state").iterdir()] == [kept.name]
    monkeypatch.setattr(probe_module, "fit", None)
    assert torch.equal(reader(load_model(read_catalogue(file).default, CPU)).probe.weight, reader(model).probe.weight)


def test_prompts_beyond_a_chunk_teach_nothing(model: LoadedModel, tmp_path: Path) -> None:
    long = "x " * 80
    file = tmp_path / "words.toml"
    file.write_text(LEXICON.replace('"{place}"]', f'"{{place}} {long}"]'))
    assert model.spec.lexicon is not None
    spec = model.spec.model_copy(update={"lexicon": file})
    scores = probed(load_model(spec, CPU), "2cat, beach")
    assert {tag for tag, score in scores.items() if score > 0.5} == {"cat", "two", "beach"}
    words = LEXICON.splitlines()[2:]
    file.write_text("\n".join([f'templates = ["{{count}} {{thing}} {{place}} {long}"]', *words]))
    with pytest.raises(ConfigError, match="make its templates shorter"):
        load_model(spec, CPU)


def test_a_phrase_among_many_is_learnt_as_surely_as_among_few() -> None:
    generator = torch.Generator().manual_seed(0)
    held = (torch.rand(600, 440, generator=generator) < 0.05).float()
    inputs = held[:, :44] @ torch.randn(44, 64, generator=generator) + 0.3 * torch.randn(600, 64, generator=generator)
    few, many = (probe_module._logistic_regression(inputs, held[:, :count]) for count in (44, 440))
    standard = (inputs - few.mean) / few.std
    one, two = (torch.sigmoid(standard @ p.weight + p.bias)[:, :44][held[:, :44] == 1].mean() for p in (few, many))
    assert one > 0.5
    assert two == pytest.approx(float(one), abs=0.03)


def test_a_model_without_a_lexicon_reads_nothing(models_toml: Path) -> None:
    loaded = load_model(read_catalogue(models_toml).default, CPU)
    assert loaded.reader is None
    started = draw(loaded, request()).events["a"][0]
    assert isinstance(started, Started)
    assert started.understood is None


def test_mistakes_in_models_toml_are_named(models_toml: Path, lexicon_file: Path, tmp_path: Path) -> None:
    notice = '[models.notice]\ntext = "x"\nbelow = 0.5\ngroups = ["thing"]\n'
    head, middle, rest = models_toml.read_text().partition("[models.defaults]")
    file = tmp_path / "models.toml"
    file.write_text(head + notice + middle + rest)
    with pytest.raises(ConfigError, match="notice needs a lexicon"):
        read_catalogue(file)
    file.write_text(head + f'lexicon = "{lexicon_file}"\n' + notice.replace("thing", "colour") + middle + rest)
    with pytest.raises(ConfigError, match="notice.groups.*'colour'.*thing, count, place"):
        load_model(read_catalogue(file).default, CPU)
    file.write_text(head + 'lexicon = "none.toml"\n' + middle + rest)
    with pytest.raises(ConfigError, match=f"There is no lexicon {tmp_path}/none.toml"):
        load_model(read_catalogue(file).default, CPU)


def test_the_command_says_it(
    models_toml: Path, lexicon_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, middle, rest = models_toml.read_text().partition("[models.defaults]")
    file = tmp_path / "models.toml"
    file.write_text(head + f'lexicon = "{lexicon_file}"\n' + middle + rest)
    assert main(["say", "2cat, beach", "--adapter", "none", "--models", str(file)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["prompt"] == "2cat, beach"
    assert {entry["tag"] for entry in said["reading"]} == {"cat", "two", "beach"}
    assert main(["say", "x", "--models", str(models_toml)]) == 2
    assert "has no lexicon" in capsys.readouterr().err
    assert main(["say", "x", "--models", str(file), "--adapter", "nope"]) == 2
    assert "has no adapter 'nope'" in capsys.readouterr().err
    assert main(["measure", "--prompts", "0", "--models", str(file)]) == 2
    assert "--prompts must be at least 1" in capsys.readouterr().err


# The bundled lexicon


def test_the_bundled_lexicon_has_the_studys_world() -> None:
    lexicon = read_lexicon(ROOT / "miniature" / "lexicon.toml")
    truth = held_out(lexicon, 200)
    assert (truth.held.sum(axis=1) >= 3).all()
    for keywords, held in zip(truth.keywords, truth.held, strict=True):
        tags = keywords.split(", ")
        said = {tag.lstrip("1234").removesuffix(" background") for tag in tags} | {tag.split()[0] for tag in tags}
        for (group, phrase), inside in zip(lexicon.entries, held, strict=True):
            assert group == "count" or (phrase in said) == inside


@pytest.mark.parametrize("world", [FIRST, SECOND], ids=lambda world: world.name)
def test_a_lexicon_is_measured_on_the_world_of_its_things(world: World) -> None:
    lexicon = read_lexicon(ROOT / "miniature" / "lexicon.toml")
    groups = lexicon.phrases | {"thing": {thing: thing for thing in world.things}}
    truth = held_out(lexicon.model_copy(update={"phrases": groups}), 40)
    of_larger_world = any(word in keywords for keywords in truth.keywords for word in ("doughnut", "koala", "ghost"))
    assert of_larger_world == (world == SECOND)


def test_figures_are_those_of_a_perfect_and_a_useless_reader(
    model: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vignette.reading.measure import _figures

    lexicon = reader(model).lexicon
    held = torch.eye(7).bool().numpy() | torch.eye(7).roll(2, 0).bool().numpy()
    perfect = _figures(lexicon, held.astype(float), held, True)
    assert perfect == pytest.approx(dict.fromkeys(perfect, 1.0))
    useless = _figures(lexicon, 1.0 - held.astype(float), held, True)
    assert useless["precision"] == useless["recall"] == 0
    assert useless["average precision"] < 0.3


def test_measuring_needs_the_worlds_lexicon(model: LoadedModel) -> None:
    with pytest.raises(ConfigError, match="belongs to another model"):
        measure(model, "sur", 5, ["a giraffe"])
    assert len(read_outside(ROOT / "miniature" / "outside.txt")) == 100


def test_the_bundled_miniature_reads_sentences() -> None:
    spec = read_catalogue(ROOT / "models.toml").default
    assert isinstance(spec, ModelSpec)
    assert spec.notice is not None
    assert list(spec.lexicon.parent.glob("lexicon.*.safetensors"))  # type: ignore[union-attr]
