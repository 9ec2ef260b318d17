"""The flaws of the published training script, one test each: the published computation has it, this package does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from diffusers.training_utils import EMAModel
from torch import nn

from tests.published import Published, captions, distillation_loss, epoch, latest_state, save_state, states_for_the_unet
from tests.tiny_training import ROWS, small, write_imagefolder
from vignette.errors import ConfigError
from vignette.sur import SURAdapter
from vignette.training import checkpoint, objectives
from vignette.training.batches import EMPTY, Batches
from vignette.training.data import read_examples
from vignette.training.forward import losses
from vignette.training.optim import Optimisers, linear
from vignette.training.options import Options
from vignette.training.run import train

TRAINING = Path(__file__).resolve().parents[1] / "vignette" / "training"
MASK = torch.ones(2, 77, dtype=torch.long)


def states(seed: int) -> torch.Tensor:
    return torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(seed))


def step(monkeypatch: pytest.MonkeyPatch, **asked: object) -> dict[str, torch.Tensor]:
    """The losses of one batch, and what the UNet (here a linear layer) and the alignment were given."""
    torch.manual_seed(0)
    adapter = SURAdapter(32, num_heads=4, mask_padding=False)
    torch.nn.init.normal_(adapter.encoder.proj_out.weight, std=0.5)
    seen: dict[str, torch.Tensor] = {}
    original = objectives.align

    def predict(noisy: torch.Tensor, timesteps: torch.Tensor, context: torch.Tensor, pooled: object) -> torch.Tensor:
        seen.setdefault("unet", context)
        return noisy * context.mean((1, 2))[:, None, None, None]

    def align(kind: str, adapted: torch.Tensor, *rest: object) -> torch.Tensor:
        seen["align"] = adapted
        return original(kind, adapted, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(objectives, "align", align)
    scheduler = SimpleNamespace(
        add_noise=lambda latents, noise, timesteps: latents + noise,
        config=SimpleNamespace(prediction_type="epsilon"),
        alphas_cumprod=torch.linspace(0.99, 0.01, 1000),
    )
    frozen = SimpleNamespace(
        device=torch.device("cpu"), dtype=torch.float32, widths=(32,), predict=predict, part=lambda name: scheduler
    )
    text = [SimpleNamespace(states=states(seed), mask=MASK, pooled=None) for seed in (1, 2)]
    batch = SimpleNamespace(
        source=text[0],
        target=text[1],
        teacher=None,
        teacher_mask=None,
        captioned=torch.ones(2),
        latents=torch.randn(2, 4, 8, 8),
        noise=torch.randn(2, 4, 8, 8),
        timesteps=torch.tensor([10, 500]),
        wanted=None,
    )
    options = Options(model=Path("m"), data=Path("d"), output=Path("o"), **asked)  # type: ignore[arg-type]
    found = losses(adapter, frozen, batch, options, True)  # type: ignore[arg-type]
    return {**found, **{f"given to {name}": value for name, value in seen.items()}, "adapter": adapter}  # type: ignore[dict-item]


@pytest.mark.parametrize("loss", ["denoise", "match"])
def test_01_the_losses_of_the_unet_reach_the_adapter(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not states_for_the_unet(states(1).requires_grad_()).requires_grad
    found = step(monkeypatch)
    found[loss].mean().backward()
    for name, parameter in found["adapter"].named_parameters():  # type: ignore[operator]
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_04_what_adapts_the_negative_prompt_was_trained_on_empty_ones(tmp_path: Path) -> None:
    rows = [{"text": text, "prompt": prompt} for text, prompt in ROWS]
    # As published: no caption is dropped, and yet the negative prompt is adapted (test_sur_flaws.py).
    assert EMPTY not in captions(rows)

    asked = {"match_draws": 0, "batch_size": 60, "micro_batch_size": 60, "keyword_share": 0.0}
    data = write_imagefolder(tmp_path)
    schedule = SimpleNamespace(config=SimpleNamespace(num_train_timesteps=1000))
    caches = SimpleNamespace(frozen=SimpleNamespace(part=lambda name: schedule))

    def drawn(**more: object) -> list[str]:
        batches = Batches(read_examples(data), caches, small(tmp_path, data, tmp_path, **asked, **more))  # type: ignore[arg-type]
        return [batches.draw(0, place).narrative for place in range(60)]

    assert 5 < drawn(caption_drop=0.2, adapt_negative=True).count(EMPTY) < 20
    assert EMPTY not in drawn()
    assert not Options(model=tmp_path, data=data, output=tmp_path).adapt_negative
    with pytest.raises(ConfigError, match="the adapter has to meet empty prompts"):
        drawn(adapt_negative=True)


def test_09_the_divergence_runs_from_the_target_to_the_student_and_counts_tokens_once() -> None:
    student, target = states(1).requires_grad_(), states(2)
    one = torch.ones(2, 77)
    published = distillation_loss(target, student)
    p, q = (torch.distributions.Categorical(logits=logits) for logits in (target, student))
    torch.testing.assert_close(published, torch.distributions.kl_divergence(q, p).sum(1).mean())

    corrected = objectives.align("kl", student, target, (32,), one, one)
    torch.testing.assert_close(corrected, torch.distributions.kl_divergence(p, q).mean(1))
    half = objectives.align("kl", student[:, :38], target[:, :38], (32,), one[:, :38], one[:, :38])
    assert 0.7 < (half / corrected).mean().item() < 1.4  # not a sum over tokens, as the published one
    assert distillation_loss(target[:, :38], student[:, :38]) < 0.6 * published
    torch.testing.assert_close(objectives.align("kl-published", student, target, (32,), one, one).mean(), published)
    assert Options(model=Path("m"), data=Path("d"), output=Path("o")).align != "kl-published"


def test_10_what_is_aligned_is_what_the_unet_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    published = Published(32).eval()
    # As published: the checkpoint was made by aligning one output while the UNet is given another.
    assert (published.unmixed(states(1)) - published(states(1))).abs().max() > 1
    found = step(monkeypatch)
    assert found["given to align"] is found["given to unet"]
    assert not torch.equal(found["given to unet"], states(1))


def test_14_every_option_is_used() -> None:
    # As published, --gradient_checkpointing and --validation_* are parsed and nothing more.
    sources = "".join(file.read_text() for file in TRAINING.glob("*.py") if file.name not in ("options.py", "cli.py"))
    unread = [field.name for field in fields(Options) if not re.search(rf"\boptions\.{field.name}\b", sources)]
    assert unread == []


@pytest.mark.parametrize("wrap", [lambda adapter: adapter, nn.DataParallel], ids=["bare", "wrapped"])
def test_14_a_run_goes_on_from_what_it_saved(wrap: Callable[[nn.Module], nn.Module], tmp_path: Path) -> None:
    # As published, the saver and who resumes disagree about names, and the save hook calls what a module has not.
    save_state(tmp_path, 500, Published(32))
    assert latest_state(tmp_path) is None
    assert not hasattr(nn.DataParallel(Published(32)), "save_pretrained")

    def built() -> tuple[SURAdapter, EMAModel, Optimisers]:
        adapter = SURAdapter(32, num_heads=4, num_layers=1, mask_padding=False)
        return adapter, EMAModel(adapter.parameters(), decay=0.9), Optimisers(adapter, linear(9), 0.0, 1e-3)

    adapter, ema, optimisers = built()
    for done in (1, 2):
        adapter(states(1)).square().mean().backward()
        optimisers.step(done)
        ema.step(adapter.parameters())
        saved = checkpoint.save(tmp_path, done, wrap(adapter), ema, optimisers, {"seed": 0}, keep=2)
    assert checkpoint.latest(tmp_path) == saved
    fresh, average, moments = built()
    assert checkpoint.load(saved, wrap(fresh), average, moments, {"seed": 0}) == 2
    for ours, theirs in zip(fresh.parameters(), adapter.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    for ours, theirs in zip(average.shadow_params, ema.shadow_params, strict=True):
        assert torch.equal(ours, theirs)
    [ours], [theirs] = moments.state_dict(), optimisers.state_dict()
    for index, held in theirs["state"].items():
        assert all(torch.equal(ours["state"][index][name], value) for name, value in held.items())


def test_15_a_missing_prompt_is_told_before_the_first_step(sd15_folder: Path, tmp_path: Path) -> None:
    rows = [{"file_name": f"{i}.png", "text": text, "prompt": prompt} for i, (text, prompt) in enumerate(ROWS)]
    published = epoch(rows, {row["prompt"]: 0 for row in rows[:4]})
    assert [next(published) for _ in range(4)] == [0] * 4
    with pytest.raises(KeyError):
        next(published)

    del rows[4]["prompt"]
    options = small(sd15_folder, write_imagefolder(tmp_path / "data", rows), tmp_path / "out")
    with pytest.raises(ConfigError, match="line 5: no `prompt`"):
        train(options, "cpu")
    assert not options.output.exists()
