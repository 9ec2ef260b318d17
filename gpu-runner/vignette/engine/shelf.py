"""Which models' weights are on the device when not all of them fit: the least recently used give way to who is wanted."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable

import torch

from vignette.engine.loader import LoadedModel, reload_model
from vignette.engine.observer import Observer
from vignette.errors import ConfigError

log = logging.getLogger(__name__)

# How long others may keep a model away before they are no longer given new work.
PATIENCE_SECONDS = 10.0


class ModelGone(Exception):
    """A model whose weights were dropped cannot be loaded again; its id is the message."""


class Shelf:
    """
    Models that give way lose their weights, not their place: what describes them stays. They are read from their files
    again, which the operating system mostly still has in memory.

    Args:
        budget: Most bytes of weights on the device, or None where all fit.
        clock: Seconds on a clock that does not jump.
    """

    def __init__(
        self,
        budget: int | None,
        observer: Observer,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._budget = budget
        self._observer = observer
        self._patience = patience
        self._clock = clock
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

    def provide(self, wanted: Iterable[LoadedModel], busy: Collection[str]) -> None:
        """
        Brings in a model that has work in line, if those that are `busy` leave room; when it has been kept away for too
        long, they finish what they have begun and then give way.

        Raises:
            ModelGone: It cannot be loaded again.
        """
        if self._budget is None:
            return
        away = [model for model in wanted if model.spec.id not in self._present]
        self._wanted_since = {m.spec.id: self._wanted_since.get(m.spec.id, self._clock()) for m in away}
        if not away:
            self._closing.clear()
            return
        first = min(away, key=lambda model: self._wanted_since[model.spec.id])
        if self._make_room(first.weight_bytes, busy):
            self._bring(first)
        elif self._clock() - self._wanted_since[first.spec.id] >= self._patience:
            self._closing = self._in_the_way(first.weight_bytes)

    def _bring(self, model: LoadedModel) -> None:
        began = time.perf_counter()
        try:
            with torch.inference_mode(False):  # as they were loaded first
                reload_model(model)
        except Exception as error:
            raise ModelGone(model.spec.id) from error
        seconds = time.perf_counter() - began
        self._present[model.spec.id] = model
        self._closing.clear()
        self._observer.model_loaded(model.spec.id, seconds)
        log.info("Model %s is back after %.1f s.", model.spec.id, seconds)

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
