"""What a picture will look like, from the middle of its drawing: the predicted clean latents through a linear map."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

# Pictures that the map is fitted on, and how many latent pixels wide they are.
PICTURES, SIDE, COLOURS = 24, 16, 4


class LinearDecoder:
    """
    Latent channels to RGB, pixel by pixel, as in ComfyUI's `latent_preview.py`, but fitted to the model's own VAE, so
    that any VAE has one: random smooth pictures are encoded, and their colours are regressed on their latents.
    """

    def __init__(self, vae: Any, factor: int) -> None:
        generator = torch.Generator("cpu").manual_seed(0)
        coarse = torch.rand(PICTURES, 3, COLOURS, COLOURS, generator=generator) * 2 - 1
        pixels = interpolate(coarse, SIDE * factor, mode="bilinear", align_corners=False)
        weights = next(vae.parameters())
        latents = vae.encode(pixels.to(weights)).latent_dist.mode().float().cpu() * vae.config.scaling_factor
        colours = interpolate(pixels, SIDE, mode="area")
        columns = latents.permute(0, 2, 3, 1).flatten(0, 2)
        columns = torch.cat([columns, torch.ones(len(columns), 1)], dim=1)
        self.matrix = torch.linalg.lstsq(columns, colours.permute(0, 2, 3, 1).flatten(0, 2), driver="gelsd").solution

    def __call__(self, latents: torch.Tensor) -> np.ndarray:
        """`[C, h, w]` to `[h, w, 3]` uint8, one pixel for each latent."""
        columns = latents.float().cpu().permute(1, 2, 0)
        pixels = columns @ self.matrix[:-1] + self.matrix[-1]
        return ((pixels / 2 + 0.5).nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def predicted_clean(
    scheduler: Any, timestep: torch.Tensor, latents: torch.Tensor, predicted: torch.Tensor
) -> torch.Tensor:
    """
    The latents without noise that this prediction aims at, of the shape of `latents`.

    What the UNet is given is `sqrt(a) * clean + sqrt(1 - a) * noise` under every scheduler (`scale_model_input` sees to
    that), so one formula for each kind of prediction serves them all (https://arxiv.org/abs/2202.00512, appendix D).
    """
    given = scheduler.scale_model_input(latents, timestep)
    a = scheduler.alphas_cumprod[int(timestep)].to(given)
    kind = scheduler.config.prediction_type
    if kind == "v_prediction":
        return a.sqrt() * given - (1 - a).sqrt() * predicted
    if kind == "sample":
        return predicted
    return (given - (1 - a).sqrt() * predicted) / a.sqrt().clamp(min=1e-4)
