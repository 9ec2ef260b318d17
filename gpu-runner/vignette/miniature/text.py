"""The text encoder: a `CLIPTextModel`, 256 wide, pre-trained contrastively against the judge's view of the pictures, then frozen."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from .judge_net import FEATURES
from .language import tell
from .optim import Optimisers
from .stage import Rows, Stage, autocast, pick_device
from .world import Scene

WIDTH = 256
LENGTH = 77
TOKEN_WIDTH = 128


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
    """Text encoder and an image head over the judge's features, with a common space; cosine similarity is the miniature's
    CLIPScore.

    The image side is locked but for its head (LiT, Zhai et al. 2022, https://arxiv.org/abs/2111.07991): what a picture
    shows is known already, and all of the time goes to learning what words mean.
    """

    def __init__(self, text: CLIPTextModel):
        super().__init__()
        self.text = text
        self.text_projection = nn.Linear(WIDTH, WIDTH, bias=False)
        self.token_projection = nn.Linear(WIDTH, TOKEN_WIDTH, bias=False)
        self.patch_projection = nn.Sequential(
            nn.Conv2d(FEATURES, WIDTH, 1), nn.SiLU(), nn.Conv2d(WIDTH, TOKEN_WIDTH, 1, bias=False)
        )
        self.image_projection = nn.Sequential(
            nn.Conv2d(FEATURES, 192, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(192 * 16, WIDTH, bias=False),
        )
        self.log_scale = nn.Parameter(torch.tensor(2.66))
        self.log_token_scale = nn.Parameter(torch.tensor(3.0))

    def embed_text(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids [B, L] to unit vectors [B, 256]."""
        return self._embed_text(ids)[0]

    def _embed_text(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Unit vectors of whole texts [B, 256] and of their tokens [B, L, 128]."""
        out = self.text(input_ids=ids)
        tokens = self.token_projection(out.last_hidden_state)
        return (
            F.normalize(self.text_projection(out.pooler_output).float(), dim=-1),
            F.normalize(tokens.float(), dim=-1),
        )

    def embed_image(self, features: torch.Tensor) -> torch.Tensor:
        """The judge's features [B, 128, 8, 8] to unit vectors [B, 256]."""
        return F.normalize(self.image_projection(features).float(), dim=-1)

    def scores(self, ids: list[torch.Tensor], features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits [N, M] of N texts, in parts of equal length each, against M pictures: by the whole, and token by token.

        Token by token every word is compared with the place of the picture that it fits best (FILIP, Yao et al. 2022,
        https://arxiv.org/abs/2111.07783). The denoiser reads the states of single tokens, and a loss on the whole text
        alone leaves "cat" and "elephant" 0.98 alike.
        """
        image = self.embed_image(features)
        patches = F.normalize(self.patch_projection(features).float(), dim=1).flatten(2)
        places = patches.transpose(0, 1).flatten(1)
        whole, single = [], []
        for part in ids:
            text, tokens = self._embed_text(part)
            whole.append(text @ image.T)
            near = (tokens.flatten(0, 1) @ places).unflatten(1, (len(features), -1)).max(-1).values
            # The first end token belongs to the text, what follows is padding; the start token knows nothing.
            counts = _text_mask(part, self.text.config.eos_token_id)[..., None]
            single.append((near.unflatten(0, part.shape) * counts).sum(1) / counts.sum(1))
        return (
            torch.cat(whole) * self.log_scale.exp().clamp(max=100),
            torch.cat(single) * self.log_token_scale.exp().clamp(max=100),
        )


def save_pair(clip: Clip, folder: Path) -> None:
    """Write what makes a pair of text encoder and judge, without those: fp16 safetensors."""
    folder.mkdir(parents=True, exist_ok=True)
    heads = {k: v.half().contiguous() for k, v in clip.state_dict().items() if not k.startswith("text.")}
    save_file(heads, folder / "model.safetensors")


def load_pair(folder: Path, encoder: CLIPTextModel) -> Clip:
    """The pair that `save_pair` wrote, around the text encoder that it was trained with."""
    clip = Clip(encoder)
    missing, unknown = clip.load_state_dict(
        {k: v.float() for k, v in load_file(folder / "model.safetensors").items()}, strict=False
    )
    if unknown or any(not k.startswith("text.") for k in missing):
        raise ValueError(f"{folder / 'model.safetensors'} holds other layers than this version's; export it again")
    return clip.eval().requires_grad_(False)


def _text_mask(ids: torch.Tensor, end: int) -> torch.Tensor:
    """1 for the words of a text and its first end token, 0 for the start and the padding; [B, L]."""
    ended = (ids == end).cumsum(1)
    mask = ((ended == 0) | ((ended == 1) & (ids == end))).float()
    mask[:, 0] = 0
    return mask


def _alike(scenes: list[Scene]) -> list[np.ndarray]:
    """The scenes' indices in groups of the same place and first action, so that things, tints and counts tell them apart."""
    groups: dict[tuple[str, str | None], list[int]] = {}
    for index, scene in enumerate(scenes):
        groups.setdefault((scene.place, scene.groups[0].action), []).append(index)
    return [np.array(rows) for rows in groups.values()]


def train(
    features: np.ndarray,
    scenes: list[Scene],
    tokenizer: CLIPTokenizer,
    folder: Path,
    steps: int,
    batch: int = 128,
    seed: int = 0,
    device: str = "auto",
    language: str = "second",
) -> Clip:
    """Contrastive training (InfoNCE both ways, whole texts and token by token) on keyword prompts and narratives told in
    `language`, half and half; `features` [N, 128, 8, 8] are the judge's of each picture. In every other batch all scenes
    have place and action in common: among random ones the thing hardly ever decides.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    model = Clip(build_encoder(tokenizer)).to(where)
    optim = Optimisers(model, steps, muon_lr=0.01, adam_lr=1e-3, adam_only=("embedding", "projection"))
    groups: dict[str, int] = {}
    names = np.array([groups.setdefault(s.keywords, len(groups)) for s in scenes])
    alike, half, rows = _alike(scenes), batch // 2, Rows(features, where)

    def encoded(texts: list[str]) -> torch.Tensor:
        return tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt").input_ids.to(
            where
        )

    def loss_fn(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        chance = np.random.default_rng((seed, step))
        rng = random.Random(f"{seed}/{step}")
        pick = chance.choice(rng.choice(alike), batch) if step % 2 else chance.integers(0, len(scenes), batch)
        ids = [
            encoded([scenes[i].keywords for i in pick[:half]]),
            encoded([tell(language, scenes[i], rng) for i in pick[half:]]),
        ]
        seen = rows[pick].float()
        with autocast(where):
            whole, single = model.scores(ids, seen)
        # Two pictures of the same scene are no negatives of each other.
        same = torch.from_numpy(names[pick][:, None] == names[pick][None]).to(where)
        others = same & ~torch.eye(batch, dtype=torch.bool, device=where)
        target = torch.arange(batch, device=where)
        loss = torch.zeros((), device=where)
        parts: dict[str, float] = {}
        for name, logits in (("whole", whole), ("tokens", single)):
            masked = logits.float().masked_fill(others, -1e4)
            loss = loss + (F.cross_entropy(masked, target) + F.cross_entropy(masked.T, target)) / 2
            right = (masked.argmax(1) == target).float()
            parts |= {f"{name}_keywords": right[:half].mean().item(), f"{name}_told": right[half:].mean().item()}
        return loss, parts

    Stage("text", folder, model, optim, steps, loss_fn, ema_decay=0.99).run()
    return model.eval().requires_grad_(False)


@torch.no_grad()
def hidden_states(
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    texts: list[str],
    device: torch.device | None = None,
    batch: int = 128,
    length: int = LENGTH,
) -> torch.Tensor:
    """The last hidden states [N, 77, 256] that diffusers' `encode_prompt` gives for `texts`, fp16 on the CPU; the first
    `length` of the 77 if that is less, which do not depend on the others.
    """
    where = device or next(encoder.parameters()).device
    out = []
    for start in range(0, len(texts), batch):
        ids = tokenizer(
            texts[start : start + batch], padding="max_length", truncation=True, max_length=length, return_tensors="pt"
        ).input_ids
        out.append(encoder(input_ids=ids.to(where))[0].float().cpu())
    return torch.cat(out).half()
