"""The miniature's SUR-adapter: trained so that a narrative's representation does for the frozen UNet what the keyword prompt's does.

Two phases. First alignment alone: the adapted narrative's hidden states are pulled to the keyword prompt's, which costs
no UNet at all. Then the losses that reach the adapter through the frozen UNet are added: the denoising loss on the
scene's own latents, and the distance to the UNet's own prediction under the keyword prompt.
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor2_0
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import CLIPTextModel, CLIPTokenizer

from vignette.sur.adapter import SURAdapter

from .language import distract, tell, written
from .optim import Optimisers
from .stage import Rows, Stage, autocast, pick_device
from .text import LENGTH, WIDTH, hidden_states
from .unet import FastAttention, build_scheduler, noised, spread_timesteps
from .world import Scene

# Of the second language's narratives in the alignment; the rest comes from the grammar.
WRITTEN_SHARE = 0.4


def build() -> SURAdapter:
    """A fresh adapter, identity at step 0. Padding counts: the frozen UNet reads it too."""
    return SURAdapter(
        hidden_size=WIDTH, layout="sequence", num_layers=3, num_heads=8, mask_padding=False, max_length=LENGTH
    )


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
) -> SURAdapter:
    """Train on narrative / keyword / picture triples of the training world, from `start` if given; `embeddings` are the
    keyword prompts' [N, 77, 256], and narratives are told in `language`. `models` are the latents [N, 8, 16, 16] and the
    frozen denoiser of each style; they take turns, since all of them read the same text encoder.
    """
    where = pick_device(device)
    torch.manual_seed(seed)
    adapter = (start or build()).to(where).requires_grad_(True).train()
    for _, unet in models:
        unet.to(where).set_attn_processor(FastAttention())
    encoder = encoder.to(where)
    scheduler = build_scheduler()
    by_hand = WRITTEN_SHARE if language == "second" else 0.0
    prompts, pictures = Rows(embeddings, where), [Rows(latents, where) for latents, _ in models]

    def narratives(
        step: int, size: int, salt: str, by_hand: float = 0.0, cropped: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, np.ndarray]:
        """Source and target states, which positions hold the keyword prompt's words, and the scenes' rows; a share `by_hand`
        of the narratives are written ones, which mean other scenes than those of the rows.
        """
        pick = np.sort(np.random.default_rng((seed, step, len(salt))).integers(0, len(scenes), size))
        rng = random.Random(f"{salt}/{seed}/{step}")
        texts, prompts_of = [], {}
        for row, i in enumerate(pick):
            if rng.random() < by_hand:
                scene, text = written(rng)
                prompts_of[row] = scene.keywords
            else:
                # What the triples tell is wider than what the text encoder has heard: those words are the adapter's to learn.
                scene, text = scenes[i], tell(language, scenes[i], rng, vocabulary="rare")
            # Keyword prompts pass through unharmed: a tenth of the batch is its own target.
            texts.append(scene.keywords if rng.random() < 0.1 else distract(text, rng))
        words = [
            len(ids) for ids in tokenizer([prompts_of.get(r, scenes[i].keywords) for r, i in enumerate(pick)]).input_ids
        ]
        longest = max(*words, *(len(ids) for ids in tokenizer(texts).input_ids)) + 2 if cropped else LENGTH
        length = min(longest, LENGTH)
        target = prompts[pick][:, :length].float()
        with autocast(where):
            source = hidden_states(encoder, tokenizer, texts, where, size, length).float().to(where)
            if prompts_of:
                states = hidden_states(encoder, tokenizer, list(prompts_of.values()), where, size, length)
                target[torch.tensor(list(prompts_of))] = states.float().to(where)
        spoken = torch.arange(length)[None] < torch.tensor(words)[:, None]
        return source, target, spoken.to(where), pick

    def align(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        # Padding far behind the longest narrative is all the same; seeing it every fourth time is enough, and cheaper.
        source, target, spoken, _ = narratives(step, align_batch, "align", by_hand, cropped=step % 4 != 3)
        # On a CPU the fused kernel's way back takes four times as long in bfloat16 at these sizes (measured).
        plain = sdpa_kernel(SDPBackend.MATH) if where.type == "cpu" else nullcontext()
        with autocast(where), plain:
            adapted = adapter(source)
        error = (adapted.float() - target).square().mean(-1)
        # Most of the 77 positions are padding; those of the prompt's own words tell the things apart.
        return error.mean() + error[spoken].mean(), {"mse": error.mean().item(), "words": error[spoken].mean().item()}

    Stage(
        "align",
        folder,
        adapter,
        Optimisers(adapter, align_steps, muon_lr=0.02, adam_lr=1e-3, adam_only=("position",)),
        align_steps,
        align,
        ema_decay=0.99,
    ).run()
    adapter.requires_grad_(True)

    def through_unet(step: int) -> tuple[torch.Tensor, dict[str, float]]:
        source, target, _, pick = narratives(step, batch, "unet")
        turn = step % len(models)
        unet, z = models[turn][1], pictures[turn][pick].float()
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

    Stage(
        "adapter",
        folder,
        adapter,
        Optimisers(adapter, steps, muon_lr=0.004, adam_lr=3e-4, adam_only=("position",)),
        steps,
        through_unet,
        ema_decay=0.99,
    ).run()
    for _, unet in models:
        unet.set_attn_processor(AttnProcessor2_0())
    return adapter.eval().requires_grad_(False)
