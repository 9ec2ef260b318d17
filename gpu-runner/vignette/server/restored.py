"""What an earlier process left to be drawn, handed over in an order that finds what it died of."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Iterable

from vignette.server.prediction import Prediction


class Restored:
    """
    What a process died over comes first and one by one, so that what it died of fails without those that were drawn beside
    it; then all others at once. New requests do not wait for it: they have one beginning more to spare.

    Args:
        draw: Hands one to the engine, or ends it.
    """

    def __init__(self, predictions: Iterable[Prediction], draw: Callable[[Prediction], None]) -> None:
        self.waiting = sorted(predictions, key=lambda prediction: not prediction.suspect)
        self._draw = draw
        self._alone: Prediction | None = None

    def hand_over(self) -> None:
        """Begins, once the engine is ready."""
        while self.waiting and self._alone is None:
            prediction = self.waiting.pop(0)
            if not prediction.terminal:
                self._alone = prediction if prediction.suspect else None
                self._draw(prediction)

    def ended(self, prediction: Prediction) -> None:
        """To be told of every end."""
        if prediction is self._alone:
            self._alone = None
            # Whoever has ended it, with a cancel say, has nothing to do with the next.
            asyncio.get_running_loop().call_soon(self.hand_over, context=contextvars.Context())
