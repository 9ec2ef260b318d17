"""A generation as the wire carries it, and as the engine draws it: every parameter resolved."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vignette.engine.catalogue import Catalogue, ModelSpec
from vignette.engine.prompt_weights import MAX_WEIGHT, heaviest
from vignette.errors import InvalidInput

MAX_SEED = 2**53 - 1  # JSON numbers are exact up to here
MAX_LORAS = 4
MAX_CACHE_INTERVAL = 10
DEFAULT_URGENCY = 3  # RFC 9218, section 4.1
OutputFormat = Literal["png", "jpeg", "webp"]


class LoraChoice(BaseModel):
    """One of the model's LoRAs, `scale` times as strong as it was trained."""

    model_config = ConfigDict(extra="forbid", strict=True)

    id: str
    scale: Annotated[float, Field(ge=-2, le=2, allow_inf_nan=False)] = 1.0


class GenerationInput(BaseModel):
    """The `input` of a prediction. An absent field takes the model's default; `adapter: null` means no adapter."""

    model_config = ConfigDict(extra="forbid", strict=True)

    prompt: str = Field(description="What the picture shows, a sentence or keywords; (word:1.3) weighs.")
    negative_prompt: str | None = Field(None, description="What the picture should not show.")
    model: str | None = Field(None, description="Id of a model of this runner.")
    adapter: str | None = Field(None, description="Id of a SUR-adapter; null draws without one.")
    adapter_scale: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    width: Annotated[int, Field(ge=8)] | None = Field(None, description="Pixels.")
    height: Annotated[int, Field(ge=8)] | None = Field(None, description="Pixels.")
    num_inference_steps: Annotated[int, Field(ge=1)] | None = None
    guidance_scale: Annotated[float, Field(ge=0, le=50, allow_inf_nan=False)] | None = None
    scheduler: str | None = Field(None, description="A diffusers scheduler's class name.")
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(None, description="Image k uses seed + k.")
    num_images: Annotated[int, Field(ge=1)] = 1
    output_format: OutputFormat = "png"
    loras: Annotated[list[LoraChoice], Field(max_length=MAX_LORAS)] = Field([], description="The model's LoRAs to use.")
    preview_every: Annotated[int, Field(ge=1)] | None = Field(None, description="Steps between two previews.")
    guidance_until: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="Share of the steps that are guided; below 1 it is faster and another picture."
    )
    cache_interval: Annotated[int, Field(ge=1, le=MAX_CACHE_INTERVAL)] = Field(
        1, description="Steps from one whole one to the next; above 1 it is faster and another picture (DeepCache)."
    )
    deterministic: bool = Field(
        False, description="Drawn in calls of its own: the same bytes again on the same machine, but slower."
    )


@dataclass(frozen=True)
class GenerationRequest:
    """
    One request with nothing left open. Sizes in pixels; image k is drawn with `seed + k`. `urgency`, from 0 to 7, and
    `caller` decide when it is drawn, never how.
    """

    id: str
    model: str
    prompt: str
    negative_prompt: str
    adapter: str | None
    adapter_scale: float
    width: int
    height: int
    num_inference_steps: int
    guidance_scale: float
    scheduler: str
    seed: int
    num_images: int
    output_format: OutputFormat
    loras: tuple[tuple[str, float], ...] = ()
    preview_every: int | None = None
    deterministic: bool = False
    guidance_until: float = 1.0
    cache_interval: int = 1
    urgency: int = DEFAULT_URGENCY
    caller: str = ""

    @property
    def uses_cfg(self) -> bool:
        """Classifier-free guidance needs a second prediction only above 1 (https://arxiv.org/abs/2207.12598)."""
        return self.guidance_scale > 1.0

    def as_input(self) -> GenerationInput:
        """The input that asks for exactly this, whatever the defaults are by then."""
        fields = {name: getattr(self, name) for name in GenerationInput.model_fields if name != "loras"}
        return GenerationInput(**fields, loras=[LoraChoice(id=id, scale=scale) for id, scale in self.loras])


