"""Stable Diffusion XL: two encoders' states side by side, and the pooled vector of the second."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny_training import losses_of, small, write_imagefolder, write_xl
from vignette.sur import SURAdapter
from vignette.training.caches import Caches
from vignette.training.frozen import FrozenModel
from vignette.training.run import train

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def xl_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_xl(tmp_path_factory.mktemp("xl"))


def test_states_and_pooled_vector_are_the_pipelines(xl_folder: Path, tmp_path: Path) -> None:
    from diffusers import StableDiffusionXLPipeline

    pipeline = StableDiffusionXLPipeline.from_pretrained(xl_folder, local_files_only=True)
    with torch.no_grad():
        states, _, pooled, _ = pipeline.encode_prompt(
            "two red cats", device=CPU, num_images_per_prompt=1, do_classifier_free_guidance=False
        )
    caches = Caches(tmp_path, FrozenModel(xl_folder, CPU), 32)
    caches.fill_prompts(["two red cats"])
    got = caches.prompts(["two red cats"])
    assert caches.frozen.widths == (32, 24)
    assert got.pooled is not None
    torch.testing.assert_close(got.states, states, rtol=1e-3, atol=2e-3)
    torch.testing.assert_close(got.pooled, pooled, rtol=1e-3, atol=2e-3)


def test_the_unet_gets_the_pooled_vector_and_the_sizes(xl_folder: Path) -> None:
    frozen = FrozenModel(xl_folder, CPU)
    noisy, t, states = torch.randn(1, 4, 16, 16), torch.tensor([500]), torch.randn(1, 77, 56)
    pooled = torch.randn(1, 16)
    sizes = torch.tensor([[32.0, 32, 0, 0, 32, 32]])
    with torch.no_grad():
        expected = frozen.part("unet")(
            noisy, t, states, added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes}
        ).sample
        assert torch.equal(frozen.predict(noisy, t, states, pooled), expected)
        assert not torch.equal(frozen.predict(noisy, t, states, -pooled), expected)


def test_a_run_trains_both_halves(xl_folder: Path, tmp_path: Path) -> None:
    options = small(
        xl_folder, write_imagefolder(tmp_path / "data"), tmp_path, sample_every=4, sample_count=1, align="attention"
    )
    train(options, "cpu")
    adapter = SURAdapter.load(tmp_path / "adapter")
    assert adapter.config["hidden_size"] == 56
    moved = adapter.encoder.proj_out.weight.abs().sum(1)  # type: ignore[union-attr]
    assert moved[:32].min() > 0
    assert moved[32:].min() > 0
    assert {"loss/denoise", "loss/match", "loss/align"} <= losses_of(tmp_path)[-1].keys()
    assert (tmp_path / "samples" / "step-0000004.png").is_file()
