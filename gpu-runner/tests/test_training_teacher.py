"""A teacher is any causal language model; what it says of a sentence does not depend on the company it is asked in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaModel,
)

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


def _gpt2() -> Any:
    return GPT2LMHeadModel(GPT2Config(vocab_size=12, n_embd=24, n_layer=3, n_head=2, n_positions=64))


def _gemma3() -> Any:
    """One that sees too: what says how wide it reads words lies a level deeper."""
    words = {
        "vocab_size": 12,
        "hidden_size": 24,
        "intermediate_size": 32,
        "num_hidden_layers": 3,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 12,
    }
    sight = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "image_size": 16,
        "patch_size": 8,
        "vision_use_head": False,
    }
    config = Gemma3Config(text_config=words, vision_config=sight, mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config)


@pytest.mark.parametrize("make", [_gpt2, _gemma3], ids=["gpt2", "gemma3"])
def test_other_architectures_teach(make: Callable[[], Any], tmp_path: Path) -> None:
    folder, model = write_teacher(tmp_path), make().eval()
    model.save_pretrained(folder)
    teacher = Teacher(str(folder), "2", True, CPU)
    assert (teacher.width, teacher.layers) == (24, 3)
    with torch.no_grad():
        batch = AutoTokenizer.from_pretrained(folder)(LONG, return_tensors="pt")
        expected = model.base_model(**batch, output_hidden_states=True).hidden_states[2][0]
    torch.testing.assert_close(teacher.read([LONG])[0], _normal(expected))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hidden_size": 32}, r"do not fit its configuration: embed_tokens.weight is \[12, 24\] instead of \[12, 32\]"),
        (
            {"num_hidden_layers": 4},
            r"do not fit its configuration: layers.3.input_layernorm.weight is missing; .*; and 6 more\. Take",
        ),
        ({"hidden_size": "24"}, r"cannot be loaded: .*'hidden_size' expected int, got str"),
        ({"num_attention_heads": 5}, r"cannot be loaded: .* not a multiple of the number of attention heads \(5\)"),
        ({"dtype": "half a byte"}, r"cannot be loaded: .*half a byte"),
        ({"hidden_act": "none"}, r"cannot be loaded: there is no 'none'"),
    ],
)
def test_a_configuration_of_another_model_is_named(
    fields: dict[str, Any], message: str, folder: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    config = other / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | fields))
    with pytest.raises(ConfigError, match=f"teacher {other} {message}"):
        Teacher(str(other), "mean", False, CPU).read([SHORT])


def test_pickles_are_refused_before_any_text(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "other"))
    [weights] = other.glob("*.safetensors")
    torch.save(load_file(weights), other / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(ConfigError, match=r"pytorch_model\.bin is a pickle, .* save_pretrained of .* transformers"):
        Teacher(str(other), "mean", False, CPU)
    (other / "pytorch_model.bin").rename(weights)
    with pytest.raises(ConfigError, match=r"model\.safetensors is a pickle under the name of safetensors"):
        Teacher(str(other), "mean", False, CPU)


def test_states_of_another_shape_are_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of OPT-350m, whose last layer is projected to its narrower embeddings."""
    forward = LlamaModel.forward

    def projected(self: LlamaModel, **rest: Any) -> Any:
        out = forward(self, **rest)
        out.hidden_states = (*out.hidden_states[:-1], out.hidden_states[-1][..., :12])
        return out

    monkeypatch.setattr(LlamaModel, "forward", projected)
    with pytest.raises(ConfigError, match=r"other shapes than \[1, 2, 24\] in the layer mean; name one layer"):
        Teacher(str(folder), "mean", False, CPU).read([SHORT])
    Teacher(str(folder), "1", False, CPU).read([SHORT])


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
    assert why_not(Path("someone/model"), ValueError("two\nlines")) == "two lines"


def test_a_gguf_file_teaches_and_one_that_is_cut_off_is_named(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    file, embeddings = tmp_path / "model.gguf", torch.randn(3, 32)
    _write_gguf(file, embeddings)
    teacher = Teacher(str(file), "0", True, CPU)
    assert (teacher.width, teacher.layers) == (32, 1)
    torch.testing.assert_close(teacher.read(["a"])[0][-1], _normal(embeddings[2]))
    assert Teacher(str(file), "mean", False, CPU).read(["a"])[0].isfinite().all()
    whole = file.read_bytes()
    for kept in (0, 3, 20, 300, len(whole) // 2, len(whole) - 3):
        file.write_bytes(whole[:kept])
        with pytest.raises(ConfigError, match=f"The teacher {file} cannot be loaded: .* copy or download it again"):
            Teacher(str(file), "mean", False, CPU).read(["a"])


def _write_gguf(file: Path, embeddings: torch.Tensor) -> None:
    """A Llama of one layer that knows the letter "a"."""
    from gguf import MODEL_ARCH, GGUFWriter
    from gguf.tensor_mapping import get_tensor_name_map

    words, width = len(embeddings), embeddings.shape[1]
    config = LlamaConfig(
        vocab_size=words, hidden_size=width, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
    )
    state = LlamaForCausalLM(config).state_dict() | {"model.embed_tokens.weight": embeddings}
    writer, names = GGUFWriter(file, "llama"), get_tensor_name_map(MODEL_ARCH.LLAMA, 1)
    writer.add_embedding_length(width)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(1)
    writer.add_head_count(2)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<unk>", "</s>", "a"])
    writer.add_token_scores([0.0] * words)
    writer.add_token_types([2, 3, 1])
    writer.add_unk_token_id(0)
    writer.add_eos_token_id(1)
    for name, weight in state.items():
        writer.add_tensor(names.get_name(name, try_suffixes=(".weight",)), weight.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
