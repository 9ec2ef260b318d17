"""An adapter beside a text encoder of the same width that it was not trained for: named where it is loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.published import Published
from tests.test_loader_single_file import write_single_file
from tests.tiny import write_adapter, write_models_toml
from tests.tiny_training import small, write_imagefolder, write_xl
from vignette.cli import main
from vignette.engine.catalogue import AdapterSpec, EmbeddingSpec, ModelSpec, read_catalogue
from vignette.engine.loader import load_model
from vignette.errors import ConfigError
from vignette.evaluation.cases import NARRATIVES, read_cases
from vignette.evaluation.drawing import Settings, draw, plan
from vignette.evaluation.variants import parse_variant
from vignette.sur import SURAdapter
from vignette.sur.text_encoder import difference, identify
from vignette.training.frozen import FrozenModel
from vignette.training.run import train

CPU = torch.device("cpu")


def marks_of(folder: Path) -> list[str]:
    return FrozenModel(folder, CPU).identify()


@pytest.fixture(scope="module")
def own(sd15_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that says it was trained for `sd15_folder`."""
    return write_adapter(tmp_path_factory.mktemp("own"), text_encoder=marks_of(sd15_folder))


def spec(model: Path, adapter: Path, any_encoder: bool = False, **more: object) -> ModelSpec:
    adapters = (AdapterSpec(id="sur", path=adapter, any_encoder=any_encoder),)
    return ModelSpec(id="tiny", path=model, adapters=adapters, **more)  # type: ignore[arg-type]


def changed(folder: Path, copy: Path, share: float, dtype: torch.dtype = torch.float32) -> Path:
    """A copy whose text encoder's weights all differ by `share` of their size."""
    shutil.copytree(folder, copy)
    file = copy / "text_encoder" / "model.safetensors"
    torch.manual_seed(0)
    weights = {k: (v + share * v * torch.randn_like(v).sign()).to(dtype) for k, v in load_file(file).items()}
    save_file(weights, file, metadata={"format": "pt"})
    return copy


def test_same_width_and_other_weights_are_refused_with_a_remedy(
    own: Path, sd15_folder: Path, model_folder: Path
) -> None:
    assert load_model(spec(sd15_folder, own), CPU).adapters
    with pytest.raises(ConfigError) as error:
        load_model(spec(model_folder, own), CPU)
    said = str(error.value)
    assert said.startswith(f"The adapter in {own} was trained for another text encoder than that of the model tiny:")
    for part in ("differ by 100%", "Take the model that it was", "train an adapter for this", "any_encoder = true"):
        assert part in said


def test_who_knows_better_says_so_in_models_toml(own: Path, model_folder: Path, tmp_path: Path) -> None:
    for line, refused in (("", True), ("any_encoder = true", False)):
        model = read_catalogue(write_models_toml(tmp_path, model_folder, own, more=line)).default
        if refused:
            with pytest.raises(ConfigError, match="another text encoder"):
                load_model(model, CPU)
        else:
            assert load_model(model, CPU).adapters


def test_a_folder_that_does_not_say_loads_beside_any(own: Path, model_folder: Path, tmp_path: Path) -> None:
    old = Path(shutil.copytree(own, tmp_path / "old"))
    config = json.loads((old / "config.json").read_text())
    del config["text_encoder"]
    (old / "config.json").write_text(json.dumps(config))
    assert load_model(spec(model_folder, old), CPU).adapters


def test_copies_in_fp16_and_in_shards_are_the_same(own: Path, sd15_folder: Path, tmp_path: Path) -> None:
    half = changed(sd15_folder, tmp_path / "half", 0, torch.float16)
    assert marks_of(half) == marks_of(sd15_folder)
    assert load_model(spec(half, own), CPU).adapters
    from transformers import CLIPTextModel

    encoder = CLIPTextModel.from_pretrained(half / "text_encoder")
    (half / "text_encoder" / "model.safetensors").unlink()
    encoder.save_pretrained(half / "text_encoder", max_shard_size="20KB")
    assert len(list((half / "text_encoder").glob("*.safetensors"))) > 1
    assert marks_of(half) == marks_of(sd15_folder)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_a_model_loaded_in_half_precision_is_the_same(dtype: str, own: Path, sd15_folder: Path) -> None:
    assert load_model(spec(sd15_folder, own, dtype=dtype), CPU).adapters


def test_a_single_file_and_textual_inversions_are_the_same(own: Path, sd15_folder: Path, tmp_path: Path) -> None:
    save_file({"emb_params": torch.randn(2, 32)}, tmp_path / "t.safetensors")
    embeddings = (EmbeddingSpec(token="<dusk>", path=tmp_path / "t.safetensors"),)
    file = write_single_file(sd15_folder, tmp_path / "model.safetensors")
    assert load_model(spec(file, own, config=sd15_folder, embeddings=embeddings), CPU).adapters


