"""models.toml: which models and adapters this runner serves, with their defaults and limits. Needs no PyTorch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from vignette.engine.hub import snapshot
from vignette.errors import ConfigError, InvalidInput

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Identifier = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Defaults(_Strict):
    """What a request gets when it names nothing. Sizes in pixels."""

    width: int = 512
    height: int = 512
    num_inference_steps: int = 25
    guidance_scale: float = 7.5
    scheduler: str = "DDIMScheduler"
    adapter_scale: float = 1.0
    negative_prompt: str = ""


class Limits(_Strict):
    """What a request may ask for, bounds included. Sizes in pixels."""

    min_width: int = Field(64, ge=8)
    max_width: int = Field(1024, ge=8)
    min_height: int = Field(64, ge=8)
    max_height: int = Field(1024, ge=8)
    multiple_of: int = Field(8, ge=1)
    max_steps: int = Field(100, ge=1)
    max_images: int = Field(4, ge=1)
    max_prompt_chars: int = Field(2000, ge=1)
    max_prompt_chunks: int = Field(4, ge=1, description="times the text encoder's length; what is beyond is not read")


class AdapterSpec(_Strict):
    """A SUR-adapter's folder (config.json and safetensors); `any_encoder` takes it for another text encoder than its own."""

    id: str = Identifier
    path: Path
    default: bool = False
    description: str = ""
    any_encoder: bool = False


class LoraSpec(_Strict):
    """A LoRA's safetensors file, for requests to name by id."""

    id: str = Identifier
    path: Path
    description: str = ""


class EmbeddingSpec(_Strict):
    """A textual inversion's safetensors file; a prompt that writes `token` uses it."""

    token: str = Field(pattern=r"^\S{1,64}$")
    path: Path


class NoticeSpec(_Strict):
    """
    `text` is told when the reading's best phrases of each of `groups`, multiplied, score less than `below`. One that the prompt
    names in so many words scores 1, but within a phrase of `not_named`: "under the stars" asks for no star.
    """

    text: str = Field(min_length=1, max_length=1000)
    groups: tuple[str, ...] = Field(min_length=1)
    below: float = Field(ge=0, le=1)
    not_named: tuple[Annotated[str, Field(min_length=1)], ...] = ()


class SpeedSpec(_Strict):
    """
    How the UNet's steps become faster. `channels_last` costs nothing and is on; what costs start-up time or excludes LoRAs
    is off. `compile` is a mode of `torch.compile`, of which the last two use CUDA graphs; calls are then padded to
    `buckets`, so that there are only so many graphs.
    """

    channels_last: bool = True
    fuse_qkv: bool = False
    compile: Literal["none", "default", "reduce-overhead", "max-autotune"] = "none"
    buckets: tuple[int, ...] = Field((), description="sizes of UNet calls; empty: 1, 2, 4, 8, … where compiled")

    @model_validator(mode="after")
    def _ascending(self) -> SpeedSpec:
        if any(size < 1 for size in self.buckets) or sorted(set(self.buckets)) != list(self.buckets):
            raise ValueError("buckets must be ascending numbers of at least 1")
        return self


class SafetySpec(_Strict):
    """
    Who looks at finished pictures: `nudenet`, or `module:factory` for a detector of one's own. From `threshold` on a
    finding counts; the picture is then given out with a flag and its reason, or not at all.
    """

    detector: str = Field("nudenet", pattern=r"^(nudenet|[\w.]+:\w+)$")
    policy: Literal["flag", "refuse"] = "flag"
    threshold: float = Field(0.5, gt=0, le=1)


class ProvenanceSpec(_Strict):
    """Whether pictures carry their prompts as text, with which they can be drawn again, or as SHA-256 only."""

    prompts: Literal["text", "hash"] = "text"


