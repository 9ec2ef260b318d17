"""A style's frozen model with its judge: what studies ask for states, pictures and marks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image

from vignette.engine.catalogue import ModelSpec
from vignette.engine.loader import fingerprint
from vignette.evaluation.instruments.miniature import MiniatureJudge

from .judge_net import ATTRIBUTES, marks
from .kept import kept
from .quality import Look, brisque
from .sample import GUIDANCE, STEPS, sample
from .text import hidden_states
from .vae import to_tensor
from .world import Scene


class Frozen:
    """The model of `style` in the folder `weights`, fp32, and the judge there. With `work` its pictures are kept in that folder."""

    def __init__(self, weights: Path, style: str, work: Path | None = None):
        folder = weights / style
        self.pipe = StableDiffusionPipeline.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=torch.float32
        )
        self.instrument = MiniatureJudge(weights / "judge")
        self.world = self.instrument.judge.world
        self.identity = fingerprint(ModelSpec(id="miniature", path=folder))
        self._kept = work and work / "drawn"

    def states(self, texts: list[str]) -> torch.Tensor:
        """The text encoder's last hidden states [N, 77, 256]."""
        return hidden_states(self.pipe.text_encoder, self.pipe.tokenizer, texts).float()

    def draw(
        self, context: torch.Tensor, seeds: list[int], steps: int = STEPS, guidance: float = GUIDANCE
    ) -> np.ndarray:
        """A picture from each of the states [N, 77, 256] and its seed, uint8 [N, 128, 128, 3]."""
        pipe = self.pipe

        def make() -> np.ndarray:
            return sample(pipe.unet, pipe.vae, pipe.scheduler, context, self.states([""]), seeds, steps, guidance)

        return kept(self._kept, context.numpy(), (self.identity, seeds, steps, guidance), make)

    @torch.no_grad()
    def reconstruct(self, pictures: np.ndarray) -> np.ndarray:
        """What the autoencoder makes of uint8 `pictures` [N, 128, 128, 3]."""
        vae = self.pipe.vae

        def make() -> np.ndarray:
            decoded = [vae.decode(vae.encode(x).latent_dist.mean).sample for x in to_tensor(pictures).split(32)]
            again = torch.cat(decoded).clamp(-1, 1).add(1).mul(127.5).round().byte()
            return again.permute(0, 2, 3, 1).numpy()

        return kept(self._kept, pictures, (self.identity, "reconstructed"), make)

    @torch.no_grad()
    def redraw(self, pictures: np.ndarray, context: torch.Tensor, seeds: list[int], strength: float) -> np.ndarray:
        """
        What the denoiser makes of uint8 `pictures` [N, 128, 128, 3] under the states [N, 77, 256] of what they show, in the last
        `strength` of its steps: pictures of its kind whose scenes are known.
        """
        pipe = self.pipe

        def make() -> np.ndarray:
            latents = pipe.vae.encode(to_tensor(pictures)).latent_dist.mean * pipe.vae.config.scaling_factor
            parts = (pipe.unet, pipe.vae, pipe.scheduler, context, self.states([""]), seeds)
            return sample(*parts, of=latents, strength=strength)

        source = np.concatenate([pictures.ravel(), context.numpy().ravel()])
        return kept(self._kept, source, (self.identity, seeds, "redrawn", strength), make)

    def score(self, pictures: np.ndarray, scenes: list[Scene]) -> np.ndarray:
        """Marks per picture, [N, 5], in the order of `ATTRIBUTES`."""
        verdicts = self.instrument.judge.read(pictures)
        return np.array([[marks(s, v)[a] for a in ATTRIBUTES] for s, v in zip(scenes, verdicts, strict=True)])

    def features(self, pictures: np.ndarray) -> np.ndarray:
        """The judge's features of each picture, as the KID compares them."""
        return self.instrument.features([Image.fromarray(picture) for picture in pictures])

    def look(self, pictures: np.ndarray) -> Look:
        """What the quality of uint8 `pictures` [N, 128, 128, 3] is measured by."""
        return Look(self.features(pictures), brisque(pictures))
