"""Judges, CLIPScore and quality on tiny random models with the real classes: the path is proven, not the weights."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BertTokenizerFast,
    BlipConfig,
    BlipForQuestionAnswering,
    BlipImageProcessor,
    BlipProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPProcessor,
    Owlv2Config,
    Owlv2ForObjectDetection,
    Owlv2ImageProcessor,
    Owlv2Processor,
    OwlViTConfig,
    OwlViTForObjectDetection,
    OwlViTImageProcessor,
    OwlViTProcessor,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
    ViltConfig,
    ViltForQuestionAnswering,
    ViltImageProcessor,
    ViltProcessor,
)

from tests.tiny import write_tokenizer
from vignette.errors import ConfigError
from vignette.evaluation.cases import Case, Fact, choose, miniature_cases, read_cases
from vignette.evaluation.instruments import detector, local
from vignette.evaluation.instruments.base import Reading
from vignette.evaluation.instruments.clip import ClipJudge, ClipScore
from vignette.evaluation.instruments.detector import DetectorJudge, distinct
from vignette.evaluation.instruments.embedder import ClipEmbedder
from vignette.evaluation.instruments.miniature import MiniatureJudge
from vignette.evaluation.instruments.quality import ImageQuality
from vignette.evaluation.instruments.vqa import VqaJudge
from vignette.miniature.world import FIRST

CPU = torch.device("cpu")
SIZE = {"height": 32, "width": 32}
TEXT = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION = TEXT | {"image_size": 32, "patch_size": 8}
CASES = [cases for group in ("action", "colour", "counting") for cases in choose(read_cases(), [group], 1)]


def noise(count: int = 3) -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (48, 40, 3), dtype=np.uint8)) for _ in range(count)]


def bert(folder: Path) -> BertTokenizerFast:
    words = [
        "what",
        "color",
        "is",
        "are",
        "the",
        "how",
        "many",
        "in",
        "picture",
        "?",
        "a",
        "dog",
        "cat",
        "red",
        "two",
        "yes",
        "no",
    ]
    letters = [c for letter in "abcdefghijklmnopqrstuvwxyz" for c in (letter, f"##{letter}")]
    file = folder / "vocab.txt"
    file.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *letters]))
    return BertTokenizerFast(vocab=str(file), model_max_length=40)


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("blip")
    torch.manual_seed(0)
    tokenizer = bert(folder)
    special = {"bos_token_id": 2, "sep_token_id": 3, "eos_token_id": 3, "pad_token_id": 0}
    text = TEXT | special | {"vocab_size": len(tokenizer), "encoder_hidden_size": 32, "projection_dim": 16}
    config = BlipConfig(text_config=text, vision_config=VISION | {"projection_dim": 16}, projection_dim=16)
    BlipForQuestionAnswering(config).save_pretrained(folder)
    BlipProcessor(BlipImageProcessor(size=SIZE), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vilt")
    torch.manual_seed(0)
    tokenizer = bert(folder)
    labels = dict(enumerate(("yes", "no", "red", "2")))
    config = ViltConfig(
        **VISION, vocab_size=len(tokenizer), id2label=labels, label2id={v: k for k, v in labels.items()}
    )
    ViltForQuestionAnswering(config).save_pretrained(folder)
    ViltProcessor(ViltImageProcessor(size={"shortest_edge": 32}, size_divisor=8), tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(0)
    tokenizer = write_tokenizer(folder / "source")
    text = TEXT | {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
    }
    CLIPModel(CLIPConfig(text_config=text, vision_config=VISION, projection_dim=16)).save_pretrained(folder)
    CLIPProcessor(CLIPImageProcessor(size=SIZE, crop_size=SIZE), tokenizer).save_pretrained(folder)
    return folder


OWLS = {
    "OWL-ViT": (OwlViTConfig, OwlViTForObjectDetection, OwlViTImageProcessor, OwlViTProcessor),
    "OWLv2": (Owlv2Config, Owlv2ForObjectDetection, Owlv2ImageProcessor, Owlv2Processor),
}


@pytest.fixture(scope="module", params=OWLS)
def owl(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param == "OWLv2":
        pytest.importorskip("scipy", reason="an extra: requirements-detector.txt")
    config, model, images, processor = OWLS[request.param]
    folder = tmp_path_factory.mktemp("owl")
    torch.manual_seed(0)
    tokenizer = write_tokenizer(folder / "source")
    text = TEXT | {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 16,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    tokenizer.model_max_length = 16
    model(config(text_config=text, vision_config=VISION, projection_dim=32)).save_pretrained(folder)
    processor(images(size=SIZE), tokenizer).save_pretrained(folder)
    return folder


def test_blip_answers_every_question(blip: Path) -> None:
    judge = VqaJudge(blip, CPU)
    readings = judge.measure(noise(), CASES)
    assert [set(r.values) for r in readings] == [{"vqa/action"}, {"vqa/colour"}, {"vqa/counting"}]
    assert all("(wanted: " in said for r in readings for said in r.said)
    assert readings == judge.measure(noise(), CASES)


def test_vilt_answers_with_its_classes(vilt: Path) -> None:
    judge = VqaJudge(vilt, CPU)
    image = noise(1)[0]
    answers = judge.answer(image, ["is the dog red?"] * 20)
    assert set(answers) <= {"yes", "no", "red", "2"}
    assert len(answers) == 20


def test_a_fact_is_shown_only_when_all_its_questions_agree(blip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = VqaJudge(blip, CPU)
    fact = Fact(object="dog", plural="dogs", count=2, colour="red", action="sleeping", others=("running",))
    case = Case(id="x", group="test", narrative="n", keywords="k", facts=(fact,))

    def marks(answers: Sequence[str]) -> dict[str, float]:
        monkeypatch.setattr(judge, "answer", lambda image, texts: list(answers))
        return judge.measure(noise(1), [case])[0].values

    assert marks(["red", "2", "yes", "no"]) == {"vqa/colour": 1, "vqa/counting": 1, "vqa/action": 1}
    assert marks(["blue", "3", "yes", "yes"]) == {"vqa/colour": 0, "vqa/counting": 0, "vqa/action": 0}


def test_clip_score_has_the_stated_scale(clip: Path) -> None:
    embedder = ClipEmbedder(clip, CPU)
    readings = ClipScore(embedder).measure(noise(), CASES)
    model, processor = CLIPModel.from_pretrained(clip).eval(), CLIPProcessor.from_pretrained(clip)
    for image, case, reading in zip(noise(), CASES, readings, strict=True):
        for text, name, scale in (
            (case.narrative, "cosine/narrative", None),
            ("A photo depicts " + case.keywords, "clip_score/keywords", 2.5),
        ):
            inputs = processor(text=[text], images=image, padding="max_length", truncation=True, return_tensors="pt")
            with torch.no_grad():
                output = model(**inputs)
            cosine = float((output.text_embeds * output.image_embeds).sum())
            assert reading.values[name] == pytest.approx(cosine if scale is None else scale * max(cosine, 0), abs=1e-5)


class Known:
    """An embedder whose pictures lie exactly on one caption."""

    id = label = "known"
    prefix = ""
    scale = 10.0

    def __init__(self, shows: str) -> None:
        self._shows = shows

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.stack([torch.tensor([1.0, 0.0] if t == self._shows else [0.0, 1.0]) for t in texts])

    def images(self, images: Sequence[Image.Image]) -> torch.Tensor:
        return torch.tensor([[1.0, 0.0]]).repeat(len(images), 1)


def test_the_clip_judge_prefers_the_true_caption_or_not(clip: Path) -> None:
    fact = Fact(object="dog", plural="dogs", count=2)
    case = Case(id="x", group="test", narrative="n", keywords="k", facts=(fact,))
    right = ClipJudge(Known("a photo of two dogs")).measure(noise(1), [case])[0]
    wrong = ClipJudge(Known("a photo of five dogs")).measure(noise(1), [case])[0]
    assert (right.values, wrong.values) == ({"clip/counting": 1.0}, {"clip/counting": 0.0})
    assert wrong.said == ("“a photo of five dogs” 1.00 (wanted: “a photo of two dogs”)",)
    readings = ClipJudge(ClipEmbedder(clip, CPU)).measure(noise(), CASES)
    assert [set(r.values) for r in readings] == [{"clip/action"}, {"clip/colour"}, {"clip/counting"}]


def test_owls_count_boxes_of_things_that_have_a_count(owl: Path) -> None:
    judge = DetectorJudge(owl, CPU, threshold=0.0)
    assert 1 <= judge.count(noise(1)[0], "dog") <= 16
    assert DetectorJudge(owl, CPU, threshold=1.0).count(noise(1)[0], "dog") == 0
    readings = judge.measure(noise(), CASES)
    assert readings[0] == readings[1] == Reading({})
    assert set(readings[2].values) == {"detector/counting"}
    assert judge.id != DetectorJudge(owl, CPU, threshold=0.5).id


def test_a_detector_is_asked_as_people_ask(owl: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge, asked = DetectorJudge(owl, CPU), []
    processor = judge._processor

    class Listening:
        post_process_grounded_object_detection = staticmethod(processor.post_process_grounded_object_detection)

        def __call__(self, text: list[list[str]], **rest: object) -> object:
            asked.extend(text)
            return processor(text=text, **rest)

    monkeypatch.setattr(judge, "_processor", Listening())
    for thing in ("owl", "dog"):
        judge.count(noise(1)[0], thing)
    assert asked == [["an owl"], ["a dog"]]


def test_owlv2_without_scipy_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "owlv2"}))
    (tmp_path / "model.safetensors").touch()
    monkeypatch.setattr(detector, "find_spec", lambda name: None)
    with pytest.raises(
        ConfigError, match=r"SciPy: gpu-runner/.venv/bin/pip install -r gpu-runner/requirements-detector"
    ):
        DetectorJudge(tmp_path, CPU)


def test_boxes_of_one_thing_count_once() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 10, 10], [20, 20, 30, 30], [0, 0, 4, 4]])
    assert distinct(boxes, torch.tensor([0.5, 0.9, 0.3, 0.8]), 0.5) == [1, 3, 2]
    assert distinct(torch.empty(0, 4), torch.empty(0), 0.5) == []


def test_the_miniature_s_judge_marks_its_own_set_only(tmp_path: Path) -> None:
    from vignette.miniature.judge_net import Judge, JudgeNet, marks

    torch.manual_seed(0)
    Judge(JudgeNet(FIRST), FIRST).save(tmp_path)
    judge, cases = MiniatureJudge(tmp_path), [*miniature_cases(2, FIRST), CASES[0]]
    readings = judge.measure(noise(), cases)
    verdict = Judge.load(tmp_path).read(noise())[0]
    from vignette.evaluation.cases import scene_of

    expected = marks(scene_of(cases[0]), verdict)
    assert {name.removeprefix("miniature/"): value for name, value in readings[0].values.items()} == expected
    assert readings[2] == Reading({})
    features = judge.features(noise())
    assert features.shape[0] == 3
    assert np.isfinite(features).all()
    assert features.std(0).max() > 0


class FakePyiqa(ModuleType):
    """pyiqa's surface as version 0.1.16 has it: NR metrics take [B, 3, H, W] in 0..1, others raise KeyError."""

    __version__ = "0.1.16"

    def list_models(self, metric_mode: str | None = None) -> list[str]:
        assert metric_mode == "NR"
        return ["clipiqa", "musiq", "niqe"]

    def create_metric(self, name: str, device: torch.device) -> object:
        if name == "musiq":
            raise OSError("no network")

        class Metric:
            lower_better = name == "niqe"

            def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
                assert pixels.ndim == 4
                assert pixels.shape[1] == 3
                assert 0 <= pixels.min() <= pixels.max() <= 1
                return pixels.mean().reshape(1, 1)

        return Metric()


