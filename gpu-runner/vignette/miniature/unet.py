"""The denoiser: a `UNet2DConditionModel` on 16 x 16 x 8 latents, v-prediction on a zero-terminal-SNR schedule.

It sees keyword prompts only; narratives are what the adapter is for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import nn

from vignette.training.optim import Optimisers, linear

from .stage import Rows, Stage, autocast, pick_device
from .text import WIDTH
from .vae import LATENT_CHANNELS

DROP = 0.1
SNR_GAMMA = 5.0
GUIDE_WEIGHT = 0.5
WIDTHS = (64, 128, 192)
# Near the picture: what is drawn looks as it does there. Deep inside, and in attention, a UNet knows what is drawn.
NEAR = (
    *("conv_in", "conv_out", "down_blocks.0", "down_blocks.1.resnets", "down_blocks.1.downsamplers"),
    *("up_blocks.1.resnets", "up_blocks.1.upsamplers", "up_blocks.2"),
)


class FastAttention:
    """Attention by two matrix products: torch's fused CPU kernel is ten times slower backwards in bfloat16 at these sizes (measured)."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: None = None,
        temb: None = None,
        **_: object,
    ) -> torch.Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        batch, tokens, _width = hidden_states.shape
        heads = attn.heads
        q, k, v = (
            projection(x).unflatten(-1, (heads, -1)).transpose(1, 2)
            for projection, x in ((attn.to_q, hidden_states), (attn.to_k, context), (attn.to_v, context))
        )
        weights = (q @ k.transpose(-1, -2) * attn.scale).softmax(-1)
        mixed = (weights.to(v.dtype) @ v).transpose(1, 2).reshape(batch, tokens, -1)
        return attn.to_out[0](mixed)


def build() -> UNet2DConditionModel:
    """A fresh UNet, 11.2 M parameters."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=WIDTH,
        # diffusers reads this as the number of heads here: 32 channels each.
        attention_head_dim=tuple(width // 32 for width in WIDTHS),
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    """Stable Diffusion's betas rescaled to zero terminal SNR (Lin et al. 2023, https://arxiv.org/abs/2305.08891)."""
    return DDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        clip_sample=False,
        set_alpha_to_one=True,
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
        steps_offset=1,
    )


