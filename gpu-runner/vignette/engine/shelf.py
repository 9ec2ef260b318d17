"""Which models' weights are on the device when not all of them fit: the least recently used give way to who is wanted."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable

from vignette.engine.faults import is_fatal
from vignette.engine.loader import LoadedModel
from vignette.engine.observer import Observer
from vignette.engine.reading_back import ReadingBack, Start, in_a_thread
from vignette.errors import ConfigError

log = logging.getLogger(__name__)

# How long others may keep a model away before they are no longer given new work.
PATIENCE_SECONDS = 10.0


class ModelGone(Exception):
    """A model whose weights were dropped cannot be loaded again; its id is the message."""


class Shelf:
    """
    Models that give way lose their weights, not their place: what describes them stays. Their weights are read again by
    another thread, one model's at a time; all that is decided and changed here is so by the one that calls.

    Args:
        budget: Most bytes of weights on the device, or None where all fit.
        clock: Seconds on a clock that does not jump.
        start: How a reading is begun.
        news: Called on the thread that has read, when `provide` should be asked again.
    """

    def __init__(
        self,
        budget: int | None,
        observer: Observer,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        start: Start = in_a_thread,
        news: Callable[[], None] = lambda: None,
    ) -> None:
        self._budget = budget
        self._observer = observer
        self._patience = patience
        self._clock = clock
        self._start = start
        self._news = news
        self._reading: ReadingBack | None = None
        # Those with their weights, the least recently used first.
        self._present: OrderedDict[str, LoadedModel] = OrderedDict()
        self._wanted_since: dict[str, float] = {}
        self._closing: set[str] = set()

    def add(self, model: LoadedModel) -> None:
        """A model that was just loaded; with all that belongs to it, it may be larger than was expected."""
        self.expect(model.spec.id, model.weight_bytes)
        self._present[model.spec.id] = model

    def expect(self, model_id: str, needed: int) -> None:
        """
        Before `needed` bytes of a model's weights come to the device, others give way to them.

        Raises:
            ConfigError: They alone are more than the budget.
        """
        if self._budget is not None and needed > self._budget:
            raise ConfigError(
                f"The model {model_id} has {needed >> 20} MiB of weights, but memory.budget_mib allows"
                f" {self._budget >> 20}; raise it, or take the model out."
            )
        self._make_room(needed, busy=())

    def is_open(self, model_id: str) -> bool:
        """Whether new work for this model can begin now."""
        return self._budget is None or (model_id in self._present and model_id not in self._closing)

    def used(self, model_id: str) -> None:
        if self._budget is not None:
            self._present.move_to_end(model_id)

    @property
    def is_reading(self) -> bool:
        return self._reading is not None and not self._reading.is_over

    @property
    def has_news(self) -> bool:
        """Whether something has been read that `provide` has not dealt with."""
        return self._reading is not None and self._reading.is_over

    def provide(self, wanted: Iterable[LoadedModel], busy: Collection[str]) -> None:
        """
        Has a model that has work in line read, and brings it in if those that are `busy` leave room; when it has been kept
        away for too long, they finish what they have begun and then give way. Nobody does before it is read.

        Raises:
            ModelGone: It cannot be loaded again.
        """
        if self._budget is None:
            return
        self._closing = set()
        away = [model for model in wanted if model.spec.id not in self._present]
        self._wanted_since = {m.spec.id: self._wanted_since.get(m.spec.id, self._clock()) for m in away}
        first = min(away, key=lambda model: self._wanted_since[model.spec.id], default=None)
        reading = self._read(first)
        if first is None or reading is None:
            return
        if reading.failed or self._make_room(first.weight_bytes, busy):
            self._bring(reading)
        elif self._clock() - self._wanted_since[first.spec.id] >= self._patience:
            self._closing = self._in_the_way(first.weight_bytes)

    def _read(self, model: LoadedModel | None) -> ReadingBack | None:
        """The reading of `model` once it is over. One that nobody waits for any more is let end first."""
        if self._reading is not None and self._reading.model is not model and self._reading.is_over:
            self._reading = None
        if self._reading is None and model is not None:
            self._reading = ReadingBack(model, self._start, self._news)
        reading = self._reading
        return reading if reading is not None and reading.model is model and reading.is_over else None

    def _bring(self, reading: ReadingBack) -> None:
        model, self._reading = reading.model, None
        began = time.perf_counter()
        try:
            model.put_weights(reading.weights())
        except Exception as error:
            if is_fatal(error):
                raise
            raise ModelGone(model.spec.id) from error
        seconds = time.perf_counter() - began
        self._present[model.spec.id] = model
        self._observer.model_loaded(model.spec.id, reading.seconds + seconds)
        log.info("Model %s is back: read in %.1f s, copied in %.1f s.", model.spec.id, reading.seconds, seconds)

    def _make_room(self, needed: int, busy: Collection[str]) -> bool:
        """Whether `needed` bytes find room; idle models give way only if that is enough."""
        if self._budget is None:
            return True
        leaving = self._in_the_way(needed, but=busy)
        left = sum(model.weight_bytes for id, model in self._present.items() if id not in leaving)
        if left + needed > self._budget:
            return False
        for id in leaving:
            self._present.pop(id).drop_weights()
            log.info("Model %s gives way.", id)
        return True

    def _in_the_way(self, needed: int, but: Collection[str] = ()) -> set[str]:
        """The least recently used models that have to go for `needed` bytes, or all that may, if they are not enough."""
        leaving: set[str] = set()
        left = sum(model.weight_bytes for model in self._present.values())
        for id, model in self._present.items():
            if self._budget is None or left + needed <= self._budget:
                break
            if id not in but:
                leaving.add(id)
                left -= model.weight_bytes
        return leaving
