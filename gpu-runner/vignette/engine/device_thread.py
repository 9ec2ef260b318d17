"""The thread that owns the device: loads the models, then takes commands and ticks."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from vignette.engine.catalogue import Catalogue
from vignette.engine.core import EngineCore
from vignette.engine.events import Event
from vignette.engine.loader import LoadedModel, load_model
from vignette.engine.memory import MemoryProfile
from vignette.engine.observer import Observer
from vignette.engine.pace import Pace
from vignette.engine.request import GenerationRequest
from vignette.engine.shelf import Shelf
from vignette.engine.warm_up import warm_up
from vignette.errors import ConfigError

log = logging.getLogger(__name__)

# A request, and whether it is wanted (submit) or no longer (cancel).
Command = tuple[GenerationRequest, bool]


class DeviceThread:
    """
    Its callbacks are called on the thread itself; everything else may be called from any thread.

    Args:
        models: Filled with what is loaded, before `ready` is called.
        memory_profile: File that keeps what each shape takes of a GPU's memory from one start to the next.
        emit: Receives every request's events.
        ready: The models are loaded and work is taken.
        setup_failed: They could not be; a sentence says why. The thread has ended.
        broken: The device cannot be used any more; likewise.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        device: torch.device,
        models: dict[str, LoadedModel],
        observer: Observer,
        memory_profile: Path | None,
        *,
        emit: Callable[[str, Event], None],
        ready: Callable[[], None],
        setup_failed: Callable[[str], None],
        broken: Callable[[str], None],
    ) -> None:
        self._catalogue = catalogue
        self._device = device
        self._models = models
        self._observer = observer
        self._memory_profile = memory_profile
        self._emit = emit
        self._ready = ready
        self._setup_failed = setup_failed
        self._broken = broken
        budget = catalogue.memory.budget_mib
        self._shelf = Shelf(None if budget is None else budget << 20, observer, news=self._nudge)
        self._commands: list[Command] = []
        self._wake = threading.Condition()
        self._stopping = False
        # When it began what it is doing, on the monotonic clock; None while it waits for work.
        self._tick_began: float | None = None
        self._thread = threading.Thread(target=self._run, name="device", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def send(self, request: GenerationRequest, wanted: bool) -> None:
        with self._wake:
            self._commands.append((request, wanted))
            self._wake.notify()

    def stop(self) -> None:
        """Ends it after its present step."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def join(self, seconds: float) -> bool:
        """Waits for its end, and whether it has come. A device that hangs never lets it."""
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    @property
    def stuck_for(self) -> float:
        """Seconds since it began its present step; 0 while it waits for work."""
        began = self._tick_began
        return 0.0 if began is None else time.monotonic() - began

    def _nudge(self) -> None:
        with self._wake:
            self._wake.notify()

    def _run(self) -> None:
        try:
            memory = self._profile()
            self._load(memory)
        except ConfigError as error:
            self._setup_failed(str(error))
            return
        except Exception as error:
            log.exception("Loading the models failed.")
            self._setup_failed(f"The models could not be loaded: {type(error).__name__}: {error}")
            return
        core = EngineCore(self._models, self._emit, memory, self._observer, self._shelf, Pace())
        self._ready()
        try:
            self._drive(core)
        except Exception:
            log.exception("The device's thread has died.")
            self._broken("The device's thread has died; the log has the reason.")

    def _drive(self, core: EngineCore) -> None:
        while True:
            with self._wake:
                self._tick_began = None
                while core.rests and not self._commands and not self._stopping:
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

    def _profile(self) -> MemoryProfile:
        if self._device.type != "cuda":
            return MemoryProfile(None)
        # Read when CUDA starts; `deterministic: true` needs it.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        properties = torch.cuda.get_device_properties(self._device)
        return MemoryProfile(properties.total_memory, self._memory_profile, properties.name)

    def _load(self, memory: MemoryProfile) -> None:
        for spec in self._catalogue.models:
            began = time.perf_counter()
            returns = self._catalogue.memory.budget_mib is not None
            model = load_model(spec, self._device, expect=partial(self._shelf.expect, spec.id), returns=returns)
            self._shelf.add(model)
            self._models[spec.id] = model
            warm_up(model, memory)
            seconds = time.perf_counter() - began
            self._observer.model_loaded(spec.id, seconds)
            log.info("Model %s is ready on %s after %.1f s.", spec.id, self._device, seconds)
