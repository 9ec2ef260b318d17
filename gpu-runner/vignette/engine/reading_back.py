"""A model's weights on their way from its files to the host's memory, while the device goes on with other models."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

import torch

from vignette.engine.loader import LoadedModel
from vignette.engine.weights import Place

# Runs what it is given, sooner or later, wherever it likes.
Start = Callable[[Callable[[], None]], None]


def in_a_thread(run: Callable[[], None]) -> None:
    """One that does not outlive the process: a disk that hangs keeps nobody from ending."""
    threading.Thread(target=run, name="weights", daemon=True).start()


class ReadingBack:
    """
    Begins at once. The thread that reads has the model to read from and this to tell its result to, nothing else.

    Args:
        over: Called at the end, on the thread that reads.
    """

    def __init__(self, model: LoadedModel, start: Start, over: Callable[[], None]) -> None:
        self.model = model
        self.seconds = 0.0
        self._result: Future[Mapping[Place, torch.Tensor]] = Future()
        self._over = over
        start(self._run)

    @property
    def is_over(self) -> bool:
        return self._result.done()

    @property
    def failed(self) -> bool:
        """Once it is over."""
        return self._result.exception() is not None

    def weights(self) -> Mapping[Place, torch.Tensor]:
        """Once it is over. Raises whatever has kept them from being read."""
        return self._result.result()

    def _run(self) -> None:
        began = time.perf_counter()
        try:
            weights = self.model.read_weights()
        except Exception as error:
            self._result.set_exception(error)
        else:
            self.seconds = time.perf_counter() - began
            self._result.set_result(weights)
        self._over()
