"""
Draws what is compared with the engine that serves: same text encoding, adapter, schedulers and noise, so that what is
measured is what users get, and pictures of many prompts share each UNet call. Every picture is a file named by what
made it, so an interrupted evaluation goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vignette import __version__
from vignette.engine.catalogue import Catalogue, ModelSpec
from vignette.errors import ConfigError, InvalidInput
from vignette.evaluation.cases import Case
from vignette.evaluation.files import write_atomically
from vignette.evaluation.variants import Variant

if TYPE_CHECKING:
    import torch

    from vignette.engine.events import Event
    from vignette.engine.request import GenerationRequest


@dataclass(frozen=True)
class Settings:
    """How everything is drawn; None takes the model's default. Sizes in pixels."""

    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    scheduler: str | None = None
    width: int | None = None
    height: int | None = None
    negative_prompt: str | None = None


@dataclass(frozen=True)
class Job:
    """One picture to draw: which variant, case and seed it belongs to, the request, and its content key."""

    variant: Variant
    case: Case
    seed: int
    request: GenerationRequest
    key: str


def plan(
    variants: Sequence[Variant], cases: Sequence[Case], seeds: int, settings: Settings, device: torch.device
) -> list[Job]:
    """
    Every picture of the comparison, variants outermost, then cases, then `seeds` seeds each. A case's seeds depend on
    its id alone, so that they stay the same when other cases come and go. Nothing is loaded but configurations.

    Raises:
        ConfigError: A setting that a model cannot be drawn with, named by its flag, or a model's folder that is none.
    """
    jobs = []
    for variant in variants:
        for case in cases:
            prompt = case.narrative if variant.prompt == "narrative" else case.keywords
            for seed in (seed_of(case, number) for number in range(seeds)):
                request = _request(variant, prompt, seed, settings)
                jobs.append(Job(variant, case, seed, request, content_key(variant, request, device)))
    return jobs


def seed_of(case: Case, number: int) -> int:
    """The case's seed `number`, 32 bits."""
    return int.from_bytes(hashlib.sha256(f"{case.id}/{number}".encode()).digest()[:4], "big")


def content_key(variant: Variant, request: GenerationRequest, device: torch.device) -> str:
    """SHA-256 (hex) of all that makes a picture: weights, prompts, seed, sampling, number format, version."""
    recipe: dict[str, Any] = asdict(request)
    unused = ("guidance_until", "cache_interval")  # evaluation spends all the work
    for name in ("id", "model", "adapter", "num_images", "output_format", *unused, "urgency", "caller"):
        recipe.pop(name, None)
    adapter = variant.adapter if request.adapter_scale else None
    recipe["adapter_scale"] = request.adapter_scale if adapter else None
    recipe["model"] = _fingerprint(variant.model.path, variant.model.config)
    recipe["adapter"] = _fingerprint(adapter.path) if adapter else None
    recipe["dtype"] = f"{variant.model.dtype} on {device.type}"
    recipe["vignette"] = __version__
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()


def missing(jobs: Sequence[Job], folder: Path) -> list[Job]:
    """One job for each picture that is not in `folder` yet."""
    wanted = {job.key: job for job in jobs}
    return [job for key, job in wanted.items() if not picture_file(folder, key).is_file()]


# What a model is called, beside what it is loaded with.
NAMED = {"id", "description", "default", "adapters"}


def picture_file(folder: Path, key: str) -> Path:
    return folder / f"{key}.png"


