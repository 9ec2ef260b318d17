"""The engine's loop body, without thread or clock: take work in, draw one step for one batch, hand pictures out."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch

from vignette.engine import decoding, stages
from vignette.engine.decoding import Decoding
from vignette.engine.events import Event, Failed, Finished, Preview, Started
from vignette.engine.faults import is_fatal, is_out_of_memory
from vignette.engine.loader import LoadedModel
from vignette.engine.memory import MemoryProfile
from vignette.engine.observer import Observer, UNetCall
from vignette.engine.planner import Planner
from vignette.engine.request import GenerationRequest
from vignette.engine.shelf import ModelGone, Shelf
from vignette.engine.speed import bucket_of
from vignette.engine.stages import Conditioning, Row
from vignette.engine.work import BatchKey, Work
from vignette.errors import DrawingFailed

log = logging.getLogger(__name__)

DECODE_CHUNK = 8
# While others wait for their next step: at 512 pixels a picture's decoding takes as long as 1.6 guided steps.
DECODE_CHUNK_IN_COMPANY = 2
TOO_LARGE = "This picture does not fit into the device's memory; ask for a smaller width and height or fewer images."


class EngineCore:
    """
    Draws requests on one device, batched by step. Not thread-safe: one thread calls every method.

    Args:
        models: Loaded models by id.
        emit: Receives `(request id, event)`; the last event of every submitted and not canceled request is
            `Finished` or `Failed`.
        memory: What earlier calls took; by default nothing is known and every model's `max_batch` is the cap.
    """

    def __init__(
        self,
        models: dict[str, LoadedModel],
        emit: Callable[[str, Event], None],
        memory: MemoryProfile | None = None,
        observer: Observer | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self._models = models
        self._emit = emit
        self._works: dict[str, Work] = {}
        self._planner: Planner[BatchKey, Work, Row] = Planner(self._cap)
        self._memory = memory or MemoryProfile(None)
        self._observer = observer or Observer()
        self._shelf = shelf or Shelf(None, self._observer)
        self._conditioning = Conditioning()
        self._undecoded: list[tuple[Work, Row]] = []
        self._decodings: list[tuple[list[tuple[Work, Row]], Decoding]] = []

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

    @torch.inference_mode()
    def tick(self) -> None:
        """Admits and prepares work, draws one step for the batch whose turn it is, decodes what is ready."""
        self._provide_models()
        for work in self._planner.admit(
            lambda work: work.request.num_images, lambda key: self._shelf.is_open(key.model)
        ):
            self._guarded(work, partial(self._prepare, work))
        turn = self._planner.next_batch()
        if turn is not None:
            self._draw(*turn)
        if self._undecoded:
            self._decode()
        self._hand_out()

    def _provide_models(self) -> None:
        busy = {key.model for key in self._planner.active_keys()} | {work.key.model for work, _ in self._undecoded}
        wanted = [self._models[id] for id in dict.fromkeys(key.model for key in self._planner.waiting_keys())]
        try:
            self._shelf.provide(wanted, busy)
        except ModelGone as gone:
            log.exception("The model %s cannot be loaded again.", gone)
            self._free_memory()
            message = f"The model {gone} could not be loaded; the runner's log has the reason."
            for work in [work for work in self._works.values() if work.request.model == str(gone)]:
                self._fail(work, "model_unavailable", message)

    def _cap(self, key: BatchKey) -> int:
        """A deterministic picture is drawn alone, so that no other decides which kernels compute it."""
        return 1 if key.deterministic else self._memory.cap(self._shape(key), self._models[key.model].spec.max_batch)

    def _shape(self, key: BatchKey) -> Hashable:
        version = self._models[key.model].version
        return (version, key.height, key.width, key.guided, key.chunks, key.shallow)

    def _count_chunks(self, work: Work) -> None:
        work.prompt_chunks = stages.prompt_chunks(self._models[work.request.model], work.request)

    def _prepare(self, work: Work) -> None:
        model = self._models[work.request.model]
        work.rows, prompt = stages.prepare(model, work.request)
        understood = model.reader.read(work.rows[0].cond, work.request.prompt) if model.reader else None
        self._emit(work.request.id, Started(prompt.unread, understood))
        self._planner.activate(work.key, work.rows)

    def _draw(self, key: BatchKey, rows: list[Row]) -> None:
        self._shelf.used(key.model)
        predicted = self._predict(key, rows)
        touched: dict[str, Work] = {}
        for row, prediction in predicted:
            work = self._works.get(row.request.id)
            if work is None:  # another of its pictures failed in this very step
                continue
            work.calls += 1
            work.rows_in_calls += len(predicted)
            self._guarded(work, partial(self._preview, work, row, prediction))
            if self._guarded(work, partial(stages.step, row, prediction)):
                touched[row.request.id] = work
                self._move_on(key, work, row)
        for id, work in touched.items():
            progress = work.progress()
            if id in self._works and progress.step != work.last_step:
                work.last_step = progress.step
                self._emit(id, progress)

    def _move_on(self, key: BatchKey, work: Work, row: Row) -> None:
        """To the line of those that have the same kind of step before them."""
        if row.done:
            self._planner.retire(key, [row])
            self._undecoded.append((work, row))
            return
        if row.guidance_is_over:
            row.drop_guidance()
        if work.key_of(row) != key:
            self._planner.retire(key, [row])
            self._planner.activate(work.key_of(row), [row])

    def _preview(self, work: Work, row: Row, prediction: torch.Tensor) -> None:
        every, step = work.request.preview_every, row.position + 1
        if every is not None and step % every == 0 and step < len(row.timesteps):
            picture = stages.preview(self._models[work.request.model], row, prediction)
            self._emit(work.request.id, Preview(row.index, step, picture))

    def _predict(self, key: BatchKey, rows: list[Row]) -> list[tuple[Row, torch.Tensor]]:
        """The rows that could be predicted, each with its `[1, C, h, w]`; the others' requests have failed."""
        try:
            return self._call_unet(key, rows)
        except Exception as error:
            # The retry stands outside: in here the traceback keeps this attempt's tensors alive.
            out_of_memory = is_out_of_memory(error)
            if is_fatal(error):
                raise
            if not out_of_memory and len(rows) == 1:
                self._fail_after_exception(self._works[rows[0].request.id])
                return []
        if out_of_memory:
            return self._predict_fewer(key, rows)
        log.warning("A batch of %d failed; drawing its pictures one by one finds the offender.", len(rows))
        return [pair for row in rows if row.request.id in self._works for pair in self._predict(key, [row])]

    def _predict_fewer(self, key: BatchKey, rows: list[Row]) -> list[tuple[Row, torch.Tensor]]:
        self._observer.ran_out_of_memory()
        cap = self._planner.halve(key, len(rows))
        self._memory.fail(self._shape(key), len(rows))
        log.warning("Out of memory with %d pictures of %s; at most %d from now on.", len(rows), key, cap)
        self._free_memory()
        try:
            return self._call_unet(key, rows[:cap])
        except Exception as error:
            if is_fatal(error):
                raise
            if not is_out_of_memory(error):
                return []  # the next tick finds the offender
        self._free_memory()
        self._fail(self._works[rows[cap - 1].request.id], "out_of_memory", TOO_LARGE)
        return []

    def _call_unet(self, key: BatchKey, rows: list[Row]) -> list[tuple[Row, torch.Tensor]]:
        model = self._models[key.model]
        if self._conditioning.rows != tuple(rows) or self._conditioning.guided != rows[0].guided:
            size = len(rows) if key.deterministic else bucket_of(len(rows), model.spec.buckets)
            self._conditioning = Conditioning.of(tuple(rows), size)
        began = time.perf_counter()
        with self._measured(model, self._shape(key), len(rows) + self._conditioning.padding), _reproducibly(model, key):
            predicted = stages.denoise(model, self._conditioning)
        seconds, request = time.perf_counter() - began, rows[0].request
        padding = self._conditioning.padding
        self._observer.unet_called(UNetCall(request.model, request.width, request.height, len(rows), padding, seconds))
        return list(zip(rows, predicted.split(1), strict=True))

    @contextmanager
    def _measured(self, model: LoadedModel, shape: Hashable, pictures: int) -> Iterator[None]:
        """Remembers what `pictures` of `shape` take of a GPU's memory."""
        if model.device.type != "cuda":
            yield
            return
        torch.cuda.reset_peak_memory_stats(model.device)
        yield
        self._memory.record(shape, pictures, torch.cuda.max_memory_allocated(model.device))

    def _decode(self) -> None:
        key = self._undecoded[0][0].key
        chunk = [pair for pair in self._undecoded if pair[0].key == key][: self._decode_chunk(key)]
        self._undecoded = [pair for pair in self._undecoded if pair not in chunk]
        self._begin_decoding(key, chunk)

    def _hand_out(self) -> None:
        """What is decoded by now; while the device copies pictures, the next steps are already in its queue."""
        nothing_else = self._planner.idle and not self._undecoded
        while self._decodings and (nothing_else or self._decodings[0][1].end.is_past):
            pairs, decoded = self._decodings.pop(0)
            pictures = decoded.pictures()
            self._observer.decoded(len(pictures), decoded.seconds)
            for (work, row), picture in zip(pairs, pictures, strict=True):
                self._hand_out_one(work, row, picture)

    def _hand_out_one(self, work: Work, row: Row, picture: np.ndarray | DrawingFailed) -> None:
        if self._works.get(work.request.id) is not work:  # canceled, and perhaps asked for again
            return
        if isinstance(picture, DrawingFailed):
            self._fail(work, picture.code, picture.message)
            return
        work.pictures[row.index] = picture
        if len(work.pictures) == work.request.num_images:
            self._drop(work)
            pictures = [work.pictures[index] for index in range(work.request.num_images)]
            self._emit(work.request.id, Finished(pictures, work.rows_in_calls / max(1, work.calls)))

    def _decode_chunk(self, key: BatchKey) -> int:
        if key.deterministic:
            return 1
        most = DECODE_CHUNK if self._planner.idle else DECODE_CHUNK_IN_COMPANY
        return self._memory.cap(self._decoding_shape(key), most)

    def _decoding_shape(self, key: BatchKey) -> Hashable:
        return ("decoding", self._models[key.model].version, key.height, key.width)

    def _begin_decoding(self, key: BatchKey, pairs: list[tuple[Work, Row]]) -> None:
        try:
            model = self._models[key.model]
            with self._measured(model, self._decoding_shape(key), len(pairs)), _reproducibly(model, key):
                self._decodings.append((pairs, decoding.decode(model, [row for _, row in pairs])))
            return
        except Exception as error:
            if is_fatal(error):
                raise
            log.warning("Decoding %d pictures of %s failed.", len(pairs), key, exc_info=True)
            if out_of_memory := is_out_of_memory(error):
                self._observer.ran_out_of_memory()
                self._memory.fail(self._decoding_shape(key), len(pairs))
        self._free_memory()
        if len(pairs) > 1:
            for pair in pairs:
                self._begin_decoding(key, [pair])
            return
        reason = DrawingFailed("internal", "The picture could not be decoded; the runner's log has the reason.")
        self._hand_out_one(*pairs[0], DrawingFailed("out_of_memory", TOO_LARGE) if out_of_memory else reason)

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

    def _fail_after_exception(self, work: Work) -> None:
        log.exception("Drawing %s failed.", work.request.id)
        self._fail(work, "internal", "Something broke while this was drawn; the runner's log has the reason.")

    def _fail(self, work: Work, code: str, message: str) -> None:
        self._drop(work)
        self._emit(work.request.id, Failed(code, message))

    def _drop(self, work: Work) -> None:
        self._works.pop(work.request.id, None)
        self._planner.remove_waiting(work.key, work)
        for key in work.keys:
            self._planner.retire(key, work.rows)
        self._undecoded = [pair for pair in self._undecoded if pair[0] is not work]

    def _free_memory(self) -> None:
        self._conditioning = Conditioning()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


@contextmanager
def _reproducibly(model: LoadedModel, key: BatchKey) -> Iterator[None]:
    """On CUDA the fastest kernels are not all reproducible; those that are have to be asked for."""
    if not key.deterministic or model.device.type != "cuda":
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
