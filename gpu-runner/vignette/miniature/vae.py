"""The autoencoder: 128 x 128 x 3 pictures to 16 x 16 x 8 latents and back (`AutoencoderKL`, 1.7 M parameters)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL

from vignette.training.optim import Optimisers, linear

from .stage import Rows, Stage, autocast, pick_device

LATENT_CHANNELS = 8
# BT.601 luma and chroma; chroma counts more, since small nets leave colours grey.
_YCC = torch.tensor([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
_YCC_WEIGHT = torch.tensor([1.0, 2.0, 2.0])
# Weight of what becomes of latents at half the size.
HALF_WEIGHT = 0.25


def build() -> AutoencoderKL:
    """A fresh autoencoder."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=LATENT_CHANNELS,
        block_out_channels=(16, 32, 64, 96),
        layers_per_block=1,
        norm_num_groups=8,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        sample_size=128,
    )


def to_tensor(images: np.ndarray | torch.Tensor) -> torch.Tensor:
    """uint8 [B, H, W, 3] to float [B, 3, H, W] in -1..1."""
    pixels = images if isinstance(images, torch.Tensor) else torch.from_numpy(np.array(images))
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def detail(pictures: torch.Tensor) -> torch.Tensor:
    """Where there is something to see, [B, 1, H, W], 1 on average: what stands out from its surroundings, and 2 px around it."""
    smooth = F.avg_pool2d(pictures, 9, 1, 4, count_include_pad=False)
    apart = F.max_pool2d((pictures - smooth).abs().mean(1, keepdim=True), 5, 1, 2)
    return apart / apart.mean((1, 2, 3), keepdim=True).clamp(min=1e-6)