def noised(
    scheduler: DDIMScheduler, z: torch.Tensor, t: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Noisy latents, the v target, and the min-SNR weight [B] (Hang et al. 2023, for v-prediction) at timesteps `t`."""
    noise = torch.randn_like(z)
    alphas = scheduler.alphas_cumprod.to(z.device)[t]
    snr = alphas / (1 - alphas)
    weight = torch.clamp(snr, max=SNR_GAMMA) / (snr + 1)
    # Without a floor the pure-noise steps, where the layout is decided, would weigh nothing.
    return scheduler.add_noise(z, noise, t), scheduler.get_velocity(z, noise, t), weight.clamp(min=0.25)


def spread_timesteps(batch: int) -> torch.Tensor:
    """One random timestep per equal slice of 0..999, [batch]: stratified, which calms the loss."""
    return ((torch.arange(batch) + torch.rand(batch)) / batch * 1000).long().clamp(max=999)


def own_layers(model: UNet2DConditionModel) -> frozenset[str]:
    """The parameters that each art style has of its own, 2.1 M: the layers `NEAR` the picture, and all norms and biases
    (Ben Zaken et al. 2022, https://arxiv.org/abs/2106.10199). The others are the first style's.
    """
    return frozenset(name for name, p in model.named_parameters() if name.startswith(NEAR) or p.ndim == 1)


def on_top_of(first: UNet2DConditionModel, own: UNet2DConditionModel) -> UNet2DConditionModel:
    """A UNet with the own layers of `own` on top of what it has in common with `first`."""
    model = copy.deepcopy(first)
    names = own_layers(model)
    model.load_state_dict({k: v for k, v in own.state_dict().items() if k in names}, strict=False)
    return model


class Guide(nn.Module):
    """Representation alignment (Yu et al. 2024, https://arxiv.org/abs/2410.06940): inner features [B, 192, 8, 8] are held
    to those that the judge has of the clean picture, so that what a thing is gets learnt before how it looks.

    A training aid: it hangs on the UNet's first up block, costs one small network, and is not exported.
    """

    def __init__(self, unet: UNet2DConditionModel, target: int):
        super().__init__()
        width = unet.config.block_out_channels[-1]
        self.project = nn.Sequential(nn.Conv2d(width, 256, 1), nn.SiLU(), nn.Conv2d(256, target, 1))
        self._inner: torch.Tensor | None = None
        self._hook = unet.up_blocks[0].register_forward_hook(self._keep)

    def _keep(self, _block: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        self._inner = output

    def loss(self, wanted: torch.Tensor) -> torch.Tensor:
        """1 - cosine similarity at each place, mean; `wanted` [B, C, 8, 8] belongs to the UNet's last forward call."""
        return 1 - F.cosine_similarity(self.project(self._inner.float()), wanted, dim=1).mean()

    def remove(self) -> None:
        """Take the hook off the UNet."""
        self._hook.remove()


def train(
    latents: np.ndarray,
    embeddings: np.ndarray,
    empty: torch.Tensor,
    folder: Path,
    steps: int,
    batch: int = 48,
    seed: int = 0,
    device: str = "auto",
    on_save: Callable[[int], None] | None = None,
    start: UNet2DConditionModel | None = None,
    features: np.ndarray | None = None,
    often: np.ndarray | None = None,
    rate: float = 1.0,
    only: Collection[str] | None = None,
) -> UNet2DConditionModel:
    """Train on cached latents [N, 8, 16, 16] and cached keyword embeddings [N, 77, 256], from `start` if given; a tenth
    sees `empty` [1, 77, 256]. `features` [N, C, 8, 8], the judge's of each picture, guide what the UNet learns inside.
    The rows named in `often` come up as often again as they stand there; `rate` multiplies the learning rates. Of a UNet
    that begins as another, the parameters named in `only` learn, and the rest stays that one's.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    # Channels last: a fifth less with AMX, and no more elsewhere (measured).
    model = (start or build()).to(where, memory_format=torch.channels_last).requires_grad_(True).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(only is None or name in only)
    model.set_attn_processor(FastAttention())
    scheduler = build_scheduler()
    guide = Guide(model, features.shape[1]).to(where) if features is not None else None
    whole = nn.ModuleDict({"unet": model} | ({"guide": guide} if guide else {}))
    optim = Optimisers(
        whole,
        linear(steps, peak=rate),
        muon_lr=0.01,
        adam_lr=1e-3,
        adam_only=("conv_in", "conv_out", "time_embedding"),
    )

    order = np.arange(len(latents))
    if often is not None:
        order = np.concatenate([order, often])
    pictures, prompts, nothing = Rows(latents, where), Rows(embeddings, where), empty.float().to(where)
    guided = Rows(features, where) if features is not None else None

    def loss_fn(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        rng = np.random.default_rng((seed, step))
        pick = np.sort(rng.choice(order, batch))
        z = pictures[pick].float().contiguous(memory_format=torch.channels_last)
        context = prompts[pick].float()
        context[torch.from_numpy(rng.random(batch) < DROP).to(where)] = nothing
        t = spread_timesteps(batch).to(where)
        noisy, target, weight = noised(scheduler, z, t)
        with autocast(where):
            out = model(noisy, t, encoder_hidden_states=context).sample.float()
        error = F.mse_loss(out, target, reduction="none").mean((1, 2, 3))
        loss = (error * weight).mean() / weight.mean()
        if guide is None or guided is None:
            return loss, {"mse": error.mean().item()}
        apart = guide.loss(guided[pick].float())
        return loss + GUIDE_WEIGHT * apart, {"mse": error.mean().item(), "apart": apart.item()}

    Stage("unet", folder, whole, optim, steps, loss_fn, ema_decay=0.998, save_every=250, on_save=on_save).run()
    model.set_attn_processor(AttnProcessor2_0())
    if guide:
        guide.remove()
    return model.eval().requires_grad_(False)
