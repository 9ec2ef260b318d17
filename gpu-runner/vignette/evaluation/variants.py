"""What is compared: a model, perhaps an adapter at a scale, and the kind of prompt it is given."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vignette.engine.catalogue import AdapterSpec, Catalogue, Defaults, ModelSpec
from vignette.errors import ConfigError, InvalidInput

PromptKind = Literal["narrative", "keywords"]
KEYS = ("name", "model", "adapter", "scale", "prompt")
MAX_SCALE = 2.0


@dataclass(frozen=True)
class Variant:
    """One column of the comparison. `model.adapters` holds the variant's adapter and no other."""

    name: str
    model: ModelSpec
    scale: float
    prompt: PromptKind

    @property
    def adapter(self) -> AdapterSpec | None:
        return self.model.adapters[0] if self.model.adapters else None


def parse_variant(text: str, catalogue: Catalogue) -> Variant:
    """
    Reads `model=…,adapter=…,scale=…,prompt=…,name=…`; all but `prompt` may be left out.

    `model` and `adapter` are ids of the catalogue or folders. No `adapter` means none; `default` the model's own.

    Raises:
        ConfigError: An unknown key, model, adapter, folder or value.
    """
    given = _fields(text)
    spec = _model(given.get("model"), catalogue, text)
    adapter = _adapter(given.get("adapter", "none"), spec, text)
    if "scale" in given and adapter is None:
        raise ConfigError(f"--variant {text}: scale means nothing without an adapter; add adapter=… or drop it.")
    scale = _scale(given["scale"], text) if "scale" in given else spec.defaults.adapter_scale
    prompt = given.get("prompt")
    if prompt not in ("narrative", "keywords"):
        raise ConfigError(f"--variant {text}: prompt must be narrative or keywords, not {prompt!r}.")
    spec = spec.model_copy(update={"adapters": (adapter,) if adapter else ()})
    name = given.get("name") or _name(spec, adapter, scale, prompt)
    return Variant(name, spec, scale if adapter else 0.0, prompt)  # type: ignore[arg-type]  # checked above


def default_variants(model: str | None, catalogue: Catalogue) -> list[Variant]:
    """Base and default adapter on narratives, and the base on keywords, which is the ceiling."""
    spec = _model(model, catalogue, "")
    variants = [parse_variant(f"name=base/narrative,model={model or spec.id},prompt=narrative", catalogue)]
    if spec.default_adapter:
        text = f"name=adapter/narrative,model={model or spec.id},adapter=default,prompt=narrative"
        variants.append(parse_variant(text, catalogue))
    variants.append(parse_variant(f"name=base/keywords,model={model or spec.id},prompt=keywords", catalogue))
    return variants


def check_names(variants: Sequence[Variant]) -> None:
    """Raises ConfigError for two variants of one name."""
    names = [v.name for v in variants]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"Two variants are called {name!r}; give one of them another name=….")


def pick_reference(variants: Sequence[Variant], asked: str | None, flag: str, prompt: PromptKind) -> Variant | None:
    """The variant named by `--baseline` or `--ceiling`; unasked, the first without an adapter and of this prompt kind."""
    if asked is None:
        return next((v for v in variants if v.adapter is None and v.prompt == prompt), None)
    for variant in variants:
        if variant.name == asked:
            return variant
    raise ConfigError(f"--{flag} {asked}: there is no such variant; there are {', '.join(v.name for v in variants)}.")


def _fields(text: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for part in filter(None, (p.strip() for p in text.split(","))):
        key, separator, value = part.partition("=")
        if not separator or key not in KEYS or not value:
            raise ConfigError(f"--variant {text}: {part!r} must be one of {', '.join(k + '=…' for k in KEYS)}.")
        if key in fields:
            raise ConfigError(f"--variant {text}: {key} stands there twice.")
        fields[key] = value
    return fields


def _model(asked: str | None, catalogue: Catalogue, text: str) -> ModelSpec:
    """An id comes before a folder of that name, which may lie in the working directory by chance."""
    try:
        return catalogue.model(asked)
    except InvalidInput as error:
        path = Path(asked or "").expanduser().resolve()
        listed = next((m for m in catalogue.models if m.path.resolve() == path), None)
        if listed:
            return listed
        if path.is_file():
            raise ConfigError(
                f"{_where(text)}{path} is a single file; list it in models.toml with a `config` folder, and name its id."
            ) from None
        if not path.is_dir():
            raise ConfigError(f"{_where(text)}{error.message} A folder of a diffusers model will do as well.") from None
    return ModelSpec(id=_slug(path.name), path=path, defaults=_own_size(path))


def _where(text: str) -> str:
    return f"--variant {text}: " if text else "--model: "


def _own_size(folder: Path) -> Defaults:
    """The pictures' size that the UNet was trained for, at least 64 pixels; 512 if the configurations do not say."""
    try:
        unet, vae = (json.loads((folder / part / "config.json").read_text()) for part in ("unet", "vae"))
        size = max(64, int(unet["sample_size"]) * 2 ** (len(vae["block_out_channels"]) - 1))
    except (OSError, ValueError, KeyError, TypeError):
        return Defaults()
    return Defaults(width=size, height=size)


def _adapter(asked: str, spec: ModelSpec, text: str) -> AdapterSpec | None:
    if asked == "none":
        return None
    if asked == "default":
        if spec.default_adapter is None:
            raise ConfigError(f"--variant {text}: the model {spec.id} has no default adapter; name one or its folder.")
        asked = spec.default_adapter
    for adapter in spec.adapters:
        if adapter.id == asked:
            return adapter
    folder = Path(asked).expanduser()
    if folder.is_dir():
        folder = folder.resolve()
        # Every training calls its result so; the run's name tells them apart.
        name = f"{folder.parent.name}-{folder.name}" if folder.name == "adapter" else folder.name
        return AdapterSpec(id=_slug(name), path=folder)
    known = ", ".join(a.id for a in spec.adapters) or "none"
    raise ConfigError(f"--variant {text}: {asked!r} is neither a folder nor an adapter of {spec.id} (it has: {known}).")


def _scale(value: str, text: str) -> float:
    try:
        scale = float(value)
    except ValueError:
        scale = math.nan
    if not 0 <= scale <= MAX_SCALE:
        raise ConfigError(f"--variant {text}: scale must be a number from 0 to {MAX_SCALE:g}, not {value!r}.")
    return scale


def _name(spec: ModelSpec, adapter: AdapterSpec | None, scale: float, prompt: str) -> str:
    strength = f"+{adapter.id}@{scale:g}" if adapter else ""
    return f"{spec.id}{strength}/{prompt}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", name.lower()).lstrip("._-")[:63] or "model"
