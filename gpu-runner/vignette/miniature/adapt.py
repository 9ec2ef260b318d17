"""The miniature's SUR-adapter: trained so that a narrative's representation does for the frozen UNet what the keyword prompt's does.

Two phases. First alignment alone: the adapted narrative's hidden states are pulled to the keyword prompt's, which costs
no UNet at all. Then the losses that reach the adapter through the frozen UNet are added: the denoising loss on the
scene's own latents, and the distance to the UNet's own prediction under the keyword prompt.
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.sur.adapter import SURAdapter
from vignette.sur.text_encoder import identify
from vignette.training.optim import Optimisers, linear, multiplies_bfloat16

from .language import distract, of_two_kinds, tell, written
from .stage import Rows, Stage, autocast, pick_device
from .text import LENGTH, WIDTH, hidden_states
from .unet import FastAttention, build_scheduler, noised, spread_timesteps
from .world import FIRST, Scene, World

# Of the second language's narratives in the alignment; the rest comes from the grammar.
WRITTEN_SHARE = 0.5
# Of the grammar's with two kinds: told in few words, either kind first.
IN_FEW_WORDS = 0.6
BLOCKS = 4
# On a CPU narratives of like length go through together: padding would be more than half of the work (measured: 2.3 times as fast).
CPU_ROWS = 12
# How often the alignment sees all 77 positions; what lies far behind the longest narrative is all the same.
WHOLE_EVERY = 8


def build(start: SURAdapter | None = None) -> SURAdapter:
    """An adapter that does what `start` does, or a fresh one, identity at step 0. Padding counts: the frozen UNet reads it too.

    What it has beyond the blocks of `start` adds nothing until it is trained.
    """
    adapter = SURAdapter(
        hidden_size=WIDTH, layout="sequence", num_layers=BLOCKS, num_heads=8, mask_padding=False, max_length=LENGTH
    )
    if start is not None:
        adapter.load_state_dict(start.state_dict(), strict=False)
        for block in adapter.encoder.blocks[len(start.encoder.blocks) :]:
            for layer in (block.to_out, block.mlp_out):
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)
    return adapter


class Triple(NamedTuple):
    """A scene's row, whether it is the narrative's, the keyword prompt and the narrative, and the tokens of both."""

    row: int
    known: bool
    keywords: str
    text: str
    words: int
    length: int


def train(
    models: list[tuple[np.ndarray, UNet2DConditionModel]],
    embeddings: np.ndarray,
    scenes: list[Scene],
    encoder: CLIPTextModel,
    tokenizer: CLIPTokenizer,
    folder: Path,
    align_steps: int,
    steps: int,
    batch: int = 48,
    align_batch: int = 128,
    seed: int = 0,
    device: str = "auto",
    start: SURAdapter | None = None,
    language: str = "second",
    rate: float = 1.0,
    world: World = FIRST,
) -> SURAdapter:
    """Train on narrative / keyword / picture triples of `world`, from `start` if given; `embeddings` are the
    keyword prompts' [N, 77, 256], and narratives are told in `language`. `models` are the latents [N, 8, 16, 16] and the
    frozen denoiser of each style; they take turns, since all of them read the same text encoder. With no `steps` through
    them the alignment is all, and they are not needed. `rate` multiplies the alignment's learning rates.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    adapter = build(start).to(where).requires_grad_(True).train()
    for _, unet in models:
        unet.to(where).set_attn_processor(FastAttention())
    encoder = encoder.to(where)
    adapter.register_to_config(text_encoder=identify([encoder]))
    scheduler = build_scheduler()
    by_hand = WRITTEN_SHARE if language == "second" else 0.0
    prompts, pictures = Rows(embeddings, where), [Rows(latents, where) for latents, _ in models]

    def triples(step: int, size: int, salt: str, by_hand: float = 0.0) -> list[Triple]:
        """Narratives of `size` scenes; a share `by_hand` of them are written ones, which mean other scenes than those of the rows."""
        pick = np.sort(np.random.default_rng((seed, step, len(salt))).integers(0, len(scenes), size))
        rng = random.Random(f"{salt}/{seed}/{step}")
        told = []
        for i in pick:
            known, scene = rng.random() >= by_hand, scenes[i]
            if not known:
                scene, text = written(rng, world)
            elif by_hand and len(scene.groups) > 1 and rng.random() < IN_FEW_WORDS:
                scene = replace(scene, groups=tuple(rng.sample(scene.groups, 2)))
                text, known = of_two_kinds(scene, rng, "wide"), False
            else:
                text = tell(language, scene, rng, vocabulary="wide")
            # Keyword prompts pass through unharmed: a tenth of the batch is its own target.
            text = scene.keywords if rng.random() < 0.1 else distract(text, rng)
            told.append(Triple(i, known, scene.keywords, text, *map(len, tokenizer([scene.keywords, text]).input_ids)))
        return told

    def states(told: list[Triple], length: int = LENGTH) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Source and target states, and which positions hold the keyword prompt's words."""
        target = prompts[np.array([t.row for t in told])][:, :length].float()
        with autocast(where):
            source = hidden_states(encoder, tokenizer, [t.text for t in told], where, len(told), length)
            new = [i for i, t in enumerate(told) if not t.known]
            if new:
                texts = [told[i].keywords for i in new]
                target[new] = hidden_states(encoder, tokenizer, texts, where, len(new), length).float().to(where)
        spoken = torch.arange(length)[None] < torch.tensor([t.words for t in told])[:, None]
        return source.float().to(where), target, spoken.to(where)

    def align(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        told = sorted(triples(step, align_batch, "align", by_hand), key=lambda t: t.length)
        rows = CPU_ROWS if where.type == "cpu" else len(told)
        loss, parts = torch.zeros((), device=where), {"mse": 0.0, "words": 0.0}
        for few in (told[i : i + rows] for i in range(0, len(told), rows)):
            longest = max(max(t.length, t.words) for t in few) + 2
            source, target, spoken = states(few, LENGTH if step % WHOLE_EVERY == 0 else min(longest, LENGTH))
            # On a CPU the fused kernel's way back takes four times as long in bfloat16 (measured), but not in fp32.
            slow = where.type == "cpu" and multiplies_bfloat16(where)
            plain = sdpa_kernel(SDPBackend.MATH) if slow else nullcontext()
            with autocast(where), plain:
                adapted = adapter(source)
            error = (adapted.float() - target).square().mean(-1)
            # Most of the 77 positions are padding; those of the prompt's own words tell the things apart.
            mse, words, share = error.mean(), error[spoken].mean(), len(few) / len(told)
            loss = loss + (mse + words) * share
            parts["mse"] += mse.item() * share
            parts["words"] += words.item() * share
        return loss, parts

    Stage(
        "align",
        folder,
        adapter,
        Optimisers(adapter, linear(align_steps, peak=rate), muon_lr=0.02, adam_lr=1e-3, adam_only=("position",)),
        align_steps,
        align,
        ema_decay=0.99,
    ).run()
    adapter.requires_grad_(True)

    def through_unet(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        told = triples(step, batch, "unet")
        source, target, _ = states(told)
        turn = step % len(models)
        unet, z = models[turn][1], pictures[turn][np.array([t.row for t in told])].float()
        t = spread_timesteps(batch).to(where)
        noisy, velocity, weight = noised(scheduler, z, t)
        with autocast(where):
            with torch.no_grad():
                wanted = unet(noisy, t, encoder_hidden_states=target).sample.float()
            adapted = adapter(source)
            got = unet(noisy, t, encoder_hidden_states=adapted).sample.float()
        denoise = (F.mse_loss(got, velocity, reduction="none").mean((1, 2, 3)) * weight).mean() / weight.mean()
        match = F.mse_loss(got, wanted)
        close = F.mse_loss(adapted.float(), target)
        return 0.2 * denoise + 4.0 * match + close, {
            "denoise": denoise.item(),
            "match": match.item(),
            "align": close.item(),
        }

    if not steps:
        return adapter.eval().requires_grad_(False)
    Stage(
        "adapter",
        folder,
        adapter,
        Optimisers(adapter, linear(steps), muon_lr=0.004, adam_lr=3e-4, adam_only=("position",)),
        steps,
        through_unet,
        ema_decay=0.99,
    ).run()
    for _, unet in models:
        unet.set_attn_processor(AttnProcessor2_0())
    return adapter.eval().requires_grad_(False)
