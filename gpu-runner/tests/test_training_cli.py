"""`vignette adapter train` as a person calls it: in one process, in two, and wrongly."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.tiny_training import losses_of, write_imagefolder, write_teacher
from vignette.cli import _parser, main
from vignette.sur import SURAdapter
from vignette.training import run
from vignette.training.cli import options_from

WEIGHTS = "diffusion_pytorch_model.safetensors"
ROOT = Path(__file__).resolve().parents[1]
QUICK = ["--steps", "3", "--batch-size", "5", "--micro-batch-size", "2", "--sample-every", "0", "--num-heads", "4"]


def _arguments(model: Path, data: Path, output: Path, *more: str) -> list[str]:
    return ["adapter", "train", "--model", str(model), "--data", str(data), "-o", str(output), *QUICK, *more]


# What a process of several does: it trains, all but the first checkpoint are lost, and the same command goes on from there.
TWICE = """
import os, shutil, sys
from pathlib import Path
from torch import distributed
from vignette.cli import main

code = main(sys.argv[1:])
output = Path(sys.argv[sys.argv.index("-o") + 1])
if os.environ["RANK"] == "0":
    (output / "adapter").rename(output / "at once")
    for step in (2, 3):
        shutil.rmtree(output / "checkpoints" / f"step-{step:07d}")