def reconstruction_loss(out: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """L1 and MSE in YCbCr with weighted chroma, plus the L1 of horizontal and vertical differences (edges).

    Three quarters of the weight go by `detail`: skies and floors are most of a picture and the easiest part of it.
    """
    weight = (1 + 3 * detail(target)) / 4
    error = torch.einsum("kc,bchw->bkhw", _YCC.to(out), out - target) * _YCC_WEIGHT.to(out).view(1, 3, 1, 1)
    edges = (error.diff(dim=2).abs() * weight[:, :, 1:]).mean() + (error.diff(dim=3).abs() * weight[..., 1:]).mean()
    return (weight * (error.abs() + error.square())).mean() + 0.5 * edges


def noisy(z: torch.Tensor, most: float = 0.15, generator: torch.Generator | None = None) -> torch.Tensor:
    """Latents [B, 8, 16, 16] with up to `most` of their deviation added to each, as a denoiser leaves some."""
    amount = most * torch.rand(len(z), 1, 1, 1, generator=generator, device=z.device)
    return z + amount * z.std() * torch.randn(z.shape, generator=generator, device=z.device)


def train(
    images: np.ndarray,
    folder: Path,
    steps: int,
    batch: int = 8,
    seed: int = 0,
    device: str = "auto",
    start: AutoencoderKL | None = None,
    decoder_only: bool = False,
    compiled: bool = False,
) -> AutoencoderKL:
    """Train on whole pictures (crops break the group norms' statistics), from `start` if given, and set `scaling_factor`
    so that latents have unit variance. With `decoder_only` the latents stay what they are, and so does whatever has
    learnt to draw them. With `compiled` the step goes through `torch.compile`, after two or three minutes.

    The latents are decoded with the noise that a denoiser leaves, so that what a picture stands on is written large; and at
    half the size too, where they are to give the picture at half the size: latents whose coarse part is the picture's are
    easier to draw (Kouzelis et al. 2025, https://arxiv.org/abs/2502.09509; Skorokhodov et al. 2025,
    https://arxiv.org/abs/2502.14831).
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    # Channels last: a quarter off the compiled step on AVX2; with AMX eager is then quicker than compiled (measured).
    model = (start or build()).to(where, memory_format=torch.channels_last).requires_grad_(True).train()
    if decoder_only:
        model.encoder.requires_grad_(False)
        model.quant_conv.requires_grad_(False)
    optim = Optimisers(
        model, linear(steps), muon_lr=0.015, adam_lr=2e-3, adam_only=("conv_in", "conv_out", "quant_conv")
    )

    rows = Rows(images, where)

    def through(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor, torch.Tensor]:
        with autocast(where):
            posterior = model.encode(x).latent_dist
            mean, logvar = posterior.mean.float(), posterior.logvar.float()
            z = noisy(mean + (0.5 * logvar).exp() * torch.randn_like(mean))
            half = None if decoder_only else model.decode(F.avg_pool2d(z, 2)).sample.float()
            return model.decode(z).sample.float(), half, mean, logvar

    forward = torch.compile(through) if compiled else through

    def loss_fn(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        pick = np.random.default_rng((seed, step)).integers(0, len(rows), batch)
        x = to_tensor(rows[np.sort(pick)]).contiguous(memory_format=torch.channels_last)
        out, half, mean, logvar = forward(x)
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        loss = reconstruction_loss(out, x) + 1e-4 * kl
        parts = {"l1": F.l1_loss(out, x).item(), "kl": kl.item(), "std_min": mean.std((0, 2, 3)).min().item()}
        if half is None:
            return loss, parts
        small = F.avg_pool2d(x, 2)
        return loss + HALF_WEIGHT * reconstruction_loss(half, small), parts | {"half": F.l1_loss(half, small).item()}

    Stage("vae", folder, model, optim, steps, loss_fn, ema_decay=0.995).run()
    model.eval().requires_grad_(False)
    if decoder_only:
        return model
    sample = to_tensor(images[np.linspace(0, len(images) - 1, 512).astype(int)])
    latents = torch.cat([model.encode(x.to(where)).latent_dist.mean for x in sample.split(32)])
    model.register_to_config(scaling_factor=1 / latents.std().item())
    print("latent deviation per channel", [round(v, 2) for v in latents.std((0, 2, 3)).tolist()], flush=True)
    return model


@torch.no_grad()
def encode(model: AutoencoderKL, images: np.ndarray, batch: int = 64, device: str = "auto") -> np.ndarray:
    """The scaled mean latents of pictures [N, 128, 128, 3], fp16 [N, 8, 16, 16]."""
    where = pick_device(device)
    model = model.to(where)
    out = np.empty((len(images), LATENT_CHANNELS, 16, 16), np.float16)
    for start in range(0, len(images), batch):
        with autocast(where):
            mean = model.encode(to_tensor(images[start : start + batch]).to(where)).latent_dist.mean
        out[start : start + batch] = (mean.float() * model.config.scaling_factor).cpu().numpy()
        if start // batch % 50 == 0:
            print(f"encoded {start}/{len(images)}", flush=True)
    return out


def encode_all(model: AutoencoderKL, images: np.ndarray, path: Path, device: str = "auto") -> np.ndarray:
    """`encode` of all pictures, cached in `path`."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".part.npy")
        np.save(partial, encode(model, images, device=device))
        partial.rename(path)
    return np.load(path)


@torch.no_grad()
def decode_all(
    model: AutoencoderKL, latents: np.ndarray, seed: int = 0, noise: float = 0.15, batch: int = 50, device: str = "auto"
) -> np.ndarray:
    """What the decoder makes of scaled latents [N, 8, 16, 16], uint8 [N, 128, 128, 3], with up to `noise` of their deviation
    added, as a denoiser leaves some.
    """
    where = pick_device(device)
    model = model.to(where)
    rng = torch.Generator().manual_seed(seed)
    out = []
    for start in range(0, len(latents), batch):
        z = torch.from_numpy(latents[start : start + batch]).float()
        z = noisy(z, noise, rng)
        with autocast(where):
            pictures = model.decode((z / model.config.scaling_factor).to(where)).sample.float()
        out.append(((pictures.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(out)
