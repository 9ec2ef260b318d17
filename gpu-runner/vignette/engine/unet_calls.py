"""One UNet call for the batch whose turn it is, with its memory measured, its failures traced and the device not outrun."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace

import torch

from vignette.engine import stages
from vignette.engine.faults import TOO_LARGE, is_fatal, is_out_of_memory
from vignette.engine.kernels import reproducibly
from vignette.engine.loader import LoadedModel
from vignette.engine.memory import MemoryProfile, free_unused
from vignette.engine.observer import Observer, UNetCall
from vignette.engine.pace import Pace
from vignette.engine.speed import bucket_of, bucket_within
from vignette.engine.stages import Conditioning, Row
from vignette.engine.transfers import Moment
from vignette.engine.work import BatchKey
from vignette.errors import DrawingFailed

log = logging.getLogger(__name__)

# Calls that the device may have before it. One keeps it busy; with more, who joins or cancels would wait for them all.
AHEAD = 1


class UNetCalls:
    """
    Args:
        fail: Ends the request of a row for a reason, or, without one, for the exception that is being handled.
        wanted: Whether the request of a row is still to be drawn.
    """

    def __init__(
        self,
        models: Mapping[str, LoadedModel],
        memory: MemoryProfile,
        pace: Pace | None,
        observer: Observer,
        fail: Callable[[Row, DrawingFailed | None], None],
        wanted: Callable[[Row], bool],
    ) -> None:
        self._models = models
        self._memory = memory
        self._pace = pace
        self._observer = observer
        self._fail = fail
        self._wanted = wanted
        self._conditioning = Conditioning()
        self._under_way: deque[tuple[Hashable, UNetCall, Moment, Moment]] = deque()

    def shape(self, key: BatchKey) -> Hashable:
        """What decides how much memory a picture takes."""
        version = self._models[key.model].version
        return (version, key.height, key.width, key.guided, key.chunks, key.shallow)

    def size(self, key: BatchKey, most: int) -> int:
        """How many pictures the next call had best have."""
        buckets = () if key.deterministic else self._models[key.model].spec.buckets
        return most if self._pace is None else self._pace.size(self.shape(key), most, buckets)

    def predict(self, key: BatchKey, rows: list[Row]) -> list[tuple[Row, torch.Tensor]]:
        """The rows that could be predicted, each with its `[1, C, h, w]`; the others' requests have failed."""
        try:
            return self._call(key, rows)
        except Exception as error:
            # The retry stands outside: in here the traceback keeps this attempt's tensors alive.
            out_of_memory = is_out_of_memory(error)
            if is_fatal(error):
                raise
            if not out_of_memory and len(rows) == 1:
                self._fail(rows[0], None)
                return []
        if out_of_memory:
            return self._predict_fewer(key, rows)
        log.warning("A batch of %d failed; drawing its pictures one by one finds the offender.", len(rows))
        return [pair for row in rows if self._wanted(row) for pair in self.predict(key, [row])]

    def settle(self) -> None:
        """Reports the calls that are over, and waits until no more than AHEAD are before the device."""
        while self._under_way:
            shape, call, begin, end = self._under_way[0]
            if len(self._under_way) > AHEAD:
                end.wait()
            elif not end.is_past:
                return
            self._under_way.popleft()
            seconds = begin.seconds_until(end)
            if self._pace is not None:
                self._pace.record(shape, call.pictures + call.padding, seconds)
            self._observer.unet_called(replace(call, seconds=seconds))

    def forget(self) -> None:
        """Gives back what is kept from call to call."""
        self._conditioning = Conditioning()
        free_unused()

    def _predict_fewer(self, key: BatchKey, rows: list[Row]) -> list[tuple[Row, torch.Tensor]]:
        self._observer.ran_out_of_memory()
        size = self._padded(key, len(rows))
        cap = bucket_within(self._memory.fail(self.shape(key), size), self._models[key.model].spec.buckets)
        fewer = rows[:cap]
        log.warning("Out of memory with %d pictures of %s; at most %d for a while.", size, key, cap)
        self.forget()
        try:
            return self._call(key, fewer)
        except Exception as error:
            if is_fatal(error):
                raise
            if not is_out_of_memory(error):
                return []  # the next tick finds the offender
        self.forget()
        self._fail(fewer[-1], DrawingFailed("out_of_memory", TOO_LARGE))
        return []

    def _padded(self, key: BatchKey, rows: int) -> int:
        return rows if key.deterministic else bucket_of(rows, self._models[key.model].spec.buckets)

    def _call(self, key: BatchKey, rows: list[Row]) -> list[tuple[Row, torch.Tensor]]:
        model = self._models[key.model]
        if self._conditioning.rows != tuple(rows) or self._conditioning.guided != rows[0].guided:
            self._conditioning = Conditioning.of(tuple(rows), self._padded(key, len(rows)))
        padding, request = self._conditioning.padding, rows[0].request
        # A merge is no part of what a call takes; the copies that it leaves are there for every later one.
        model.loras.use(key.loras, "unet")
        begin = Moment(model.device)
        with self._memory.measured(model.device, self.shape(key), len(rows) + padding), reproducibly(model, key):
            predicted = stages.denoise(model, self._conditioning)
        call = UNetCall(request.model, request.width, request.height, len(rows), padding, 0.0)
        self._under_way.append((self.shape(key), call, begin, Moment(model.device)))
        return list(zip(rows, predicted.split(1), strict=True))
