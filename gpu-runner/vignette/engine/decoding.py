"""The last stage of drawing: from finished latents to pictures on the host, without making the device wait."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch

from vignette.engine.loader import LoadedModel
from vignette.engine.stages import Row
from vignette.errors import DrawingFailed


class Moment:
    """When the device came to this place in its work, which on CUDA is later than the host."""

    def __init__(self, device: torch.device) -> None:
        self._event = torch.cuda.Event(enable_timing=True) if device.type == "cuda" else None
        self._host = time.perf_counter()
        if self._event is not None:
            self._event.record(torch.cuda.current_stream(device))

    @property
    def is_past(self) -> bool:
        return self._event is None or self._event.query()

    def wait(self) -> None:
        if self._event is not None:
            self._event.synchronize()

    def seconds_until(self, end: Moment) -> float:
        """Both have to be past."""
        if self._event is None or end._event is None:
            return end._host - self._host
        return self._event.elapsed_time(end._event) / 1000


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
    return Decoding(_to_host(pixels), _to_host(valid), began, Moment(model.device))


def _to_host(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.device.type != "cuda":
        return tensor.cpu()
    return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(tensor, non_blocking=True)


def _invalid() -> DrawingFailed:
    return DrawingFailed(
        "invalid_picture",
        "The model produced invalid numbers (NaN) instead of a picture; another seed, a lower guidance_scale"
        " or more steps usually help.",
    )