def test_quality_goes_through_pyiqa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", FakePyiqa("pyiqa"))
    quality = ImageQuality(["niqe", "clipiqa"], CPU)
    assert [m.higher_is_better for m in quality.metrics] == [False, True]
    image = noise(1)[0]
    values = quality.measure([image], CASES[:1])[0].values
    assert values["quality/niqe"] == pytest.approx(np.asarray(image).mean() / 255)
    with pytest.raises(ConfigError, match="--quality magic: pyiqa has no such metric"):
        ImageQuality(["magic"], CPU)
    with pytest.raises(ConfigError, match="--quality musiq: pyiqa cannot make this metric ready"):
        ImageQuality(["musiq"], CPU)


def test_without_pyiqa_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    with pytest.raises(ConfigError, match=r"gpu-runner/.venv/bin/pip install -r gpu-runner/requirements-evaluate.txt"):
        ImageQuality(["musiq"], CPU)


def test_models_of_another_kind_and_pickles_are_refused(clip: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a clip is there; BLIP and ViLT"):
        VqaJudge(clip, CPU)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"holds no safetensors.*hf download openai/\S+ --revision refs/pr/15"):
        ClipEmbedder(tmp_path, CPU)
    with pytest.raises(ConfigError, match=r"venv/bin/hf download openai/\S+ --revision refs/pr/15 --local-dir"):
        ClipEmbedder(tmp_path / "absent", CPU)
    with pytest.raises(ConfigError, match="judge"):
        MiniatureJudge(tmp_path)