def test_a_fine_tuned_copy_is_refused_with_how_far_it_is(own: Path, sd15_folder: Path, tmp_path: Path) -> None:
    assert load_model(spec(changed(sd15_folder, tmp_path / "near", 0.005), own), CPU).adapters
    with pytest.raises(ConfigError, match="differ by 5%"):
        load_model(spec(changed(sd15_folder, tmp_path / "far", 0.05), own), CPU)


def test_both_encoders_of_xl_count(tmp_path: Path) -> None:
    one, other = (marks_of(write_xl(tmp_path / str(seed), seed=seed)) for seed in (1, 2))
    assert len(one) == 2
    assert difference(one, one) == 0
    assert difference(one, [one[0], other[1]]) == difference(one, other[:1]) == 1


def test_evaluation_names_it_and_draws_nothing(
    own: Path, model_folder: Path, models_toml: Path, tmp_path: Path
) -> None:
    variant = parse_variant(f"model=tiny,adapter={own},prompt=narrative", read_catalogue(models_toml))
    jobs = plan([variant], read_cases(NARRATIVES)[:1], 1, Settings(num_inference_steps=1), CPU)
    with pytest.raises(ConfigError, match=f"{own} was trained for another text encoder"):
        draw(jobs, tmp_path, CPU)
    assert not list(tmp_path.glob("*.png"))


def test_training_notes_it_everywhere_and_keeps_it_over_a_break(sd15_folder: Path, tmp_path: Path) -> None:
    options = small(sd15_folder, write_imagefolder(tmp_path / "data"), tmp_path / "run", steps=2, ema_decay=0.9)
    asked = iter((True, False))
    assert train(options, "cpu", lambda: next(asked)) is None
    assert train(options, "cpu") == tmp_path / "run" / "adapter"
    configs = list((tmp_path / "run").rglob("config.json"))
    assert len(configs) == 5  # adapter and average of two checkpoints, and what is exported
    assert all(json.loads(file.read_text())["text_encoder"] == marks_of(sd15_folder) for file in configs)


def test_a_start_for_another_text_encoder_is_named(
    own: Path, sd15_folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    start = Path(shutil.copytree(own, tmp_path / "start"))
    data = write_imagefolder(tmp_path / "data")
    more = {"num_layers": 2, "mask_padding": True, "steps": 1}
    options = small(model_folder, data, tmp_path / "run", start=start, **more)
    with pytest.raises(
        ConfigError, match=r"--start .* another text encoder .*take text_encoder out of its config\.json"
    ):
        train(options, "cpu")
    config = json.loads((start / "config.json").read_text()) | {"text_encoder": None}
    (start / "config.json").write_text(json.dumps(config))
    train(options, "cpu")
    assert SURAdapter.load(tmp_path / "run" / "adapter").config["text_encoder"] == marks_of(model_folder)


def test_a_published_checkpoint_is_told_its_model(
    sd15_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(3)
    for width in (32, 48):
        torch.save(Published(width).state_dict(), tmp_path / f"{width}.pt")

    def convert(width: int, *more: str) -> int:
        out = str(tmp_path / f"out-{width}")
        return main(["adapter", "convert", str(tmp_path / f"{width}.pt"), "--eta", "0.1", "-o", out, *more])

    assert convert(32) == 0
    assert SURAdapter.load(tmp_path / "out-32").config["text_encoder"] is None
    assert convert(32, "--model", str(sd15_folder)) == 0
    [mark] = SURAdapter.load(tmp_path / "out-32").config["text_encoder"]
    assert [mark] == marks_of(sd15_folder)
    assert convert(48, "--model", str(sd15_folder)) == 2
    assert "is of width 48, the text encoder of" in capsys.readouterr().err
    assert main(["adapter", "inspect", str(tmp_path / "out-32")]) == 0
    assert mark in capsys.readouterr().out


@pytest.mark.parametrize("value", ["text", ["xyz"], ["0"]])
def test_a_damaged_note_is_named(value: object, own: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(own, tmp_path / "damaged"))
    config = json.loads((folder / "config.json").read_text()) | {"text_encoder": value}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"describes no SUR-adapter: text_encoder holds"):
        SURAdapter.load(folder)


def test_the_bundled_adapter_names_the_bundled_text_encoder() -> None:
    weights = Path(__file__).parents[1] / "miniature" / "weights"
    assert SURAdapter.load(weights / "adapters" / "sur").config["text_encoder"] == marks_of(weights / "day")


def test_a_mark_holds_the_weights_themselves(sd15_folder: Path) -> None:
    file = sd15_folder / "text_encoder" / "model.safetensors"
    [matrix] = [v for k, v in load_file(file).items() if k.endswith("layers.0.mlp.fc1.weight")]
    [mark] = marks_of(sd15_folder)
    read = np.frombuffer(bytes.fromhex(mark), ">f2").astype(np.float32)
    np.testing.assert_allclose(read, matrix.diagonal()[:16].numpy(), rtol=1e-3)
    assert identify([load_model(ModelSpec(id="tiny", path=sd15_folder), CPU).text_encoder]) == [mark]
