"""A first drawing with a model: shows that it can draw, and pays for what the first calls cost."""

from __future__ import annotations

import logging
from typing import Any

from vignette.engine import schedulers
from vignette.engine.catalogue import Catalogue
from vignette.engine.core import EngineCore
from vignette.engine.events import Event, Failed, Finished
from vignette.engine.loader import LoadedModel
from vignette.engine.memory import MemoryProfile
from vignette.engine.observer import Observer, UNetCall
from vignette.engine.request import GenerationInput, resolve
from vignette.errors import ConfigError

log = logging.getLogger(__name__)


class _Largest(Observer):
    """The size of the largest UNet call, padding included."""

    size = 0

    def unet_called(self, call: UNetCall) -> None:
        self.size = max(self.size, call.pictures + call.padding)


def warm_up(model: LoadedModel, memory: MemoryProfile | None = None) -> None:
    """
    Nobody's first picture pays for kernels, allocations, or the compilation of a batch's size at the model's default
    width and height; with guidance every size is twice as large, so without it only the smallest is new. `memory` learns
    what the calls take; a size that does not fit is the last that is tried.
    """
    memory = memory or MemoryProfile(None)
    for size in model.spec.buckets or (1,):
        if draw_two_steps(model, size, memory) < size:
            log.warning("Calls of the model %s stay below %d pictures, which do not fit.", model.spec.id, size)
            break
    if model.compiled is not None:
        draw_two_steps(model, model.spec.buckets[0], memory, guidance_scale=1.0)
        model.compiled.close()


def draw_two_steps(model: LoadedModel, pictures: int = 1, memory: MemoryProfile | None = None, **asked: Any) -> int:
    """
    Draws `pictures` at the model's default size, together as far as they fit; `asked` are further fields of the request.

    Returns:
        The size of the largest call, padding included.

    Raises:
        ConfigError: It fails, as with weights that are NaN, or not even one fits.
    """
    outcome: dict[str, Event] = {}
    largest = _Largest()
    core = EngineCore({model.spec.id: model}, lambda id, event: outcome.update({id: event}), memory, largest)
    given = GenerationInput(
        prompt="a picture", num_inference_steps=min(2, model.spec.limits.max_steps), seed=0, **asked
    )
    only_this = Catalogue(models=(model.spec,))
    names = schedulers.supported(model.scheduler_config)
    for k in range(pictures):
        core.submit(resolve(given, id=f"warm-up {k}", catalogue=only_this, schedulers=lambda _: names))
    while not core.idle:
        core.tick()
    some = any(isinstance(event, Finished) for event in outcome.values())
    for event in outcome.values():
        if isinstance(event, Failed) and not (some and event.code == "out_of_memory"):
            raise ConfigError(f"The model {model.spec.id} cannot draw: {event.message}")
    return largest.size
