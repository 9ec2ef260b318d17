"""A first drawing with a model: shows that it can draw, and pays for what the first calls cost."""

from __future__ import annotations

from vignette.engine import schedulers
from vignette.engine.catalogue import Catalogue
from vignette.engine.core import EngineCore
from vignette.engine.events import Event, Failed
from vignette.engine.loader import LoadedModel
from vignette.engine.request import GenerationInput, resolve
from vignette.errors import ConfigError


def draw_two_steps(model: LoadedModel, pictures: int = 1) -> None:
    """
    Draws `pictures` at the model's default size together. Raises ConfigError if that fails, as with weights that are NaN.
    """
    outcome: dict[str, Event] = {}
    core = EngineCore({model.spec.id: model}, lambda id, event: outcome.update({id: event}))
    given = GenerationInput(prompt="a picture", num_inference_steps=min(2, model.spec.limits.max_steps), seed=0)
    only_this = Catalogue(models=(model.spec,))
    names = schedulers.supported(model.scheduler_config)
    for k in range(pictures):
        core.submit(resolve(given, id=f"warm-up {k}", catalogue=only_this, schedulers=lambda _: names))
    while not core.idle:
        core.tick()
    for event in outcome.values():
        if isinstance(event, Failed):
            raise ConfigError(f"The model {model.spec.id} cannot draw: {event.message}")