@pytest.mark.skipif(find_spec("sentencepiece") is not None, reason="is about the library's absence")
def test_a_library_that_a_model_asks_for_is_named_with_the_remedy(tmp_path: Path) -> None:
    SiglipModel(SiglipConfig(text_config=TEXT | {"vocab_size": 64}, vision_config=VISION)).save_pretrained(tmp_path)
    SiglipImageProcessor(size=SIZE).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "SiglipTokenizer"}))
    (tmp_path / "spiece.model").write_bytes(b"")
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings | {"processor_class": "SiglipProcessor"}))
    with pytest.raises(ConfigError, match=r"requires the SentencePiece library .*bin/pip install sentencepiece\.$"):
        ClipEmbedder(tmp_path, CPU)


def test_labels_name_the_model_and_the_scale(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embedder = ClipEmbedder(clip, CPU)
    model = f"{clip.name} ({embedder.id.removeprefix('clip-')[:8]})"
    assert ClipScore(embedder).label == (
        f"CLIPScore, 2.5 max(cos, 0) with the prefix “A photo depicts ”, and the plain cosine, by {model}"
    )
    assert ClipJudge(embedder).label == f"zero-shot judge by {model}"
    assert "with no prefix" in ClipScore(Known("")).label
    monkeypatch.setitem(sys.modules, "pyiqa", FakePyiqa("pyiqa"))
    assert ImageQuality(["niqe"], CPU).label == "niqe (pyiqa 0.1.16)"


def test_an_id_changes_with_weights_and_settings(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    before = local.folder_id("clip", tmp_path)
    assert before == local.folder_id("clip", tmp_path) != local.folder_id("clip", tmp_path, 0.5)
    (tmp_path / "model.safetensors").write_bytes(b"two")
    assert before != local.folder_id("clip", tmp_path)
