"""The text encoder: a `CLIPTextModel`, 256 wide, pre-trained contrastively against the judge's view of the pictures, then frozen."""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

from vignette.training.optim import Optimisers, linear

from .clip import Clip
from .language import tell
from .stage import Rows, Stage, autocast, pick_device
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


def place_and_action(scene: Scene) -> Hashable:
    """What scenes have in common that things, tints and counts tell apart."""
    return scene.place, scene.groups[0].action


def alike_by(key: Callable[[Scene], Hashable], scenes: Sequence[Scene]) -> dict[Hashable, np.ndarray]:
    """The scenes' indices in groups of equal `key`."""
    groups: dict[Hashable, list[int]] = {}
    for index, scene in enumerate(scenes):
        groups.setdefault(key(scene), []).append(index)
    return {value: np.array(rows) for value, rows in groups.items()}


def numbered(scenes: Iterable[Scene]) -> np.ndarray:
    """A number for each scene, equal where the keyword prompts are: those have each other's pictures too."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(scene.keywords, len(numbers)) for scene in scenes])


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
    known: Clip | None = None,
) -> Clip:
    """Contrastive training (InfoNCE both ways, whole texts and token by token) on keyword prompts and narratives told in
    `language`, half and half; `features` [N, 128, 8, 8] are the judge's of each picture. In every other batch all scenes
    have place and action in common: among random ones the thing hardly ever decides. Of a pair that is `known` only the
    image head learns: what texts mean stays as it was.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    model = (known or Clip(build_encoder(tokenizer))).to(where).train()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(known is None or name.startswith(("patch_projection", "image_projection")))
    optim = Optimisers(model, linear(steps), muon_lr=0.01, adam_lr=1e-3, adam_only=("embedding", "projection"))
    names = numbered(scenes)
    alike, half, rows = list(alike_by(place_and_action, scenes).values()), batch // 2, Rows(features, where)

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
            found = model.contrast(ids, seen, names[pick])
        parts: dict[str, float] = {}
        for name, right in (("whole", found.whole), ("tokens", found.tokens)):
            parts |= {f"{name}_keywords": right[:half].mean().item(), f"{name}_told": right[half:].mean().item()}
        return found.loss, parts

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