def resolve(
    given: GenerationInput,
    *,
    id: str,
    catalogue: Catalogue,
    schedulers: Callable[[str], Sequence[str]],
    random_seed: Callable[[], int] = lambda: secrets.randbelow(2**32),
) -> GenerationRequest:
    """
    Fills in the model's defaults and checks its limits.

    Args:
        schedulers: The scheduler names that a model (by id) can be drawn with.
        random_seed: Source of the seed when none is given.

    Raises:
        InvalidInput: Naming the field and the remedy.
    """
    spec = catalogue.model(given.model)
    defaults = spec.defaults
    adapter = spec.adapter_id(given.adapter) if "adapter" in given.model_fields_set else spec.default_adapter
    request = GenerationRequest(
        id=id,
        model=spec.id,
        prompt=_text("prompt", given.prompt, spec),
        negative_prompt=_text("negative_prompt", _or(given.negative_prompt, defaults.negative_prompt), spec),
        adapter=adapter,
        adapter_scale=_or(given.adapter_scale, defaults.adapter_scale),
        width=_or(given.width, defaults.width),
        height=_or(given.height, defaults.height),
        num_inference_steps=_or(given.num_inference_steps, defaults.num_inference_steps),
        guidance_scale=_or(given.guidance_scale, defaults.guidance_scale),
        scheduler=_or(given.scheduler, defaults.scheduler),
        seed=_or(given.seed, random_seed()),
        num_images=given.num_images,
        output_format=given.output_format,
        loras=_loras(given.loras, spec),
        preview_every=given.preview_every,
        guidance_until=given.guidance_until,
        cache_interval=given.cache_interval,
        deterministic=given.deterministic,
    )
    _check_limits(request, spec, schedulers(spec.id))
    return request


def _loras(given: list[LoraChoice], spec: ModelSpec) -> tuple[tuple[str, float], ...]:
    chosen = [(spec.lora_id(lora.id), lora.scale) for lora in given]
    if len({id for id, _ in chosen}) < len(chosen):
        raise InvalidInput("loras", "A LoRA is named twice; name it once, with the scale that you want.")
    return tuple(sorted((id, scale) for id, scale in chosen if scale != 0))


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _text(field: str, text: str, spec: ModelSpec) -> str:
    if field == "prompt" and not text.strip():
        raise InvalidInput(field, "The prompt is empty; say in a sentence what the picture should show.")
    if len(text) > spec.limits.max_prompt_chars:
        raise InvalidInput(
            field, f"{field} has {len(text)} characters; {spec.limits.max_prompt_chars} is the most. Shorten it."
        )
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidInput(field, f"{field} holds half of a surrogate pair; send valid Unicode.") from None
    if heaviest(text) > MAX_WEIGHT:
        raise InvalidInput(
            field, f"A weight in {field} is above {MAX_WEIGHT:g}; write (word:1.3) with a smaller number."
        )
    return text


def _check_limits(request: GenerationRequest, spec: ModelSpec, schedulers: Sequence[str]) -> None:
    limits = spec.limits
    for side in ("width", "height"):
        size, low, high = getattr(request, side), getattr(limits, f"min_{side}"), getattr(limits, f"max_{side}")
        if not low <= size <= high or size % limits.multiple_of:
            raise InvalidInput(
                side,
                f"{side} must be a multiple of {limits.multiple_of} between {low} and {high} pixels"
                f" for the model {spec.id}, not {size}.",
            )
    if request.num_inference_steps > limits.max_steps:
        raise InvalidInput(
            "num_inference_steps",
            f"num_inference_steps must lie between 1 and {limits.max_steps} for the model {spec.id},"
            f" not {request.num_inference_steps}.",
        )
    if request.cache_interval > 1 and spec.speed.compile != "none":
        raise InvalidInput(
            "cache_interval",
            f"The model {spec.id} is compiled as a whole and cannot leave out layers; leave cache_interval at 1.",
        )
    if request.num_images > limits.max_images:
        raise InvalidInput(
            "num_images", f"num_images must lie between 1 and {limits.max_images}, not {request.num_images}."
        )
    if request.scheduler not in schedulers:
        raise InvalidInput(
            "scheduler",
            f"The model {spec.id} cannot be drawn with the scheduler {request.scheduler!r};"
            f" it can with: {', '.join(schedulers)}.",
        )