class ModelSpec(_Strict):
    """
    A diffusers folder (`StableDiffusionPipeline` or `StableDiffusionXLPipeline`) or a single safetensors file, and how to
    serve it. A single file holds neither tokenizers nor configurations: `config` is a diffusers folder that does (its
    weights are not read). Of a repository on the Hugging Face Hub, `hub` with the commit `revision`, `path` is the place in
    this machine's cache.
    """

    id: str = Identifier
    hub: str | None = None
    revision: str | None = None
    path: Path
    config: Path | None = None
    description: str = ""
    default: bool = False
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    variant: str | None = None
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="the version that `models check` prints")
    manifest: Path | None = Field(None, description="SHA-256 of each file, as `models manifest` prints them")
    speed: SpeedSpec = SpeedSpec()
    max_batch: int = Field(16, ge=1, description="most pictures in one UNet call")
    defaults: Defaults = Defaults()
    limits: Limits = Limits()
    adapters: tuple[AdapterSpec, ...] = ()
    loras: tuple[LoraSpec, ...] = ()
    embeddings: tuple[EmbeddingSpec, ...] = ()
    lexicon: Path | None = Field(None, description="TOML file of the phrases that `reading` ranks")
    notice: NoticeSpec | None = None
    safety: SafetySpec | None = None
    provenance: ProvenanceSpec = ProvenanceSpec()

    @model_validator(mode="before")
    @classmethod
    def _located(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("hub") is None:
            return given
        if "path" in given:
            raise ValueError("hub and path are two places of one model; keep one of them")
        return {**given, "path": snapshot(given["hub"], given.get("revision"))}

    @model_validator(mode="after")
    def _consistent(self) -> ModelSpec:
        limits, defaults = self.limits, self.defaults
        for side in ("width", "height"):
            low, high, size = getattr(limits, f"min_{side}"), getattr(limits, f"max_{side}"), getattr(defaults, side)
            if not low <= size <= high or size % limits.multiple_of:
                raise ValueError(
                    f"defaults.{side} is {size}; the limits ask for {low} to {high}, a multiple of {limits.multiple_of}"
                )
        if not 1 <= defaults.num_inference_steps <= limits.max_steps:
            raise ValueError(f"defaults.num_inference_steps must lie between 1 and {limits.max_steps}")
        if len({a.id for a in self.adapters}) < len(self.adapters):
            raise ValueError("two adapters have the same id")
        if len({lora.id for lora in self.loras}) < len(self.loras):
            raise ValueError("two LoRAs have the same id")
        if len({e.token for e in self.embeddings}) < len(self.embeddings):
            raise ValueError("two embeddings have the same token")
        if sum(a.default for a in self.adapters) > 1:
            raise ValueError("more than one adapter is the default")
        if self.revision is not None and self.hub is None:
            raise ValueError("revision is a commit of hub, which is missing")
        if self.notice is not None and self.lexicon is None:
            raise ValueError("notice needs a lexicon beside it")
        return self

    @property
    def default_adapter(self) -> str | None:
        return next((a.id for a in self.adapters if a.default), None)

    @property
    def buckets(self) -> tuple[int, ...]:
        """Sizes that a UNet call is padded to, ascending, the largest `max_batch`; empty where any size will do."""
        speed = self.speed
        given = speed.buckets or (tuple(2**k for k in range(16)) if speed.compile != "none" else ())
        return (*(size for size in given if size < self.max_batch), self.max_batch) if given else ()

    def adapter_id(self, asked: str | None) -> str | None:
        """Checks an adapter's id; `None` stays `None`, which means no adapter."""
        if asked is None or any(a.id == asked for a in self.adapters):
            return asked
        known = ", ".join(a.id for a in self.adapters) or "none"
        raise InvalidInput(
            "adapter", f"The model {self.id} has no adapter {asked!r}; it has: {known}. null draws without one."
        )

    def lora_id(self, asked: str) -> str:
        """Checks a LoRA's id."""
        if any(lora.id == asked for lora in self.loras):
            return asked
        known = ", ".join(lora.id for lora in self.loras) or "none"
        raise InvalidInput("loras", f"The model {self.id} has no LoRA {asked!r}; it has: {known}.")


class MemorySpec(_Strict):
    """`budget_mib` is the most weights, in MiB, that are on the device at once; without it all models stay there."""

    budget_mib: int | None = Field(None, ge=1)


class Catalogue(_Strict):
    """Every model of this runner; exactly one is the default."""

    memory: MemorySpec = MemorySpec()
    models: tuple[ModelSpec, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _consistent(self) -> Catalogue:
        if len({m.id for m in self.models}) < len(self.models):
            raise ValueError("two models have the same id")
        if len(self.models) > 1 and sum(m.default for m in self.models) != 1:
            raise ValueError("exactly one model needs default = true")
        return self

    @property
    def default(self) -> ModelSpec:
        return next((m for m in self.models if m.default), self.models[0])

    def model(self, asked: str | None) -> ModelSpec:
        """The model with this id (with or without `vignette/` before it); `None` asks for the default."""
        if asked is None:
            return self.default
        wanted = asked.removeprefix("vignette/")
        for model in self.models:
            if model.id == wanted:
                return model
        known = ", ".join(m.id for m in self.models)
        raise InvalidInput("model", f"There is no model {asked!r}; this runner has: {known}.")


def read_catalogue(file: Path) -> Catalogue:
    """
    Reads models.toml; relative paths in it are taken from its own folder.

    Raises:
        ConfigError: Missing file, broken TOML, or a field that does not fit, named like `models[0].limits.max_steps`.
    """
    try:
        raw = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"There is no models file {file}; name one with --models FILE.") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from None
    try:
        return Catalogue.model_validate(_with_absolute_paths(raw, file.resolve().parent))
    except ValidationError as error:
        first = error.errors()[0]
        field = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".")
        raise ConfigError(f"{file}: {field or 'the file'}: {first['msg'].removeprefix('Value error, ')}.") from None


def _with_absolute_paths(node: Any, folder: Path) -> Any:
    if isinstance(node, list):
        return [_with_absolute_paths(item, folder) for item in node]
    if isinstance(node, dict):
        return {
            key: folder / Path(value).expanduser()
            if key in ("path", "lexicon", "config", "manifest") and isinstance(value, str)
            else _with_absolute_paths(value, folder)
            for key, value in node.items()
        }
    return node
