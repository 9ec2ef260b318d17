"""What can be said of a request once its prompts are encoded, without the device having to be waited for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from vignette.engine.events import Started
from vignette.engine.loader import LoadedModel
from vignette.engine.stages import Row
from vignette.engine.text import check_finite
from vignette.engine.transfers import Moment, to_host


@dataclass
class Beginning:
    """
    On its way to the host: `valid` is a bool, `scores` are `[phrases]` of the lexicon or None; neither may be read before
    `end` is past.
    """

    model: LoadedModel
    prompt: str
    unread: str
    valid: torch.Tensor
    scores: torch.Tensor | None
    end: Moment

    @classmethod
    def of(cls, model: LoadedModel, row: Row, unread: str) -> Beginning:
        valid = torch.isfinite(row.cond).all()
        if row.uncond is not None:
            valid &= torch.isfinite(row.uncond).all()
        scores = None if model.reader is None else to_host(model.reader.score(row.cond))
        return cls(model, row.request.prompt, unread, to_host(valid), scores, Moment(model.device))

    def started(self) -> Started:
        """Waits for what is on its way. Raises DrawingFailed for hidden states that are NaN or infinite."""
        self.end.wait()
        check_finite(bool(self.valid))
        if self.model.reader is None or self.scores is None:
            return Started(self.unread)
        return Started(self.unread, self.model.reader.understand(self.scores.tolist(), self.prompt))
