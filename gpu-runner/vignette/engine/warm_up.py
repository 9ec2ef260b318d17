"""A first drawing with a model: shows that it can draw, and pays for what the first calls cost."""

from __future__ import annotations

from typing import Any

from vignette.engine import schedulers
from vignette.engine.catalogue import Catalogue
from vignette.engine.core import EngineCore
from vignette.engine.events import Event, Failed
from vignette.engine.loader import LoadedModel
from vignette.engine.request import GenerationInput, resolve
from vignette.errors import ConfigError


def warm_up(model: LoadedModel) -> None:
    """
    Nobody's first picture pays for kernels, allocations, or the compilation of a batch's size at the model's default
    width and height; with guidance every size is twice as large, so without it only the smallest is new.
    """
    for size in model.spec.buckets or (1,):
        draw_two_steps(model, size)
    if model.compiled is not None:
        draw_two_steps(model, model.spec.buckets[0], guidance_scale=1.0)
        model.compiled.close()


def draw_two_steps(model: LoadedModel, pictures: int = 1, **asked: Any) -> None:
    """
    Draws `pictures` at the model's default size together; `asked` are further fields of the request.

    Raises:
        ConfigError: It fails, as with weights that are NaN.
    """
    outcome: dict[str, Event] = {}
    core = EngineCore({model.spec.id: model}, lambda id, event: outcome.update({id: event}))
    given = GenerationInput(
        prompt="a picture", num_inference_steps=min(2, model.spec.limits.max_steps), seed=0, **asked
    )
    only_this = Catalogue(models=(model.spec,))
    names = schedulers.supported(model.scheduler_config)
    for k in range(pictures):
        core.submit(resolve(given, id=f"warm-up {k}", catalogue=only_this, schedulers=lambda _: names))
    while not core.idle:
        core.tick()
    for event in outcome.values():
        if isinstance(event, Failed):
            raise ConfigError(f"The model {model.spec.id} cannot draw: {event.message}")
