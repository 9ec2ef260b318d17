"""The engine's loop body, without thread or clock: take work in, draw one step for one batch, hand pictures out."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from vignette.engine import stages
from vignette.engine.beginning import Beginning
from vignette.engine.decodings import Decodings
from vignette.engine.events import Event, Failed, Finished, Preview
from vignette.engine.faults import TOO_LARGE, is_fatal, is_out_of_memory
from vignette.engine.loader import LoadedModel
from vignette.engine.memory import MemoryProfile, free_unused
from vignette.engine.observer import Observer
from vignette.engine.pace import Pace
from vignette.engine.planner import Planner
from vignette.engine.request import GenerationRequest
from vignette.engine.shelf import ModelGone, Shelf
from vignette.engine.speed import bucket_within
from vignette.engine.stages import Row
from vignette.engine.unet_calls import UNetCalls
from vignette.engine.work import BatchKey, Work
from vignette.errors import DrawingFailed

log = logging.getLogger(__name__)

# Requests that are begun with between two UNet calls. Each costs an encoding of its prompts, its noise and its scheduler:
# on a CPU half of what a guided step of one picture does.
BEGINNINGS = 16
# While others wait for their next step.
BEGINNINGS_IN_COMPANY = 2


class EngineCore:
    """
    Draws requests on one device, batched by step. Not thread-safe: one thread calls every method.

    Args:
        models: Loaded models by id.
        emit: Receives `(request id, event)`; the last event of every submitted and not canceled request is
            `Finished` or `Failed`.
        memory: What earlier calls took; by default nothing is known and every model's `max_batch` is the cap.
        pace: Which sizes of calls are worth it; without one, a call takes all that there are up to the cap.
    """

    def __init__(
        self,
        models: dict[str, LoadedModel],
        emit: Callable[[str, Event], None],
        memory: MemoryProfile | None = None,
        observer: Observer | None = None,
        shelf: Shelf | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._models = models
        self._emit = emit
        self._works: dict[str, Work] = {}
        self._planner: Planner[BatchKey, Work, Row] = Planner(
            self._cap,
            lambda key, cap: self._unet.size(key, cap),
            lambda row: len(row.timesteps) - row.position,
            lambda row: row.request.urgency,
            lambda key: (key.model, key.loras),
        )
        self._memory = memory or MemoryProfile(None)
        self._observer = observer or Observer()
        self._shelf = shelf or Shelf(None, self._observer)
        self._unet = UNetCalls(models, self._memory, pace, self._observer, self._fail_row, self._wanted)
        self._beginnings: deque[tuple[Work, Beginning]] = deque()
        self._decodings = Decodings(models, self._memory, self._observer, self._hand_out)

    def submit(self, request: GenerationRequest) -> None:
        work = Work(request)
        self._works[request.id] = work
        if self._guarded(work, partial(self._count_chunks, work)):
            self._planner.add(work.key, work, request.urgency, request.caller)

    def cancel(self, request_id: str) -> None:
        """Drops a request; nothing more is emitted for it. Unknown and finished ids are ignored."""
        work = self._works.get(request_id)
        if work is not None:
            self._drop(work)

    @property
    def idle(self) -> bool:
        return not self._works

    @property
    def rests(self) -> bool:
        """Whether there is nothing to do until something is submitted, or a model that is waited for has been read."""
        if self._shelf.has_news:
            return False
        return self.idle or (self._shelf.is_reading and self._stands and self._decodings.idle)

    @torch.inference_mode()
    def tick(self) -> None:
        """Admits and prepares work, draws one step for the batch whose turn it is, decodes what is ready."""
        self._provide_models()
        for work in self._planner.admit(
            lambda work: work.request.num_images,
            lambda key: self._shelf.is_open(key.model),
            BEGINNINGS_IN_COMPANY if self._planner.active_keys() else BEGINNINGS,
        ):
            self._guarded(work, partial(self._prepare, work))
        self._tell_begun()
        turn = self._planner.next_batch()
        if turn is not None:
            self._draw(*turn)
        self._decodings.advance(alone=self._stands)
        self._unet.settle()

    @property
    def _stands(self) -> bool:
        """Whether no row waits for a step, and none can begin."""
        open_lines = (key for key in self._planner.waiting_keys() if self._shelf.is_open(key.model))
        return not self._planner.active_keys() and next(open_lines, None) is None

    def _provide_models(self) -> None:
        busy = {key.model for key in self._planner.active_keys()} | self._decodings.models
        wanted = [self._models[id] for id in dict.fromkeys(key.model for key in self._planner.waiting_keys())]
        try:
            self._shelf.provide(wanted, busy)
        except ModelGone as gone:
            log.exception("The model %s cannot be loaded again.", gone)
            free_unused()
            message = f"The model {gone} could not be loaded; the runner's log has the reason."
            for work in [work for work in self._works.values() if work.request.model == str(gone)]:
                self._fail(work, "model_unavailable", message)

    def _cap(self, key: BatchKey) -> int:
        """A deterministic picture is drawn alone, so that no other decides which kernels compute it."""
        if key.deterministic:
            return 1
        spec = self._models[key.model].spec
        # Between two buckets, a call would be padded to more than fits.
        return bucket_within(self._memory.cap(self._unet.shape(key), spec.max_batch, spec.buckets), spec.buckets)

    def _count_chunks(self, work: Work) -> None:
        work.prompt_chunks = stages.prompt_chunks(self._models[work.request.model], work.request)

    def _prepare(self, work: Work) -> None:
        model = self._models[work.request.model]
        work.rows, prompt = stages.prepare(model, work.request)
        self._beginnings.append((work, Beginning.of(model, work.rows[0], prompt.unread)))
        self._planner.activate(work.key, work.rows)

    def _tell_begun(self, needed: Work | None = None) -> None:
        """What the device has said by now of the requests that it has begun with; of `needed` in any case."""
        while self._beginnings:
            work, beginning = self._beginnings[0]
            if not (beginning.end.is_past or (needed is not None and not needed.started)):
                return
            self._beginnings.popleft()
            if self._works.get(work.request.id) is work:
                self._guarded(work, partial(self._start, work, beginning))
            if work is needed:
                return

    def _start(self, work: Work, beginning: Beginning) -> None:
        self._emit(work.request.id, beginning.started())
        work.started = True

    def _draw(self, key: BatchKey, rows: list[Row]) -> None:
        self._shelf.used(key.model)
        predicted = self._unet.predict(key, rows)
        touched: dict[str, Work] = {}
        for row, prediction in predicted:
            work = self._works.get(row.request.id)
            if work is None:  # another of its pictures failed in this very step
                continue
            work.calls += 1
            work.rows_in_calls += len(predicted)
            if self._guarded(work, partial(self._advance, work, row, prediction)) and self._wanted(row):
                touched[row.request.id] = work
                self._move_on(key, work, row)
        for id, work in touched.items():
            progress = work.progress()
            if id in self._works and work.started and progress.step != work.last_step:
                work.last_step = progress.step
                self._emit(id, progress)

    def _move_on(self, key: BatchKey, work: Work, row: Row) -> None:
        """To the line of those that have the same kind of step before them."""
        if row.done:
            self._planner.retire(key, [row])
            self._decodings.add(work, row)
            return
        if row.guidance_is_over:
            row.drop_guidance()
        if work.key_of(row) != key:
            self._planner.retire(key, [row])
            self._planner.activate(work.key_of(row), [row])

    def _advance(self, work: Work, row: Row, prediction: torch.Tensor) -> None:
        every, step = work.request.preview_every, row.position + 1
        if every is not None and step % every == 0 and step < len(row.timesteps):
            picture = stages.preview(self._models[work.request.model], row, prediction)
            self._tell_begun(work)
            if not self._wanted(row):  # its prompt's representation turned out to be invalid
                return
            self._emit(work.request.id, Preview(row.index, step, picture))
        stages.step(row, prediction)

    def _hand_out(self, work: Work, row: Row, picture: np.ndarray | DrawingFailed) -> None:
        if self._works.get(work.request.id) is not work:  # canceled, and perhaps asked for again
            return
        self._tell_begun(work)
        if not self._wanted(row):
            return
        if isinstance(picture, DrawingFailed):
            self._fail(work, picture.code, picture.message)
            return
        work.pictures[row.index] = picture
        if len(work.pictures) == work.request.num_images:
            self._drop(work)
            pictures = [work.pictures[index] for index in range(work.request.num_images)]
            self._emit(work.request.id, Finished(pictures, work.rows_in_calls / max(1, work.calls)))

    def _guarded(self, work: Work, action: Callable[[], None]) -> bool:
        """Runs what concerns one request only; an exception ends that request and no other."""
        try:
            action()
        except DrawingFailed as failure:
            self._fail(work, failure.code, failure.message)
        except Exception as error:
            if is_fatal(error):
                raise
            if is_out_of_memory(error):
                self._observer.ran_out_of_memory()
                self._fail(work, "out_of_memory", TOO_LARGE)
            else:
                self._fail_after_exception(work)
        else:
            return True
        return False

    def _fail_row(self, row: Row, failure: DrawingFailed | None) -> None:
        work = self._works[row.request.id]
        if failure is None:
            self._fail_after_exception(work)
        else:
            self._fail(work, failure.code, failure.message)

    def _wanted(self, row: Row) -> bool:
        return row.request.id in self._works

    def _fail_after_exception(self, work: Work) -> None:
        log.exception("Drawing %s failed.", work.request.id, extra={"prediction": work.request.id})
        self._fail(work, "internal", "Something broke while this was drawn; the runner's log has the reason.")

    def _fail(self, work: Work, code: str, message: str) -> None:
        self._drop(work)
        self._emit(work.request.id, Failed(code, message))

    def _drop(self, work: Work) -> None:
        self._works.pop(work.request.id, None)
        self._planner.remove_waiting(work.key, work)
        for key in work.keys:
            self._planner.retire(key, work.rows)
        self._decodings.remove(work)
