"""A teacher is any causal language model; what it says of a sentence does not depend on the company it is asked in."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaModel

from tests.tiny_training import losses_of, small, write_imagefolder, write_teacher
from vignette.errors import ConfigError
from vignette.training import teacher as teachers
from vignette.training.caches import Caches, Share
from vignette.training.frozen import FrozenModel
from vignette.training.run import train
from vignette.training.teacher import Teacher, why_not

CPU = torch.device("cpu")
SHORT, LONG = "one story", "a story of two cats a story of six cats"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_teacher(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def hidden(folder: Path) -> tuple[torch.Tensor, ...]:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        return model(**tokenizer(LONG, return_tensors="pt"), output_hidden_states=True).hidden_states


def _normal(x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:])


def test_a_layer_the_last_and_the_mean_of_normalised_layers(folder: Path, hidden: tuple[torch.Tensor, ...]) -> None:
    expected = {
        "2": hidden[2][0],
        "last": hidden[3][0],
        "mean": torch.stack([_normal(h[0]) for h in hidden[1:]]).mean(0),
    }
    for layer, states in expected.items():
        torch.testing.assert_close(Teacher(str(folder), layer, True, CPU).read([LONG])[0], _normal(states))
        torch.testing.assert_close(Teacher(str(folder), layer, False, CPU).read([LONG])[0], _normal(states.mean(0)))


@pytest.mark.parametrize("tokens", [True, False])
def test_company_and_padding_change_nothing(folder: Path, tokens: bool) -> None:
    teacher = Teacher(str(folder), "mean", tokens, CPU)
    alone, together = teacher.read([SHORT])[0], teacher.read([LONG, SHORT])[1]
    assert alone.shape == ((2, 24) if tokens else (24,))
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_other_weights_layers_or_kinds_are_other_recipes(folder: Path, tmp_path: Path) -> None:
    recipes = [
        Teacher(str(folder), "mean", False, CPU).recipe(),
        Teacher(str(folder), "last", False, CPU).recipe(),
        Teacher(str(folder), "mean", True, CPU).recipe(),
        Teacher(str(write_teacher(tmp_path, seed=1)), "mean", False, CPU).recipe(),
    ]
    assert all(a != b for i, a in enumerate(recipes) for b in recipes[:i])


def test_what_cannot_teach_is_named(folder: Path, tmp_path: Path, model_folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"--teacher-layer 9: .* has the layers 0 to 3"):
        Teacher(str(folder), "9", False, CPU)
    with pytest.raises(ConfigError, match=r"The teacher .*gone cannot be loaded: there is no such folder or file"):
        Teacher(str(tmp_path / "gone"), "mean", False, CPU)
    with pytest.raises(ConfigError, match=r"cannot be loaded: the folder has no config.json"):
        Teacher(str(tmp_path), "mean", False, CPU)
    from transformers import PreTrainedTokenizerFast, T5Config, T5Model

    PreTrainedTokenizerFast.from_pretrained(folder).save_pretrained(tmp_path)
    T5Model(T5Config(vocab_size=12, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2)).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"T5Model.* gives no hidden states per layer; take a causal language model"):
        Teacher(str(tmp_path), "mean", False, CPU)


def test_no_network_is_loaded_where_every_answer_is_cached(
    folder: Path, sd15_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[str] = []
    load = teachers._load
    monkeypatch.setattr(teachers, "_load", lambda source, *rest: (loaded.append(source), load(source, *rest))[1])
    data = write_imagefolder(tmp_path / "data")
    more = {"teacher": str(folder), "align_steps": 4, "cache": tmp_path / "cache"}
    options = small(sd15_folder, data, tmp_path / "run", **more)
    asked = iter((False, True, *[False] * 9))
    assert train(options, "cpu", lambda: next(asked)) is None
    assert loaded == [str(folder)]
    train(options, "cpu")  # a resume
    train(small(sd15_folder, data, tmp_path / "second", **more), "cpu")
    assert loaded == [str(folder)]
    assert losses_of(tmp_path / "second") == losses_of(tmp_path / "run")
    train(small(sd15_folder, data, tmp_path / "third", teacher_layer="last", **more), "cpu")
    assert loaded == [str(folder)] * 2


def test_a_process_that_has_nothing_to_ask_loads_none(
    folder: Path, sd15_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teachers, "_load", None)
    caches = Caches(tmp_path, FrozenModel(sd15_folder, CPU), 32, share=Share(1, 2))
    caches.fill_teacher(Teacher(str(folder), "mean", False, CPU), [SHORT])  # the first process asks


def test_a_teacher_that_gives_nan_is_named_before_anything_is_trained(
    folder: Path, sd15_folder: Path, tmp_path: Path
) -> None:
    model = AutoModelForCausalLM.from_pretrained(folder)
    with torch.no_grad():
        model.model.layers[1].mlp.up_proj.weight[0, 0] = torch.nan
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    model.save_pretrained(broken)
    options = small(sd15_folder, write_imagefolder(tmp_path / "data"), tmp_path / "run", teacher=str(broken))
    with pytest.raises(ConfigError, match=f"The teacher {broken} gave NaN for one of: 'a story of"):
        train(options, "cpu")
    assert not list(options.output.rglob("*.safetensors"))


def test_a_causal_model_without_hidden_states_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LlamaModel, "forward", lambda self, **rest: SimpleNamespace(last_hidden_state=None))
    with pytest.raises(ConfigError, match="gives no hidden states; take another model"):
        Teacher(str(folder), "mean", False, CPU).read([SHORT])


def test_a_hub_id_is_known_by_the_commit_that_it_means(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "models--someone--teacher"
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(folder, kept / "snapshots" / commit)
    (kept / "refs").mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    found = []
    for commit in ("a" * 40, "b" * 40):
        (kept / "refs" / "main").write_text(commit)
        teacher = Teacher("someone/teacher", "mean", False, CPU)
        found.append(teacher.recipe()["teacher"])
    assert found == ["a" * 40, "b" * 40]
    expected = Teacher(str(folder), "mean", False, CPU).read([LONG])[0]
    torch.testing.assert_close(teacher.read([LONG])[0], expected)


def test_the_library_that_reads_gguf_is_named_where_it_is_missing(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").touch()
    missing = ImportError("Please install torch and gguf>=0.10.0 to load a GGUF checkpoint in PyTorch.")
    assert "gpu-runner/.venv/bin/pip install --no-deps gguf==" in why_not(tmp_path / "model.gguf", missing)
    assert why_not(tmp_path / "model.gguf", ValueError("two\nlines")) == "two lines"
