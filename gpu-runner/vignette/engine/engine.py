"""The engine as the asyncio side sees it: submit, follow the events, cancel. A thread of its own drives the core."""

from __future__ import annotations

import asyncio
from enum import Enum
from functools import partial
from pathlib import Path

import torch

from vignette.engine import schedulers
from vignette.engine.catalogue import Catalogue
from vignette.engine.device_thread import DeviceThread
from vignette.engine.events import Event, Failed, Finished
from vignette.engine.loader import LoadedModel
from vignette.engine.observer import Observer
from vignette.engine.request import GenerationInput, GenerationRequest, resolve
from vignette.engine.ticket import Ticket
from vignette.errors import Unavailable


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
        self._thread = DeviceThread(
            catalogue,
            device,
            self.models,
            observer or Observer(),
            memory_profile,
            emit=self._emit,
            ready=partial(self._report, State.READY),
            setup_failed=partial(self._report, State.SETUP_FAILED),
            broken=partial(self._report, State.DEFUNCT),
        )

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def state(self) -> State:
        busy = self._state is State.READY and self.unfinished >= self.max_queue
        return State.BUSY if busy else self._state

    @property
    def loading(self) -> bool:
        """Whether setup has not ended yet, well or badly."""
        return not self._settled.is_set()

    @property
    def stuck_for(self) -> float:
        """Seconds since the device's thread began its present step; 0 while it waits for work."""
        return self._thread.stuck_for

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
        self._thread.send(request, wanted=True)
        return ticket

    async def drain(self, seconds: float) -> None:
        """Takes nothing new, waits up to `seconds` for what is under way, then fails the rest with `shutting_down`."""
        if self._state in (State.STARTING, State.READY):
            self._state = State.DRAINING
        try:
            await asyncio.wait_for(self._empty(), timeout=seconds)
        except asyncio.TimeoutError:
            for ticket in list(self._tickets.values()):
                self._thread.send(ticket.request, wanted=False)
            self._fail_all("shutting_down", "The runner was shut down before this was done; ask again.")

    async def stop(self, patience: float = 60.0) -> bool:
        """
        Ends the thread after its current step.

        Returns:
            Whether it has ended within `patience` seconds. A device that hangs never lets it end.
        """
        self._thread.stop()
        ended = await asyncio.to_thread(self._thread.join, patience)
        if self._state not in (State.SETUP_FAILED, State.DEFUNCT):
            self._state = State.STOPPED
        return ended

    async def _empty(self) -> None:
        while self._tickets:
            self._changed.clear()
            await self._changed.wait()

    def _cancel(self, request: GenerationRequest) -> None:
        if self._tickets.pop(request.id, None) is not None:
            self._changed.set()
            self._thread.send(request, wanted=False)

    def _fail_all(self, code: str, message: str) -> None:
        for id in list(self._tickets):
            self._deliver(id, Failed(code, message))

    def _deliver(self, id: str, event: Event) -> None:
        ticket = self._tickets.get(id)
        if ticket is None:  # canceled meanwhile
            return
        if isinstance(event, Finished | Failed):
            del self._tickets[id]
            self._changed.set()
        ticket.deliver(event)

    # The device's thread calls these two.

    def _emit(self, id: str, event: Event) -> None:
        self._loop.call_soon_threadsafe(self._deliver, id, event)

    def _report(self, state: State, error: str | None = None) -> None:
        self._loop.call_soon_threadsafe(self._note, state, error)

    def _note(self, state: State, error: str | None) -> None:
        if state is State.DEFUNCT:
            self.give_up(error or "")
            return
        self.setup_error = error
        if self._state is State.STARTING or state is not State.READY:
            self._state = state
        self._settled.set()
        self._changed.set()
