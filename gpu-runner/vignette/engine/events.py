"""What the engine tells about a request while it draws it. Each request ends with exactly one of the last two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vignette.reading.reader import Understood


@dataclass(frozen=True)
class Started:
    """
    The first stage is done. `unread` is the end of the prompt that did not fit into the text encoder, `understood` how
    the rest was read, where the model has a lexicon.
    """

    unread: str = ""
    understood: Understood | None = None


@dataclass(frozen=True)
class Progress:
    """`step` of `steps` denoising steps are done, the mean over the request's pictures."""

    step: int
    steps: int


@dataclass(frozen=True)
class Preview:
    """What picture `index` was on its way to after `step` steps, `[H/f, W/f, 3]` uint8, one pixel for each latent."""

    index: int
    step: int
    picture: np.ndarray


@dataclass(frozen=True)
class Finished:
    """Pictures in order, each `[H, W, 3]` uint8; `batch_mean` is the mean number of pictures per UNet call."""

    pictures: list[np.ndarray]
    batch_mean: float


@dataclass(frozen=True)
class Failed:
    """`code` is stable, `message` is a sentence for the request's author."""

    code: str
    message: str


Event = Started | Progress | Preview | Finished | Failed
