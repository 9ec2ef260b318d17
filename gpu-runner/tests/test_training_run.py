"""A whole run: it learns, says what it does, stops and goes on to the same losses, and never spends more UNet calls than it must."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.tiny_training import ROWS, losses_of, small, write_imagefolder, write_teacher
from vignette.errors import ConfigError
from vignette.sur import SURAdapter
from vignette.training import checkpoint, objectives
from vignette.training.batches import EMPTY, Batches
from vignette.training.frozen import FrozenModel
from vignette.training.options import Options
from vignette.training.run import train
from vignette.training.trainer import Trainer, TrainingStopped, pace

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, sd15_folder: Path) -> Options:
    """All four losses, with a cache that the module's tests share."""
    root = tmp_path_factory.mktemp("training")
    teacher = str(write_teacher(root / "teacher"))
    data = write_imagefolder(root / "data")
    return small(sd15_folder, data, root / "none", cache=root / "cache", teacher=teacher, steps=8, ema_decay=0.9)


@pytest.fixture(scope="module")
def whole(base: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole")
    train(replace(base, output=out, save_every=3, sample_every=4, sample_count=2), "cpu")
    return out


def _after(steps: int) -> Callable[[], bool]:
    asked = iter(range(1, 10_000))
    return lambda: next(asked) == steps


def _board(out: Path) -> Any:
    """A run's TensorBoard, read."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = EventAccumulator(str(out / "tensorboard"))
    board.Reload()
    return board


def test_a_run_leaves_an_adapter_its_numbers_pictures_and_checkpoints(whole: Path) -> None:
    adapter = SURAdapter.load(whole / "adapter")
    assert adapter.config["hidden_size"] == 32
    assert adapter.config["teacher_dim"] == 24
    lines = losses_of(whole)
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert {"loss", "loss/denoise", "loss/match", "loss/align", "loss/distil", "learning_rate"} <= lines[0].keys()
    assert sorted(p.name for p in (whole / "checkpoints").iterdir()) == ["step-0000006", "step-0000008"]
    # Two rows of base/narrative, adapter/narrative and base/keywords.
    assert Image.open(whole / "samples" / "step-0000004.png").size == (3 * 32, 2 * 32)
    assert json.loads((whole / "adapter" / "training.json").read_text())["examples"] == len(ROWS)
    assert not [p for p in whole.rglob("*") if p.suffix in (".pt", ".bin", ".pkl") or "partial" in p.name]


def test_tensorboard_has_the_scalars_and_the_grids(whole: Path) -> None:
    board = _board(whole)
    written = {e.step: e.value for e in board.Scalars("loss")}
    assert written == pytest.approx({line["step"]: line["loss"] for line in losses_of(whole)}, rel=1e-5)
    assert [e.step for e in board.Images("samples")] == [4, 8]


def test_the_average_is_what_is_exported(whole: Path) -> None:
    last = whole / "checkpoints" / "step-0000008"
    exported, raw = load_file(whole / "adapter" / WEIGHTS), load_file(last / "adapter" / WEIGHTS)
    average = load_file(last / "ema" / WEIGHTS)
    assert all(torch.equal(exported[k], average[k]) for k in average)
    assert any(not torch.equal(average[k], raw[k]) for k in average)


def test_an_interrupted_run_goes_on_to_identical_losses_and_weights(base: Options, whole: Path, tmp_path: Path) -> None:
    options = replace(base, output=tmp_path)
    assert train(options, "cpu", _after(4)) is None
    assert len(losses_of(tmp_path)) == 4
    assert train(options, "cpu") == tmp_path / "adapter"
    assert losses_of(tmp_path) == losses_of(whole)
    ours, theirs = load_file(tmp_path / "adapter" / WEIGHTS), load_file(whole / "adapter" / WEIGHTS)
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)


def test_a_run_that_was_cut_off_goes_on_from_its_checkpoint_as_if_nothing_had_been(
    base: Options, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(base, output=tmp_path, save_every=3)
    backward = Trainer._backward

    def cut(self: Trainer, step: int, *rest: object) -> None:
        if step == 4:
            raise RuntimeError("the power is gone")
        backward(self, step, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "_backward", cut)
    with pytest.raises(RuntimeError, match="the power is gone"):
        train(options, "cpu")
    monkeypatch.undo()
    # Of the fourth step a line and scalars are left, of the fifth half a line and half a checkpoint.
    assert [p.name for p in (tmp_path / "checkpoints").iterdir()] == ["step-0000003"]
    assert [line["step"] for line in losses_of(tmp_path)] == [1, 2, 3, 4]
    with (tmp_path / "losses.jsonl").open("a") as lines:
        lines.write('{"step": 5, "lo')
    left = tmp_path / "checkpoints" / ".partial"
    left.mkdir()
    (left / "state.json").write_text("{")
    # Two event files of one second are not read in their order.
    for events in (tmp_path / "tensorboard").glob("*"):
        events.rename(events.with_name("events.out.tfevents.0000000000"))

    assert train(options, "cpu") == tmp_path / "adapter"
    assert losses_of(tmp_path) == losses_of(whole)
    ours, theirs = load_file(tmp_path / "adapter" / WEIGHTS), load_file(whole / "adapter" / WEIGHTS)
    assert all(torch.equal(ours[k], theirs[k]) for k in theirs)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step-0000006", "step-0000008"]
    ours, theirs = ([(e.step, e.value) for e in _board(out).Scalars("loss")] for out in (tmp_path, whole))
    assert ours == theirs


def test_muon_moves_the_matrices_and_is_resumed_with_its_momentum(base: Options, whole: Path, tmp_path: Path) -> None:
    options = replace(base, output=tmp_path / "once", muon_learning_rate=0.02)
    train(options, "cpu")
    again = replace(options, output=tmp_path / "again")
    assert train(again, "cpu", _after(4)) is None
    kept = load_file(again.output / "checkpoints" / "step-0000004" / "optimizer.safetensors")
    assert any(key.startswith("muon.") and key.endswith(".momentum") for key in kept)
    assert any(key.endswith(".exp_avg") for key in kept)
    train(again, "cpu")
    assert losses_of(again.output) == losses_of(options.output)
    assert losses_of(options.output)[-1]["loss"] != losses_of(whole)[-1]["loss"]


def test_a_run_of_other_options_or_data_is_not_resumed(base: Options, tmp_path: Path) -> None:
    options = replace(base, output=tmp_path, align_steps=8)
    train(options, "cpu", _after(1))
    with pytest.raises(ConfigError, match=r"belongs to another run: learning_rate was 0\.001, now 0\.01"):
        train(replace(options, learning_rate=0.01), "cpu")
    rows = [{"file_name": "0.png", "text": "a story", "prompt": "1cat"}]
    with pytest.raises(ConfigError, match="content of --data was"):
        train(replace(options, data=write_imagefolder(tmp_path / "data", rows)), "cpu")
    [last] = (tmp_path / "checkpoints").iterdir()
    (last / "optimizer.safetensors").write_bytes(b"cut")
    with pytest.raises(ConfigError, match="cannot be resumed from .* Delete it"):
        train(options, "cpu")


def test_another_run_is_refused_before_anything_is_encoded(
    base: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(base, output=tmp_path, align_steps=8)
    train(options, "cpu", _after(1))
    monkeypatch.setattr("vignette.training.caches.Caches._fill", None)
    with pytest.raises(ConfigError, match="belongs to another run: resolution was 32, now 64"):
        train(replace(options, resolution=64), "cpu")
    [last] = (tmp_path / "checkpoints").iterdir()
    (last / "state.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be resumed from .* Delete it"):
        train(options, "cpu")


def _unets(monkeypatch: pytest.MonkeyPatch) -> list[torch.nn.Module]:
    """The denoiser of every call from here on."""
    called: list[torch.nn.Module] = []
    predict = FrozenModel.predict

    def noted(self: FrozenModel, *given: object) -> torch.Tensor:
        called.append(self.part("unet"))
        return predict(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(FrozenModel, "predict", noted)
    return called


def test_micro_batches_and_gradient_checkpointing_change_nothing(
    base: Options, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = replace(base, micro_batch_size=4, gradient_checkpointing=True, output=tmp_path)
    called = _unets(monkeypatch)
    train(options, "cpu", _after(3))
    assert called
    assert all(unet.is_gradient_checkpointing for unet in called)
    for ours, theirs in zip(losses_of(tmp_path), losses_of(whole), strict=False):
        assert ours == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize(
    ("asked", "with_grad", "without"),
    [
        ({}, 2, 0),
        ({"match_draws": 2}, 2, 0),
        ({"match_weight": 0.0}, 2, 0),
        ({"align_steps": 1}, 0, 0),
        ({"match_draws": 0}, 2, 2),
    ],
    ids=["default", "two draws", "denoise", "align", "fresh"],
)
def test_a_step_costs_one_unet_call_with_gradients_at_most(
    base: Options,
    whole: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    asked: dict,
    with_grad: int,
    without: int,
) -> None:
    """Gradients flow in one call; only `--match-draws 0` asks for another, without them."""
    options = replace(base, output=tmp_path, **asked)
    calls: list[bool] = []
    predict = FrozenModel.predict

    def counted(self: FrozenModel, noisy: torch.Tensor, *rest: object) -> torch.Tensor:
        calls.append(torch.is_grad_enabled())
        return predict(self, noisy, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(FrozenModel, "predict", counted)
    for unused in ("encode", "encode_pictures"):
        monkeypatch.setattr(FrozenModel, unused, None)
    monkeypatch.setattr("vignette.training.caches.Caches._fill", _filled(counting=calls))
    train(options, "cpu", _after(1))
    # Two micro-batches.
    assert (calls.count(True), calls.count(False)) == (with_grad, without)


def _filled(counting: list[bool]) -> Callable[..., None]:
    from vignette.training.caches import Caches

    fill = Caches._fill

    def quiet(self: object, *rest: object) -> None:
        before = len(counting)
        fill(self, *rest)  # type: ignore[arg-type]
        del counting[before:]

    return quiet


def test_alignment_alone_learns(base: Options, tmp_path: Path) -> None:
    options = replace(
        base, output=tmp_path, teacher=None, denoise_weight=0.0, match_weight=0.0, steps=40, learning_rate=3e-3,
        batch_size=6, micro_batch_size=6, keyword_share=0.0,
    )  # fmt: skip
    train(options, "cpu")
    lines = losses_of(tmp_path)
    assert lines[-1]["loss/align"] < 0.5 * lines[0]["loss/align"]


def test_a_nan_loss_is_named_with_its_row_and_the_last_checkpoint_stays(
    base: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    align = objectives.align

    def poisoned(*rest: object) -> torch.Tensor:
        return align(*rest) * torch.tensor([1.0, float("nan")])  # type: ignore[arg-type]

    options = replace(base, output=tmp_path, align_steps=8)
    train(options, "cpu", _after(2))
    monkeypatch.setattr(objectives, "align", poisoned)
    with pytest.raises(
        TrainingStopped, match=r"The align loss of metadata\.jsonl, line \d .*at step 3; the last .*step-0000002"
    ):
        train(options, "cpu")
    SURAdapter.load(tmp_path / "checkpoints" / "step-0000002" / "adapter")
    assert len(losses_of(tmp_path)) == 2


def test_bf16_trains_in_float32_weights_and_learns_the_same(
    base: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is learnt comes through the UNet alone, the part that is in bf16.
    options = replace(base, align_weight=0.0, teacher=None, steps=4)
    train(replace(options, output=tmp_path / "fp32"), "cpu")
    called = _unets(monkeypatch)
    train(replace(options, output=tmp_path / "bf16", precision="bf16"), "cpu")
    assert {p.dtype for unet in called for p in unet.parameters()} == {torch.bfloat16}
    for ours, theirs in zip(losses_of(tmp_path / "bf16"), losses_of(tmp_path / "fp32"), strict=True):
        # Little lies between a UNet's predictions, so that rounding tells most in their distance.
        assert ours.pop("loss/match") == pytest.approx(theirs.pop("loss/match"), rel=0.2)
        assert ours == pytest.approx(theirs, rel=0.05)
    weights, exact = (load_file(tmp_path / name / "adapter" / WEIGHTS) for name in ("bf16", "fp32"))
    assert {t.dtype for t in weights.values()} == {torch.float32}
    # Zero at the start, so that all of it was learnt.
    learnt, wanted = (w["encoder.proj_out.weight"] for w in (weights, exact))
    assert (learnt - wanted).norm() < 0.05 * wanted.norm()


@pytest.mark.parametrize("name", ["denoise", "match", "align", "distil"])
def test_a_loss_s_gradient_goes_with_its_weight(
    name: str, base: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[torch.Tensor] = []

    def keep(self: Trainer, _: int) -> float:
        found.append(
            torch.cat([torch.zeros_like(p).flatten() if p.grad is None else p.grad.flatten() for p in self.parameters])
        )
        return 0.0

    monkeypatch.setattr(Trainer, "_apply", keep)
    alone = {f"{other}_weight": 0.0 for other in ("denoise", "match", "align", "distil")}
    for weight in (1.0, 3.0):
        options = replace(
            base, **{**alone, f"{name}_weight": weight}, output=tmp_path / str(weight), steps=1, ema_decay=0.0
        )
        train(options, "cpu")
    once, thrice = found
    assert once.abs().max() > 0
    torch.testing.assert_close(thrice, 3 * once, rtol=1e-4, atol=1e-7)


class _Schedule:
    """What `Batches.draw` asks of caches."""

    class frozen:
        @staticmethod
        def part(name: str) -> object:
            from diffusers import DDIMScheduler

            return DDIMScheduler()


def test_draws_drop_captions_pass_keywords_spread_timesteps_and_use_every_example(base: Options) -> None:
    from vignette.training.data import read_examples

    options = replace(
        base, caption_drop=0.2, keyword_share=0.3, adapt_negative=True, batch_size=300, micro_batch_size=300,
        match_draws=0,
    )  # fmt: skip
    batches = Batches(read_examples(base.data), _Schedule(), options)  # type: ignore[arg-type]
    draws = [batches.draw(3, place) for place in range(300)]
    assert draws == [batches.draw(3, place) for place in range(300)]
    dropped = [d for d in draws if d.narrative == EMPTY]
    passed = [d for d in draws if d.narrative == d.keywords != EMPTY]
    assert all(d.keywords == EMPTY for d in dropped)
    assert 40 <= len(dropped) <= 80
    assert 65 <= len(passed) <= 115
    assert [d.timestep * 300 // 1000 for d in draws] == pytest.approx(range(300), abs=1)
    assert len({d.noise_seed for d in draws}) == 300
    for first in range(0, 300, 6):
        assert len({d.example.name for d in draws[first : first + 6]}) == 6


def test_a_trained_negative_is_noted_in_the_adapter(base: Options, tmp_path: Path) -> None:
    options = replace(base, output=tmp_path, caption_drop=0.3, adapt_negative=True, match_draws=2, steps=2)
    train(options, "cpu")
    assert SURAdapter.load(tmp_path / "adapter").config["adapt_negative"] is True


def test_the_rate_warms_up_and_comes_to_rest(base: Options) -> None:
    options = replace(base, steps=10, warmup_steps=2)
    rates = [pace(options, step) for step in range(10)]
    assert rates[0] == pytest.approx(1 / 2)
    assert rates[2] == 1
    assert rates[3:] == sorted(rates[3:], reverse=True)
    assert pace(replace(options, schedule="constant"), 9) == 1
    assert pace(replace(options, schedule="linear"), 6) == pytest.approx(1 / 2)


def test_a_start_that_does_not_fit_is_named(base: Options, tmp_path: Path) -> None:
    SURAdapter(64, num_heads=4).save_pretrained(tmp_path / "wide")
    with pytest.raises(ConfigError, match=r"--start .* is 64 wide, .* has states 32 wide"):
        train(replace(base, output=tmp_path / "out", start=tmp_path / "wide"), "cpu")
    SURAdapter(32, num_heads=4, teacher_dim=7).save_pretrained(tmp_path / "taught")
    with pytest.raises(ConfigError, match="has the teacher width 7, --teacher gives 24"):
        train(replace(base, output=tmp_path / "out", start=tmp_path / "taught"), "cpu")
    SURAdapter(32, num_heads=4).save_pretrained(tmp_path / "untaught")
    with pytest.raises(ConfigError, match="has no teacher head, .*: leave --teacher out, or train anew"):
        train(replace(base, output=tmp_path / "out", start=tmp_path / "untaught"), "cpu")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_layers": 3}, "was built with num layers 1, not 3: leave --num-layers out"),
        ({"eta": 0.5}, r"was built with eta 1\.0, not 0\.5"),
        ({"mask_padding": True}, "was built with mask padding False, not True"),
        ({"asked": frozenset({"dropout"})}, r"was built with dropout 0\.2, not 0\.0: leave --dropout out"),
    ],
)
def test_a_start_keeps_what_it_was_built_with(base: Options, tmp_path: Path, asked: dict, message: str) -> None:
    built = {"num_heads": 4, "num_layers": 1, "mask_padding": False, "dropout": 0.2, "teacher_dim": 24}
    SURAdapter(32, **built).save_pretrained(tmp_path / "start")
    with pytest.raises(ConfigError, match=message):
        train(replace(base, output=tmp_path / "out", start=tmp_path / "start", **asked), "cpu")


def test_a_start_may_learn_the_negative_too(base: Options, tmp_path: Path) -> None:
    SURAdapter(32, num_heads=4, num_layers=1, mask_padding=False, teacher_dim=24).save_pretrained(tmp_path / "start")
    options = replace(base, output=tmp_path / "out", start=tmp_path / "start", caption_drop=0.3, adapt_negative=True)
    train(replace(options, steps=1), "cpu")
    assert SURAdapter.load(tmp_path / "out" / "adapter").config["adapt_negative"] is True


def test_one_gpu_of_several_is_for_the_launcher_to_name(base: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    from vignette.training import run

    monkeypatch.setattr(run, "pick_device", torch.device)
    with pytest.raises(ConfigError, match="say cuda, and CUDA_VISIBLE_DEVICES=1 for that GPU alone"):
        train(base, "cuda:1")


def test_a_checkpoint_is_on_disk_before_it_bears_its_name(
    base: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    named: list[set[Path]] = []
    rename = Path.rename

    def noted(self: Path, target: Path) -> Path:
        if self.name == ".partial":
            named.append({file for file in self.rglob("*") if file.is_file()} - set(synced))
        return rename(self, target)

    to_disk = checkpoint._to_disk
    monkeypatch.setattr(checkpoint, "_to_disk", lambda path: (synced.append(path), to_disk(path))[1])
    monkeypatch.setattr(Path, "rename", noted)
    train(replace(base, output=tmp_path, steps=1), "cpu")
    assert named == [set()]
    assert synced[-1] == tmp_path / "checkpoints"
