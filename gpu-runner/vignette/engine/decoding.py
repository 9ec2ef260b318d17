"""The last stage of drawing: from finished latents to pictures on the host, without making the device wait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vignette.engine.loader import LoadedModel
from vignette.engine.stages import Row
from vignette.engine.transfers import Moment, to_host
from vignette.errors import DrawingFailed


@dataclass
class Decoding:
    """
    Pictures on their way to the host: `pixels` is `[N, H, W, 3]` uint8, `valid` `[N]` bool; neither may be read before `end`
    is past.
    """

    pixels: torch.Tensor
    valid: torch.Tensor
    begin: Moment
    end: Moment

    def pictures(self) -> list[np.ndarray | DrawingFailed]:
        """Waits for them; each is `[H, W, 3]` uint8, or the reason why there is none."""
        self.end.wait()
        pairs = zip(self.pixels.numpy(), self.valid.tolist(), strict=True)
        return [picture if fine else _invalid() for picture, fine in pairs]

    @property
    def seconds(self) -> float:
        return self.begin.seconds_until(self.end)


def decode(model: LoadedModel, rows: list[Row]) -> Decoding:
    """Begins to turn finished latents into pictures; on CUDA nothing here waits for the device."""
    latents = torch.cat([row.latents for row in rows])
    began = Moment(model.device)
    images = model.vae.decode((latents / model.vae.config.scaling_factor).to(model.vae.dtype), return_dict=False)[0]
    valid = torch.isfinite(images).flatten(1).all(dim=1)
    pixels = ((images.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    return Decoding(to_host(pixels), to_host(valid), began, Moment(model.device))


def _invalid() -> DrawingFailed:
    return DrawingFailed(
        "invalid_picture",
        "The model produced invalid numbers (NaN) instead of a picture; another seed, a lower guidance_scale"
        " or more steps usually help.",
    )