def draw(
    jobs: Sequence[Job], folder: Path, device: torch.device, drawn: Callable[[], object] = lambda: None
) -> dict[str, str]:
    """
    Draws the missing pictures into `folder`, model by model; `drawn` is called after each.

    Returns:
        The sentences of those that could not be drawn, by content key.

    Raises:
        ConfigError: A model or adapter that cannot be loaded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_model: dict[str, list[Job]] = {}
    for job in missing(jobs, folder):
        # By all that a model is loaded with: two entries of one folder may differ in precision.
        by_model.setdefault(job.variant.model.model_dump_json(exclude=NAMED), []).append(job)
    failures: dict[str, str] = {}
    for todo in by_model.values():
        failures |= _draw_with_one_model(todo, folder, device, drawn)
    return failures


def _draw_with_one_model(
    jobs: list[Job], folder: Path, device: torch.device, drawn: Callable[[], object]
) -> dict[str, str]:
    from vignette.engine.core import EngineCore
    from vignette.engine.events import Failed, Finished
    from vignette.engine.images import encode_image
    from vignette.engine.loader import load_model
    from vignette.provenance.recipe import recipe

    spec = _with_adapters_of(jobs)
    model = load_model(spec, device)
    waiting = {job.key: job for job in jobs}
    failures: dict[str, str] = {}

    def on_event(key: str, event: Event) -> None:
        if isinstance(event, Finished):
            provenance = recipe(waiting[key].request, 0, model)
            write_atomically(picture_file(folder, key), encode_image(event.pictures[0], "png", provenance))
        elif isinstance(event, Failed):
            failures[key] = event.message
        else:
            return
        drawn()

    core = EngineCore({spec.id: model}, on_event)
    for job in jobs:
        core.submit(_for_engine(job, spec))
    while not core.idle:
        core.tick()
    return failures


def _with_adapters_of(jobs: Sequence[Job]) -> ModelSpec:
    """The model with each adapter that any job wants, under ids that cannot collide."""
    adapters = {
        _adapter_id(job.variant): job.variant.adapter.model_copy(
            update={"id": _adapter_id(job.variant), "default": False}
        )
        for job in jobs
        if job.variant.adapter
    }
    return jobs[0].variant.model.model_copy(update={"adapters": tuple(adapters.values())})


def _for_engine(job: Job, spec: ModelSpec) -> GenerationRequest:
    from dataclasses import replace

    adapter = _adapter_id(job.variant) if job.variant.adapter else None
    return replace(job.request, id=job.key, model=spec.id, adapter=adapter)


def _adapter_id(variant: Variant) -> str:
    return hashlib.sha256(str(variant.adapter.path).encode()).hexdigest()[:16] if variant.adapter else ""


def _request(variant: Variant, prompt: str, seed: int, settings: Settings) -> GenerationRequest:
    from vignette.engine.request import GenerationInput, resolve

    adapter = variant.adapter
    given = GenerationInput(
        prompt=prompt,
        adapter=adapter.id if adapter else None,
        adapter_scale=variant.scale if adapter else None,
        seed=seed,
        **{name: value for name, value in asdict(settings).items() if value is not None},
    )
    try:
        return resolve(
            given,
            id="evaluation",
            catalogue=Catalogue(models=(variant.model,)),
            schedulers=lambda _: _schedulers(_configurations(variant.model)),
        )
    except InvalidInput as error:
        raise ConfigError(f"{_FLAGS.get(error.field, error.field)}: {error.message}") from None


_FLAGS = {
    "num_inference_steps": "--steps",
    "guidance_scale": "--guidance",
    "scheduler": "--scheduler",
    "width": "--width",
    "height": "--height",
    "negative_prompt": "--negative-prompt",
}


def _configurations(model: ModelSpec) -> Path:
    """The diffusers folder that holds the model's configurations, which of a single file is another one."""
    if not model.path.is_file():
        return model.path
    if model.config is None:
        raise ConfigError(
            f"The model {model.id} is a single file; name a diffusers folder of the same family as its config in models.toml."
        )
    return model.config


@cache
def _schedulers(folder: Path) -> tuple[str, ...]:
    from vignette.engine.schedulers import supported

    file = folder / "scheduler" / "scheduler_config.json"
    try:
        return supported(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}. Is {folder} a diffusers model?") from None


@cache
def _fingerprint(path: Path, config: Path | None = None) -> str:
    from vignette.engine.loader import fingerprint

    return fingerprint(ModelSpec(id="any", path=path, config=config))
