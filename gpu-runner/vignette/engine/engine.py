"""The engine as the asyncio side sees it: submit, follow the events, cancel. A thread of its own drives the core."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from enum import Enum
from pathlib import Path

import torch

from vignette.engine import schedulers
from vignette.engine.catalogue import Catalogue
from vignette.engine.core import EngineCore
from vignette.engine.events import Event, Failed, Finished
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.memory import MemoryProfile
from vignette.engine.observer import Observer
from vignette.engine.request import GenerationInput, GenerationRequest, resolve
from vignette.engine.shelf import Shelf
from vignette.engine.ticket import Ticket
from vignette.engine.warm_up import draw_two_steps
from vignette.errors import ConfigError, Unavailable

log = logging.getLogger(__name__)

# A request, and whether it is wanted (submit) or no longer (cancel).
Command = tuple[GenerationRequest, bool]


class State(str, Enum):
    """Where the engine stands; only READY takes work. BUSY is READY with as many requests as it holds."""

    STARTING = "starting"
    READY = "ready"
    BUSY = "busy"
    DRAINING = "draining"
    SETUP_FAILED = "setup_failed"
    DEFUNCT = "defunct"
    STOPPED = "stopped"


class Engine:
    """
    Owns the device through one thread; every public method belongs to the event loop that called `start`.

    Args:
        catalogue: The models to load.
        device: Where they run.
        max_queue: Most requests accepted and not finished.
        observer: Told of the device's work.
        memory_profile: File that keeps what each shape takes of a GPU's memory from one start to the next.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        device: torch.device,
        max_queue: int = 128,
        *,
        observer: Observer | None = None,
        memory_profile: Path | None = None,
    ) -> None:
        self._observer = observer or Observer()
        budget = catalogue.memory.budget_mib
        self._shelf = Shelf(None if budget is None else budget << 20, self._observer)
        self._memory_profile = memory_profile
        self.catalogue = catalogue
        self.device = device
        self.max_queue = max_queue
        self._state = State.STARTING
        self.setup_error: str | None = None
        self.models: dict[str, LoadedModel] = {}
        self._tickets: dict[str, Ticket] = {}
        self._settled = asyncio.Event()
        self._broken = asyncio.Event()
        self._changed = asyncio.Event()
        self._commands: list[Command] = []
        self._wake = threading.Condition()
        self._stopping = False
        # When the device's thread began what it is doing, on the monotonic clock; None while it waits for work.
        self._tick_began: float | None = None
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def state(self) -> State:
        busy = self._state is State.READY and self.unfinished >= self.max_queue
        return State.BUSY if busy else self._state

    @property
    def stuck_for(self) -> float:
        """Seconds since the device's thread began its present step; 0 while it waits for work."""
        began = self._tick_began
        return 0.0 if began is None else time.monotonic() - began

    def give_up(self, why: str) -> None:
        """The device is beyond help: every request ends as `runner_defunct`, and none is taken any more."""
        if self._state is State.DEFUNCT:
            return
        self.setup_error, self._state = why, State.DEFUNCT
        self._fail_all("runner_defunct", "The runner's device stopped working; ask again.")
        self._broken.set()
        self._settled.set()
        self._changed.set()

    async def settled(self) -> State:
        """Waits until setup has ended, READY or SETUP_FAILED."""
        await self._settled.wait()
        return self.state

    async def broken(self) -> None:
        """Waits until the device has stopped working; only a new process can help then."""
        await self._broken.wait()

    @property
    def unfinished(self) -> int:
        return len(self._tickets)

    def schedulers(self, model_id: str) -> tuple[str, ...]:
        return schedulers.supported(self.models[model_id].scheduler_config)

    def resolve(self, given: GenerationInput, id: str) -> GenerationRequest:
        """See [`~vignette.engine.request.resolve`]."""
        request = resolve(given, id=id, catalogue=self.catalogue, schedulers=self.schedulers)
        model = self.models[request.model]
        most = model.spec.limits.max_steps
        schedulers.check_steps(request.scheduler, model.scheduler_config, request.num_inference_steps, most)
        return request

    def check_available(self) -> None:
        """Raises Unavailable unless `submit` would accept a request now."""
        self.check_loaded()
        if self.state is State.BUSY:
            raise Unavailable(f"The runner has {self.unfinished} requests, as many as it holds.", 2, "busy")
        if self.state is not State.READY:
            state = self.state.value
            raise Unavailable(f"The runner takes no new work: it is {state}.", 10, state)

    def check_loaded(self) -> None:
        """Raises Unavailable while the models are unknown."""
        if self.state in (State.STARTING, State.SETUP_FAILED):
            raise Unavailable("The runner is still loading its models.", 5, "starting")

    def submit(self, request: GenerationRequest, *, restored: bool = False) -> Ticket:
        """
        Takes a request; one that was accepted by an earlier process finds a place in a full queue too.

        Raises:
            Unavailable: Nothing is taken now.
        """
        if not (restored and self.state is State.BUSY):
            self.check_available()
        ticket = Ticket(request, self._cancel)
        self._tickets[request.id] = ticket
        self._send(request, wanted=True)
        return ticket

    async def drain(self, seconds: float) -> None:
        """Takes nothing new, waits up to `seconds` for what is under way, then fails the rest with `shutting_down`."""
        if self._state in (State.STARTING, State.READY):
            self._state = State.DRAINING
        try:
            await asyncio.wait_for(self._empty(), timeout=seconds)
        except asyncio.TimeoutError:
            for ticket in list(self._tickets.values()):
                self._send(ticket.request, wanted=False)
            self._fail_all("shutting_down", "The runner was shut down before this was done; ask again.")

    async def stop(self, patience: float = 60.0) -> bool:
        """
        Ends the thread after its current step.

        Returns:
            Whether it has ended within `patience` seconds. A device that hangs never lets it end.
        """
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread.ident is not None:
            await asyncio.to_thread(self._thread.join, patience)
        if self._state not in (State.SETUP_FAILED, State.DEFUNCT):
            self._state = State.STOPPED
        return not self._thread.is_alive()

    async def _empty(self) -> None:
        while self._tickets:
            self._changed.clear()
            await self._changed.wait()

    def _cancel(self, request: GenerationRequest) -> None:
        if self._tickets.pop(request.id, None) is not None:
            self._changed.set()
            self._send(request, wanted=False)

    def _fail_all(self, code: str, message: str) -> None:
        for id in list(self._tickets):
            self._deliver(id, Failed(code, message))

    def _send(self, request: GenerationRequest, wanted: bool) -> None:
        with self._wake:
            self._commands.append((request, wanted))
            self._wake.notify()

    def _deliver(self, id: str, event: Event) -> None:
        ticket = self._tickets.get(id)
        if ticket is None:  # canceled meanwhile
            return
        if isinstance(event, Finished | Failed):
            del self._tickets[id]
            self._changed.set()
        ticket.deliver(event)

    # Everything below runs on the device's thread.

    def _run(self) -> None:
        try:
            self._set_up()
        except ConfigError as error:
            self._report(State.SETUP_FAILED, str(error))
            return
        except Exception as error:
            log.exception("Loading the models failed.")
            self._report(State.SETUP_FAILED, f"The models could not be loaded: {type(error).__name__}: {error}")
            return
        capacity = torch.cuda.get_device_properties(self.device).total_memory if self.device.type == "cuda" else None
        memory = MemoryProfile(capacity, self._memory_profile)
        core = EngineCore(self.models, self._emit, memory, self._observer, self._shelf)
        self._report(State.READY, None)
        try:
            self._drive(core)
        except Exception:
            log.exception("The device's thread has died.")
            self._report(State.DEFUNCT, "The device's thread has died; the log has the reason.")

    def _drive(self, core: EngineCore) -> None:
        while True:
            with self._wake:
                self._tick_began = None
                while core.idle and not self._commands and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    return
                self._tick_began = time.monotonic()
                commands, self._commands = self._commands, []
            for what, wanted in commands:
                if wanted:
                    core.submit(what)
                else:
                    core.cancel(what.id)
            core.tick()

    def _set_up(self) -> None:
        if self.device.type == "cuda":
            # Read when CUDA starts; `deterministic: true` needs it.
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        for spec in self.catalogue.models:
            began = time.perf_counter()
            model = load_model(spec, self.device)
            self._shelf.add(model)
            self.models[spec.id] = model
            self._warm_up(model)
            seconds = time.perf_counter() - began
            self._observer.model_loaded(spec.id, seconds)
            log.info("Model %s is ready on %s after %.1f s.", spec.id, self.device, seconds)

    def _warm_up(self, model: LoadedModel) -> None:
        """Nobody's first picture pays for kernels, allocations, or the compilation of a batch's size."""
        for size in model.spec.buckets or (1,):
            draw_two_steps(model, size)

    def _emit(self, id: str, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._deliver, id, event)

    def _report(self, state: State, error: str | None) -> None:
        def report() -> None:
            if state is State.DEFUNCT:
                self.give_up(error or "")
                return
            self.setup_error = error
            if self._state is State.STARTING or state is not State.READY:
                self._state = state
            self._settled.set()
            self._changed.set()

        self._loop.call_soon_threadsafe(report)
