"""Finished latents on their way to pictures: decoded in chunks, copied while the device goes on, handed out one by one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping

import numpy as np

from vignette.engine import decoding
from vignette.engine.decoding import Decoding
from vignette.engine.faults import TOO_LARGE, is_fatal, is_out_of_memory
from vignette.engine.kernels import reproducibly
from vignette.engine.loader import LoadedModel
from vignette.engine.memory import MemoryProfile, free_unused
from vignette.engine.observer import Observer
from vignette.engine.stages import Row
from vignette.engine.work import BatchKey, Work
from vignette.errors import DrawingFailed

log = logging.getLogger(__name__)

CHUNK = 8
# While others wait for their next step: at 512 pixels a picture's decoding takes as long as 1.6 guided steps.
CHUNK_IN_COMPANY = 2
Pair = tuple[Work, Row]


class Decodings:
    """
    Args:
        deliver: Gets every picture, `[H, W, 3]` uint8, or the reason why there is none.
    """

    def __init__(
        self,
        models: Mapping[str, LoadedModel],
        memory: MemoryProfile,
        observer: Observer,
        deliver: Callable[[Work, Row, np.ndarray | DrawingFailed], None],
    ) -> None:
        self._models = models
        self._memory = memory
        self._observer = observer
        self._deliver = deliver
        self._line: list[Pair] = []
        self._under_way: list[tuple[list[Pair], Decoding]] = []

    def add(self, work: Work, row: Row) -> None:
        self._line.append((work, row))

    def remove(self, work: Work) -> None:
        """Takes back what is not being decoded yet."""
        self._line = [pair for pair in self._line if pair[0] is not work]

    @property
    def idle(self) -> bool:
        return not self._line and not self._under_way

    @property
    def models(self) -> set[str]:
        """Those that are still needed."""
        return {work.key.model for work, _ in self._line}

    def shape(self, key: BatchKey) -> Hashable:
        """What decides how much memory a picture's decoding takes."""
        return ("decoding", self._models[key.model].version, key.height, key.width)

    def advance(self, alone: bool) -> None:
        """Begins the next chunk, and hands out what is there; `alone` means that no step waits for the device."""
        if self._line:
            key = self._line[0][0].key
            chunk = [pair for pair in self._line if pair[0].key == key][: self._chunk(key, alone)]
            self._line = [pair for pair in self._line if pair not in chunk]
            self._begin(key, chunk)
        # While the device copies pictures, the next steps are already in its queue.
        while self._under_way and ((alone and not self._line) or self._under_way[0][1].end.is_past):
            pairs, decoded = self._under_way.pop(0)
            pictures = decoded.pictures()
            self._observer.decoded(len(pictures), decoded.seconds)
            for (work, row), picture in zip(pairs, pictures, strict=True):
                self._deliver(work, row, picture)

    def _chunk(self, key: BatchKey, alone: bool) -> int:
        if key.deterministic:
            return 1
        return self._memory.cap(self.shape(key), CHUNK if alone else CHUNK_IN_COMPANY)

    def _begin(self, key: BatchKey, pairs: list[Pair]) -> None:
        model = self._models[key.model]
        try:
            with self._memory.measured(model.device, self.shape(key), len(pairs)), reproducibly(model, key):
                self._under_way.append((pairs, decoding.decode(model, [row for _, row in pairs])))
            return
        except Exception as error:
            if is_fatal(error):
                raise
            about = {"prediction": pairs[0][0].request.id} if len(pairs) == 1 else None
            log.warning("Decoding %d pictures of %s failed.", len(pairs), key, exc_info=True, extra=about)
            if out_of_memory := is_out_of_memory(error):
                self._observer.ran_out_of_memory()
                self._memory.fail(self.shape(key), len(pairs))
        free_unused()
        if len(pairs) > 1:
            for pair in pairs:
                self._begin(key, [pair])
            return
        reason = DrawingFailed("internal", "The picture could not be decoded; the runner's log has the reason.")
        self._deliver(*pairs[0], DrawingFailed("out_of_memory", TOO_LARGE) if out_of_memory else reason)
