"""The contrastive pair that the text encoder is pre-trained in: texts against the judge's view of pictures."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import CLIPTextModel

from .judge_net import FEATURES

TOKEN_WIDTH = 128


class Contrast(NamedTuple):
    """What a batch of `B` pairs taught: the loss, which texts found their pictures, by the whole and token by token (1 or 0, [B]
    each), and the hidden states [b, L, D] of the first part of the texts.
    """

    loss: torch.Tensor
    whole: torch.Tensor
    tokens: torch.Tensor
    states: torch.Tensor


class Clip(nn.Module):
    """Text encoder and an image head over the judge's features, with a common space; cosine similarity is the miniature's
    CLIPScore.

    The image side is locked but for its head (LiT, Zhai et al. 2022, https://arxiv.org/abs/2111.07991): what a picture
    shows is known already, and all of the time goes to learning what words mean.
    """

    def __init__(self, text: CLIPTextModel):
        super().__init__()
        self.text = text
        width = text.config.hidden_size
        self.text_projection = nn.Linear(width, width, bias=False)
        self.token_projection = nn.Linear(width, TOKEN_WIDTH, bias=False)
        self.patch_projection = nn.Sequential(
            nn.Conv2d(FEATURES, width, 1), nn.SiLU(), nn.Conv2d(width, TOKEN_WIDTH, 1, bias=False)
        )
        self.image_projection = nn.Sequential(
            nn.Conv2d(FEATURES, 192, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(192 * 16, width, bias=False),
        )
        self.log_scale = nn.Parameter(torch.tensor(2.66))
        self.log_token_scale = nn.Parameter(torch.tensor(3.0))

    def embed_text(self, ids: torch.Tensor) -> torch.Tensor:
        """Token ids [B, L] to unit vectors [B, 256]."""
        return self._embed_text(ids)[0]

    def _embed_text(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Unit vectors of whole texts [B, 256] and of their tokens [B, L, 128], and the tokens' hidden states [B, L, 256]."""
        out = self.text(input_ids=ids)
        tokens = self.token_projection(out.last_hidden_state)
        return (
            F.normalize(self.text_projection(out.pooler_output).float(), dim=-1),
            F.normalize(tokens.float(), dim=-1),
            out.last_hidden_state,
        )

    def embed_image(self, features: torch.Tensor) -> torch.Tensor:
        """The judge's features [B, 128, 8, 8] to unit vectors [B, 256]."""
        return F.normalize(self.image_projection(features).float(), dim=-1)

    def scores(
        self, ids: list[torch.Tensor], features: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Logits [N, M] of N texts, in parts of equal length each, against M pictures: by the whole, and token by token.
        Beside those the hidden states of the first part.

        Token by token every word is compared with the place of the picture that it fits best (FILIP, Yao et al. 2022,
        https://arxiv.org/abs/2111.07783). The denoiser reads the states of single tokens, and a loss on the whole text
        alone leaves "cat" and "elephant" 0.98 alike.
        """
        image = self.embed_image(features)
        patches = F.normalize(self.patch_projection(features).float(), dim=1).flatten(2)
        places = patches.transpose(0, 1).flatten(1)
        whole, single, states = [], [], []
        for part in ids:
            text, tokens, inner = self._embed_text(part)
            states.append(inner)
            whole.append(text @ image.T)
            near = (tokens.flatten(0, 1) @ places).unflatten(1, (len(features), -1)).max(-1).values
            # The first end token belongs to the text, what follows is padding; the start token knows nothing.
            counts = text_mask(part, self.text.config.eos_token_id)[..., None]
            single.append((near.unflatten(0, part.shape) * counts).sum(1) / counts.sum(1))
        return (
            torch.cat(whole) * self.log_scale.exp().clamp(max=100),
            torch.cat(single) * self.log_token_scale.exp().clamp(max=100),
            states[0],
        )

    def contrast(self, ids: list[torch.Tensor], features: torch.Tensor, scenes: np.ndarray) -> Contrast:
        """InfoNCE both ways of texts and the pictures that they are of, by the whole and token by token. Two pictures of the
        same one of `scenes` [B] are no negatives of each other.
        """
        whole, single, states = self.scores(ids, features)
        target = torch.arange(len(scenes), device=features.device)
        same = torch.from_numpy(scenes[:, None] == scenes[None]).to(features.device)
        others = same & ~torch.eye(len(scenes), dtype=torch.bool, device=features.device)
        loss, found = torch.zeros((), device=features.device), []
        for logits in (whole, single):
            masked = logits.float().masked_fill(others, -1e4)
            loss = loss + (F.cross_entropy(masked, target) + F.cross_entropy(masked.T, target)) / 2
            found.append((masked.argmax(1) == target).float())
        return Contrast(loss, found[0], found[1], states)


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


def text_mask(ids: torch.Tensor, end: int) -> torch.Tensor:
    """1 for the words of a text and its first end token, 0 for the start and the padding; [B, L]."""
    ended = (ids == end).cumsum(1)
    mask = ((ended == 0) | ((ended == 1) & (ids == end))).float()
    mask[:, 0] = 0
    return mask


def shift(states: torch.Tensor, kept: torch.Tensor, ids: torch.Tensor, end: int) -> torch.Tensor:
    """How far hidden states [B, L, D] of texts `ids` [B, L] are from those `kept`: mean square error of all, plus that of the words."""
    error = (states.float() - kept.float()).square().mean(-1)
    return error.mean() + error[text_mask(ids, end).bool()].mean()
