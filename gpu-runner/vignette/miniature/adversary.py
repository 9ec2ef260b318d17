"""The decoder's last polish: against a critic of patches, which knows a blur from a drawing where a pixel's distance does not.

After Esser et al. 2021, https://arxiv.org/abs/2012.09841 (hinge loss, patches, the adaptive weight), and Wang et al. 2018,
https://arxiv.org/abs/1711.11585 (the critic's features of a picture as what to match).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import nn

from vignette.training.optim import Optimisers, linear

from .stage import Rows, Stage, autocast, pick_device
from .vae import noisy, reconstruction_loss, to_tensor

# The critic's gradient at the picture, in terms of the reconstruction's: twice as much draws haloes (measured).
WEIGHT = 1.0
MATCHING = 2.0
# Steps in which the critic learns to tell before it is fully heard.
RAMP = 200


class Critic(nn.Module):
    """Says of overlapping patches, 46 pixels wide, whether they are drawn or decoded; 0.2 M parameters, never exported."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 128)
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 4, 2, 1),
                nn.GroupNorm(8, after) if before > 3 else nn.Identity(),
                nn.LeakyReLU(0.2),
            )
            for before, after in pairwise(widths)
        )
        self.score = nn.Conv2d(widths[-1], 1, 4, 1, 1)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Scores [B, 1, 15, 15], positive for drawn, and every layer's features, of pictures [B, 3, 128, 128] in -1..1."""
        features = []
        for layer in self.layers:
            pictures = layer(pictures)
            features.append(pictures)
        return self.score(pictures), features


def polish(
    model: AutoencoderKL,
    images: np.ndarray,
    folder: Path,
    steps: int,
    batch: int = 8,
    seed: int = 0,
    device: str = "auto",
) -> AutoencoderKL:
    """Train the decoder of `model` on, on its own latents with up to 0.15 of their deviation as noise, as a denoiser leaves
    some: held to the picture by `reconstruction_loss`, and to look drawn by a critic that learns beside it. The latents
    stay what they are.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    model = model.to(where).requires_grad_(False).train()
    for half in (model.decoder, model.post_quant_conv):
        half.requires_grad_(True)
    critic = Critic().to(where)
    parts: dict[str, Any] = {"decoder": model, "critic": critic}
    both = nn.ModuleDict(parts)
    # Without momentum the two do not run round each other.
    optim = Optimisers(both, linear(steps), muon_lr=0, adam_lr=3e-4, adam_only=(), betas=(0.5, 0.98))
    rows = Rows(images, where)

    def loss_fn(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        pick = np.random.default_rng((seed, step)).integers(0, len(rows), batch)
        drawn = to_tensor(rows[np.sort(pick)])
        with torch.no_grad(), autocast(where):
            z = model.encode(drawn).latent_dist.mean.float()
        with autocast(where):
            out = model.decode(noisy(z)).sample.float()
        picture = out.detach().requires_grad_(True)
        error = reconstruction_loss(picture, drawn)
        (to_picture,) = torch.autograd.grad(error, picture)

        with autocast(where):
            scores, features = critic(torch.cat([drawn, picture]))
        real, decoded = scores.float().chunk(2)
        matching = sum(apart(*layer.float().chunk(2)) for layer in features) / len(features)
        (to_drawn,) = torch.autograd.grad(MATCHING * matching - decoded.mean(), picture, retain_graph=True)
        weight = WEIGHT * to_picture.norm() / to_drawn.norm().clamp(min=1e-8) * min(1.0, step / RAMP)

        told = F.relu(1 - real).mean() + F.relu(1 + decoded).mean()
        # A product whose gradient at the picture is the sum of both.
        loss = (out * (to_picture + weight * to_drawn)).sum() + told
        return loss, {
            "error": error.item(),
            "matching": matching.item(),
            "critic": told.item(),
            "l1": F.l1_loss(picture, drawn).item(),
        }

    Stage("polish", folder, both, optim, steps, loss_fn, ema_decay=0.995, clip=100).run()
    return model.eval().requires_grad_(False)


def apart(drawn: torch.Tensor, decoded: torch.Tensor) -> torch.Tensor:
    """How far the features of decoded pictures are from those of the drawn ones, in units of the latter's mean size."""
    drawn = drawn.detach()
    return (decoded - drawn).abs().mean() / drawn.abs().mean().clamp(min=1e-6)
