"""Pictures while training: per narrative a row of base/narrative, adapter/narrative and base/keywords, one seed a row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vignette.sur import SURAdapter
from vignette.training.caches import Caches, noise_like
from vignette.training.data import Example
from vignette.training.frozen import EncodedPrompts


class Samples:
    """Draws with DDIM from the caches. Base pictures never change, so they are drawn once."""

    def __init__(self, caches: Caches, examples: Sequence[Example], steps: int, guidance: float) -> None:
        self.caches, self.examples, self.steps, self.guidance = caches, list(examples), steps, guidance
        self._base: list[np.ndarray] | None = None

    @property
    def caption(self) -> str:
        """What stands where in the grid."""
        rows = "\n\n".join(f"{i}. {e.narrative} | {e.keywords}" for i, e in enumerate(self.examples, 1))
        return f"Columns: base/narrative, adapter/narrative, base/keywords.\n\n{rows}"

    def grid(self, adapter: SURAdapter) -> np.ndarray:
        """The whole grid, `[rows * H, 3 * W, 3]` uint8."""
        narratives = self.caches.prompts([e.narrative for e in self.examples])
        if self._base is None:
            keywords = self.caches.prompts([e.keywords for e in self.examples])
            self._base = [self._draw(narratives), self._draw(keywords)]
        columns = [self._base[0], self._draw(narratives, adapter), self._base[1]]
        return np.concatenate([np.concatenate(list(column)) for column in columns], axis=1)

    @torch.no_grad()
    def _draw(self, prompts: EncodedPrompts, adapter: SURAdapter | None = None) -> np.ndarray:
        frozen, device = self.caches.frozen, self.caches.frozen.device
        # A scheduler of its own: set_timesteps would disturb the one that training reads.
        scheduler = type(frozen.part("scheduler")).from_config(frozen.part("scheduler").config)
        scheduler.set_timesteps(self.steps)
        side = self.caches.resolution // frozen.pixels_per_latent
        shape = torch.empty(frozen.part("unet").config.in_channels, side, side)
        # The empty prompt as it is served: zeros stay zeros, and an adapter that was trained on it reads it too.
        empty = self.caches.prompts([""])
        if frozen.zeros_for_empty and empty.pooled is not None:
            empty = EncodedPrompts(torch.zeros_like(empty.states), empty.mask, torch.zeros_like(empty.pooled))
        elif adapter is not None and adapter.config["adapt_negative"]:
            empty = self._adapted(empty, adapter)
        if adapter is not None:
            prompts = self._adapted(prompts, adapter)
        pictures = []
        for row in range(len(self.examples)):
            states = torch.cat([empty.states, prompts.states[row : row + 1]]).to(device)
            pooled = None
            if prompts.pooled is not None and empty.pooled is not None:
                pooled = torch.cat([empty.pooled, prompts.pooled[row : row + 1]]).to(device)
            latents = noise_like(shape, row)[None].to(device) * scheduler.init_noise_sigma
            for t in scheduler.timesteps:
                both = scheduler.scale_model_input(torch.cat([latents, latents]), t)
                base, cond = frozen.predict(both, t.to(device), states, pooled).chunk(2)
                latents = scheduler.step(base + self.guidance * (cond - base), t, latents).prev_sample
            pictures.append(self._decode(latents))
        return np.stack(pictures)

    def _adapted(self, prompts: EncodedPrompts, adapter: SURAdapter) -> EncodedPrompts:
        device, training = self.caches.frozen.device, adapter.training
        states = adapter.eval()(prompts.states.to(device), prompts.mask.to(device)).float().cpu()
        adapter.train(training)
        return EncodedPrompts(states, prompts.mask, prompts.pooled)

    def _decode(self, latents: torch.Tensor) -> np.ndarray:
        vae = self.caches.frozen.part("vae")
        image = vae.decode(latents / vae.config.scaling_factor + (vae.config.shift_factor or 0)).sample[0]
        pixels = (image.float() / 2 + 0.5).nan_to_num().clamp(0, 1) * 255
        return pixels.round().byte().permute(1, 2, 0).cpu().numpy()