distributed.barrier()
sys.exit(code or main(sys.argv[1:]))
"""


def _weights(adapter: Path) -> torch.Tensor:
    return torch.cat([w.flatten() for _, w in sorted(load_file(adapter / WEIGHTS).items())])


def test_two_processes_give_the_losses_and_weights_of_one_and_go_on_from_a_checkpoint(
    sd15_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGNETTE_DEVICE", "cpu")
    begin = run.first_adapter

    def begun(*given: Any) -> SURAdapter:
        adapter = begin(*given)
        adapter.save_pretrained(tmp_path / "start")
        return adapter

    monkeypatch.setattr(run, "first_adapter", begun)
    data, teacher = write_imagefolder(tmp_path / "data"), write_teacher(tmp_path / "teacher")
    # At full pace from the first step, so that what is learnt shows beside rounding.
    more = ["--teacher", str(teacher), "--warmup-steps", "0", "--learning-rate", "1e-2", "--ema-decay", "0"]
    more += ["--save-every", "1", "--keep", "3"]
    assert main(_arguments(sd15_folder, data, tmp_path / "one", *more)) == 0
    (tmp_path / "twice.py").write_text(TWICE)
    # `accelerate launch` starts several processes where there are several GPUs, and one with --cpu; this always does.
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(tmp_path / "twice.py")]
    done = subprocess.run(
        [sys.executable, *launch, *_arguments(sd15_folder, data, tmp_path / "two", *more)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained.") == 2
    # A bar begins once, in the first process alone, and says how long it will take.
    assert done.stderr.count("0/3 [00:00<?, ?step/s]") == 1
    assert re.search(r"Training: 100%\|[^|]*\| 3/3 \[\d\d:\d\d<00:00, ", done.stderr)
    about = [json.loads((tmp_path / n / "adapter" / "training.json").read_text()) for n in ("one", "two")]
    assert [told["processes"] for told in about] == [1, 2]
    # Each has put its share into the cache.
    assert [len(list((tmp_path / n / "cache").glob("text-*/*.safetensors"))) for n in ("one", "two")] == [1, 2]
    lines = losses_of(tmp_path / "two")
    assert len(lines) == 3
    for ours, theirs in zip(lines, losses_of(tmp_path / "one"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-4)
    start, one = _weights(tmp_path / "start"), _weights(tmp_path / "one" / "adapter")
    assert (one - start).norm() > 0.5
    for other in ("at once", "adapter"):
        assert (_weights(tmp_path / "two" / other) - one).norm() < 0.01 * (one - start).norm(), other


def test_the_published_recipe_trains_a_token_layout_with_the_alignment_and_the_teacher_alone(
    sd15_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIGNETTE_DEVICE", "cpu")
    data, teacher = write_imagefolder(tmp_path / "data"), write_teacher(tmp_path / "teacher")
    more = ["--recipe", "published", "--teacher", str(teacher), "--feedforward-size", "64"]
    assert main(_arguments(sd15_folder, data, tmp_path / "out", *more)) == 0
    adapter = SURAdapter.load(tmp_path / "out" / "adapter")
    assert (adapter.config["layout"], adapter.config["eta"]) == ("token", 0.1)
    losses = {key for line in losses_of(tmp_path / "out") for key in line if key.startswith("loss/")}
    assert losses == {"loss/align", "loss/distil"}


def test_what_is_asked_for_outweighs_the_recipe(tmp_path: Path) -> None:
    given = _arguments(tmp_path, tmp_path, tmp_path, "--recipe", "published", "--eta", "0.5", "--mask-padding")
    options = options_from(_parser().parse_args(given))
    assert (options.layout, options.eta, options.mask_padding, options.learning_rate) == ("token", 0.5, True, 1e-5)
    assert options.teacher_layer == "last"


def test_a_start_is_built_as_it_is_whatever_the_recipe_says(
    sd15_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("VIGNETTE_DEVICE", "cpu")
    built = {"layout": "token", "num_heads": 4, "num_layers": 2, "eta": 0.1, "feedforward_size": 64, "dropout": 0.2}
    SURAdapter(32, **built).save_pretrained(tmp_path / "start")
    data = write_imagefolder(tmp_path / "data")
    more = ["--recipe", "published", "--start", str(tmp_path / "start"), "--steps", "1"]
    given = _arguments(sd15_folder, data, tmp_path / "out", *more)
    assert options_from(_parser().parse_args(given)).align == "kl-published"
    assert main(given) == 0
    trained = SURAdapter.load(tmp_path / "out" / "adapter").config
    assert {name: trained[name] for name in built} == built
    assert main([*given, "-o", str(tmp_path / "other"), "--dropout", "0"]) == 2
    assert "was built with dropout 0.2, not 0.0: leave --dropout out" in capsys.readouterr().err


def test_a_model_may_be_named_by_its_id(tmp_path: Path, models_toml: Path, model_folder: Path) -> None:
    given = _arguments(Path("tiny"), tmp_path, tmp_path, "--models", str(models_toml))
    assert options_from(_parser().parse_args(given)).model == model_folder


def test_an_id_comes_before_a_folder_of_that_name_in_the_working_directory(
    tmp_path: Path, models_toml: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("tiny", "other"):
        Path(name).mkdir()
        given = _arguments(Path(name), tmp_path, tmp_path, "--models", str(models_toml))
        assert options_from(_parser().parse_args(given)).model == (model_folder if name == "tiny" else Path("other"))


@pytest.mark.parametrize(("command", "quiet"), [(["models"], True), (["serve", "--port", "0"], False)])
def test_what_libraries_say_to_programmers_stays_out_of_the_commands(
    command: list[str], quiet: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFUSERS_VERBOSITY", "info")
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "")
    monkeypatch.delenv("TRANSFORMERS_VERBOSITY")
    with contextlib.suppress(SystemExit):
        main(command)
    assert os.environ["DIFFUSERS_VERBOSITY"] == "info"
    assert os.environ.get("TRANSFORMERS_VERBOSITY") == ("error" if quiet else None)


def test_a_full_device_is_a_sentence_with_the_remedy(
    sd15_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nSee the documentation")

    monkeypatch.setattr("vignette.training.run.train", full)
    assert main(_arguments(sd15_folder, tmp_path, tmp_path / "out")) == 1
    said = capsys.readouterr().err
    assert "Tried to allocate 2.00 GiB. A smaller --micro-batch-size than 2" in said
    assert "--gradient-checkpointing" in said


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--data", "gone"], "There is no training data at gone"),
        (["--model", "nothing"], "no folder nothing, and no such model"),
        (["--eta", "2"], "--eta must be in (0, 1], not 2.0"),
        (["--layout", "tokens"], "--layout must be sequence or token, not tokens"),
    ],
)
def test_a_mistake_is_a_sentence(
    more: list[str], message: str, tmp_path: Path, sd15_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_imagefolder(tmp_path / "data")
    assert main(_arguments(sd15_folder, data, tmp_path / "out", *more)) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
