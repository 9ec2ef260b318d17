"""The training's pictures: drawn, as latents of the autoencoder, and the decoders that make pictures of latents."""

from __future__ import annotations

import copy
from functools import cached_property

import numpy as np
from diffusers import AutoencoderKL

from vignette.errors import ConfigError

from . import adversary, data, vae
from .stage import halfway
from .train_basis import Basis
from .world import Scene


class Pictures(Basis):
    """The scenes, their pictures in every style, and the autoencoder with each style's decoder."""

    def _pictures(self, style: str) -> np.ndarray:
        """The rendered pictures of `style`."""
        number = self.styles.index(style)
        return self.dataset[0][number * self.recipe.scenes : (number + 1) * self.recipe.scenes]

    @cached_property
    def dataset(self) -> tuple[np.ndarray, list[Scene]]:
        """Rendered pictures of all styles, and the scene of each."""
        data.build(self.work / "data", self.recipe.scenes, self.recipe.seed, world=self.recipe.world)
        pictures, scenes = data.load(self.work / "data")
        if scenes != self.scenes * len(self.styles):
            raise ConfigError(f"{self.work / 'data'} holds pictures of other scenes; name another folder.")
        return pictures, scenes

    @cached_property
    def scenes(self) -> list[Scene]:
        """The scenes, once each."""
        return [data.scene_at(i, self.recipe.seed, self.recipe.world) for i in range(self.recipe.scenes)]

    @cached_property
    def vae(self) -> AutoencoderKL:
        """The trained autoencoder, whose encoder makes the latents."""
        if not (self.work / "vae" / "config.json").exists():
            model = self._started(AutoencoderKL, self.styles[0], "vae")
            if model is None or self.new_latents:
                model = vae.train(
                    self.dataset[0],
                    self.work,
                    self.recipe.vae_steps,
                    self.recipe.batch(8),
                    device=self.device,
                    start=model,
                    compiled=self.compiled,
                )
            model.cpu().save_pretrained(self.work / "vae")
        return AutoencoderKL.from_pretrained(self.work / "vae").requires_grad_(False)

    @cached_property
    def decoders(self) -> dict[str, AutoencoderKL]:
        """The autoencoder with a decoder for each style, trained further: half the work a step, and no latents change."""
        return {style: self._decoder(style) for style in self.styles}

    def _decoder(self, style: str) -> AutoencoderKL:
        folder = self.work / f"decoder-{style}"
        start = self.vae if self.new_latents else self._started(AutoencoderKL, style, "vae") or self.vae
        if self._kept("decoder", style):
            return start.requires_grad_(False)
        if not (folder / "config.json").exists():
            vae.train(
                self._pictures(style),
                folder,
                self.recipe.decoder_steps,
                self.recipe.batch(8),
                seed=self.recipe.seed + 1,
                device=self.device,
                start=copy.deepcopy(start),
                decoder_only=True,
                compiled=self.compiled,
            ).cpu().save_pretrained(folder)
        return AutoencoderKL.from_pretrained(folder).requires_grad_(False)

    @cached_property
    def polished(self) -> dict[str, AutoencoderKL]:
        """The autoencoder with each style's decoder held against a critic too: what is exported. A decoder that goes on ends
        half-way between before and after: the latents that it knows from pictures are not those that a denoiser draws.
        """
        return {style: self._polished(style) for style in self.styles}

    def _polished(self, style: str) -> AutoencoderKL:
        folder = self.work / f"polish-{style}"
        if self._kept("polish", style):
            return self.decoders[style]
        if not (folder / "config.json").exists():
            model = adversary.polish(
                copy.deepcopy(self.decoders[style]),
                self._pictures(style),
                folder,
                self.recipe.polish_steps,
                self.recipe.batch(8),
                seed=self.recipe.seed + 2,
                device=self.device,
            ).cpu()
            if self._has(style) and not self.new_latents:
                model = halfway(self._started(AutoencoderKL, style, "vae"), model)
            model.save_pretrained(folder)
        return AutoencoderKL.from_pretrained(folder).requires_grad_(False)

    def latents(self, style: str) -> np.ndarray:
        """The scaled latents of all pictures of `style`."""
        path = self.work / f"latents-{style}.npy"
        return vae.encode_all(self.vae, self._pictures(style), path, device=self.device)
