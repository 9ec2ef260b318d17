"""Previews on the way, and pictures that come out the same bytes again."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from tests.drawing import Drawing, draw, request
from vignette.engine import schedulers
from vignette.engine.events import Preview
from vignette.engine.loader import LoadedModel
from vignette.engine.preview import LinearDecoder, predicted_clean


class Repainting:
    """A VAE whose latents are a known linear function of the colours."""

    mixing = torch.tensor([[0.5, 0.2, 0.0], [0.0, 0.7, 0.1], [0.3, 0.0, 0.4], [0.1, 0.1, 0.1]])

    class config:
        scaling_factor = 0.5

    def parameters(self) -> Iterator[torch.Tensor]:
        return iter([self.mixing])

    def encode(self, pixels: torch.Tensor) -> Repainting:
        small = torch.nn.functional.interpolate(pixels, scale_factor=0.5, mode="area")
        self.latents = torch.einsum("lc,bchw->blhw", self.mixing, small) + 0.25
        return self

    @property
    def latent_dist(self) -> Repainting:
        return self

    def mode(self) -> torch.Tensor:
        return self.latents


def test_the_map_finds_the_colours() -> None:
    vae = Repainting()
    decoder = LinearDecoder(vae, 2)
    colour = torch.tensor([0.6, -0.2, 1.0])
    latent = (vae.mixing @ colour + 0.25) * 0.5
    assert decoder(latent.view(4, 1, 1))[0, 0].tolist() == pytest.approx([204, 102, 255], abs=1)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize("name", schedulers.NAMES)
def test_a_perfect_prediction_gives_the_clean_latents(name: str, prediction: str) -> None:
    config = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": prediction}
    scheduler, timesteps = schedulers.build(name, config, 10)
    clean, noise = torch.randn(2, 1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    t = timesteps[4]
    a = scheduler.alphas_cumprod[int(t)]
    given = a.sqrt() * clean + (1 - a).sqrt() * noise
    perfect = {"epsilon": noise, "v_prediction": a.sqrt() * noise - (1 - a).sqrt() * clean, "sample": clean}[prediction]
    # What the scheduler holds is `given` times a factor of its own.
    factor = given / scheduler.scale_model_input(given, t)
    found = predicted_clean(scheduler, t, given * factor, perfect)
    torch.testing.assert_close(found, clean, atol=2e-3, rtol=2e-3)


def test_previews_come_at_their_interval_and_become_the_picture(model: LoadedModel) -> None:
    drawing = draw(model, request(num_inference_steps=7, preview_every=2, num_images=2))
    previews = [event for event in drawing.events["a"] if isinstance(event, Preview)]
    assert [(p.index, p.step) for p in previews] == [(0, 2), (1, 2), (0, 4), (1, 4), (0, 6), (1, 6)]
    assert all(p.picture.shape == (16, 16, 3) and p.picture.dtype == np.uint8 for p in previews)
    assert previews[0].picture.std() > 0
    quiet = draw(model, request(num_inference_steps=7, num_images=2))
    assert not any(isinstance(event, Preview) for event in quiet.events["a"])
    assert all((a == b).all() for a, b in zip(drawing.pictures(), quiet.pictures(), strict=True))


def test_a_deterministic_picture_is_the_same_bytes_in_any_company(model: LoadedModel) -> None:
    wanted = request("wanted", deterministic=True, negative_prompt="rain", adapter="sur", num_images=2)
    alone = draw(model, wanted).pictures("wanted")
    company = Drawing(model)
    company.run(
        request("a", prompt="a tent", seed=4, num_images=4),
        request("b", negative_prompt="rain", seed=5),
        at={2: lambda: company.core.submit(wanted)},
    )
    for ours, again in zip(company.pictures("wanted"), alone, strict=True):
        assert ours.tobytes() == again.tobytes()
    assert min(company.calls) == 1
