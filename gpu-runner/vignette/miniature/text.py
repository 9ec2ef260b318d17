"""The text encoder: a `CLIPTextModel`, 256 wide, pre-trained contrastively against an image tower over VAE latents, then frozen."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .captions import narrative
from .optim import Optimisers
from .stage import Stage, autocast, pick_device
from .vae import LATENT_CHANNELS
from .world import Scene

WIDTH = 256
LENGTH = 77


def build_encoder(tokenizer: CLIPTokenizer) -> CLIPTextModel:
    """A fresh text encoder for the tokenizer's vocabulary."""
    return CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(tokenizer),
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=LENGTH,
            projection_dim=WIDTH,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


class Clip(nn.Module):
    """Text encoder and image tower with a common space of 256; cosine similarity is the miniature's CLIPScore."""

    def __init__(self, text: CLIPTextModel):
        super().__init__()
        self.text = text
        self.text_projection = nn.Linear(WIDTH, WIDTH, bias=False)
        widths = (LATENT_CHANNELS, 96, 160, 256)
        blocks: list[nn.Module] = []
        for i, (a, b) in enumerate(itertools.pairwise(widths)):
            blocks += [nn.Conv2d(a, b, 3, stride=1 if i == 0 else 2, padding=1), nn.GroupNorm(8, b), nn.SiLU()]
            blocks += [nn.Conv2d(b, b, 3, padding=1), nn.GroupNorm(8, b), nn.SiLU()]
        self.tower = nn.Sequential(*blocks, nn.Flatten(), nn.Linear(256 * 16, WIDTH, bias=False))
        self.log_scale = nn.Parameter(torch.tensor(2.66))

    def embed_text(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids [B, L] to unit vectors [B, 256]."""
        return F.normalize(self.text_projection(self.text(input_ids=ids).pooler_output).float(), dim=-1)

    def embed_image(self, latents: torch.Tensor) -> torch.Tensor:
        """Scaled latents [B, 8, 16, 16] to unit vectors [B, 256]."""
        return F.normalize(self.tower(latents).float(), dim=-1)


def train(
    latents: np.ndarray,
    scenes: list[Scene],
    tokenizer: CLIPTokenizer,
    folder: Path,
    steps: int,
    batch: int = 256,
    seed: int = 0,
    device: str = "auto",
) -> Clip:
    """Contrastive training (InfoNCE both ways) on keyword prompts and plain captions or small stories, half and half."""
    where = pick_device(device)
    torch.manual_seed(seed)
    model = Clip(build_encoder(tokenizer)).to(where)
    optim = Optimisers(
        model, steps, muon_lr=0.01, adam_lr=1e-3, adam_only=("embedding", "text_projection", "tower.0.", "tower.19")
    )
    groups: dict[str, int] = {}
    names = np.array([groups.setdefault(s.keywords, len(groups)) for s in scenes])

    def loss_fn(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        pick = np.random.default_rng((seed, step)).integers(0, len(scenes), batch)
        rng = random.Random(f"{seed}/{step}")
        texts = [scenes[i].keywords if rng.random() < 0.5 else narrative(scenes[i], rng) for i in pick]
        ids = tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt").input_ids.to(
            where
        )
        z = torch.from_numpy(latents[pick]).float().to(where)
        z = z + 0.1 * torch.randn_like(z)
        with autocast(where):
            text, image = model.embed_text(ids), model.embed_image(z)
        logits = text @ image.T * model.log_scale.exp().clamp(max=100)
        # Two pictures of the same scene are no negatives of each other.
        same = torch.from_numpy(names[pick][:, None] == names[pick][None]).to(where)
        logits = logits.masked_fill(same & ~torch.eye(batch, dtype=torch.bool, device=where), -1e4)
        target = torch.arange(batch, device=where)
        loss = (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2
        return loss, {
            "accuracy": (logits.argmax(1) == target).float().mean().item(),
            "scale": model.log_scale.exp().item(),
        }

    Stage("text", folder, model, optim, steps, loss_fn, ema_decay=0.99).run()
    return model.eval().requires_grad_(False)


@torch.no_grad()
def hidden_states(
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    texts: list[str],
    device: torch.device | None = None,
    batch: int = 128,
) -> torch.Tensor:
    """The last hidden states [N, 77, 256] that diffusers' `encode_prompt` gives for `texts`, fp16 on the CPU."""
    where = device or next(encoder.parameters()).device
    out = []
    for start in range(0, len(texts), batch):
        ids = tokenizer(
            texts[start : start + batch], padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
        ).input_ids
        out.append(encoder(input_ids=ids.to(where))[0].float().cpu())
    return torch.cat(out).half()
