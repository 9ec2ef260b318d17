"""From models.toml's entry to a model on the device."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vignette.engine import schedulers
from vignette.engine.catalogue import AdapterSpec, ModelSpec
from vignette.engine.components import files_of, load_components
from vignette.engine.inversion import add_inversion
from vignette.engine.lora import LoraSwitch
from vignette.engine.lora_files import read_lora
from vignette.engine.manifest import SHOWN, checked_version, fingerprint
from vignette.engine.preview import LinearDecoder
from vignette.engine.safety import SafetyCheck, load_check
from vignette.engine.speed import CompiledUNet, speed_up
from vignette.engine.text import TextCache
from vignette.engine.weights import Place, Weights, find_homes, parameters_of
from vignette.errors import ConfigError
from vignette.reading.reader import Reader, load_reader
from vignette.sur import SURAdapter
from vignette.sur.text_encoder import check_text_encoder, identify


@dataclass
class LoadedModel:
    """
    A model ready to draw: diffusers' components and their adapters, all in `eval()` on one device.

    `loras` holds the LoRAs and which of them are in the weights now; `inversions` the ids to be read in place of a
    textual inversion's; `zeros_for_empty` is SDXL's `force_zeros_for_empty_prompt`; `weight_bytes` is what the weights
    take on the device, with the copies of those that its LoRAs may change; `stamp` is the size and time of each file.
    Without its weights (`drop_weights`) it can be described and count tokens, nothing more.
    """

    spec: ModelSpec
    tokenizer: Any
    text_encoder: Any
    unet: Any
    vae: Any
    scheduler_config: dict[str, Any]
    adapters: dict[str, SURAdapter]
    device: torch.device
    dtype: torch.dtype
    version: str
    loras: LoraSwitch
    weight_bytes: int = 0
    inversions: dict[int, list[int]] = field(default_factory=dict)
    tokenizer_2: Any = None
    text_encoder_2: Any = None
    zeros_for_empty: bool = False
    reader: Reader | None = None
    check: SafetyCheck | None = None
    previewer: LinearDecoder | None = None
    text_cache: TextCache = field(default_factory=TextCache)
    stamp: dict[Path, tuple[int, int]] = field(default_factory=dict)
    compiled: CompiledUNet | None = None
    weights: Weights = field(default_factory=lambda: Weights({}, {}))

    @property
    def is_xl(self) -> bool:
        return self.tokenizer_2 is not None

    @property
    def encoders(self) -> list[tuple[Any, Any]]:
        """Tokenizers with their text encoders, in the order of their states' halves."""
        second = [(self.tokenizer_2, self.text_encoder_2)] if self.is_xl else []
        return [(self.tokenizer, self.text_encoder), *second]

    @property
    def pixels_per_latent(self) -> int:
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    def drop_weights(self) -> None:
        """Gives the device's memory back."""
        self.loras.forget()
        self.weights.drop()
        self.text_cache.clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def read_weights(self) -> Mapping[Place, torch.Tensor]:
        """
        The weights that were dropped, in the host's memory. Another thread may call it: nothing changes.

        Raises:
            ConfigError: The files are not those that it was first loaded from.
        """
        found = self.weights.read()
        now = _stamp(self.spec)
        if now != self.stamp and fingerprint(self.spec) != self.version:
            changed = sorted(str(file) for file in {*now, *self.stamp} if now.get(file) != self.stamp.get(file))
            raise ConfigError(
                f"The files of the model {self.spec.id} have changed since the runner was started ({', '.join(changed[:SHOWN])});"
                " start it again."
            )
        return found

    def put_weights(self, found: Mapping[Place, torch.Tensor]) -> None:
        """Copies to the device what `read_weights` has found."""
        self.weights.put(found)


def pick_device(name: str) -> torch.device:
    """`auto` prefers CUDA, then Apple's MPS, then the CPU. Raises ConfigError for a device this machine lacks."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, there in available.items() if there))
    kind, _, index = name.partition(":")
    if kind not in available or (index and not index.isdigit()):
        raise ConfigError(f"VIGNETTE_DEVICE is {name!r}; it must be auto, cpu, cuda, cuda:<number> or mps.")
    if not available[kind]:
        raise ConfigError(f"VIGNETTE_DEVICE is {name!r}, but PyTorch finds no such device here; try auto or cpu.")
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise ConfigError(f"VIGNETTE_DEVICE is {name!r}, but there are only {torch.cuda.device_count()} CUDA devices.")
    return torch.device(name)


def load_model(
    spec: ModelSpec,
    device: torch.device,
    expect: Callable[[int], None] = lambda needed: None,
    *,
    returns: bool = False,
) -> LoadedModel:
    """
    Loads one model with its adapters, LoRAs and textual inversions.

    Args:
        expect: Told how many bytes are about to come to the device.
        returns: Whether its weights may be dropped and read again. Where each is in the files is then found out; without
            that, those that are dropped stay in the host's memory.

    Raises:
        ConfigError: A missing, damaged or unsupported file, pickled weights, or an addition that does not fit.
    """
    dtype = _dtype(spec, device)
    components = load_components(spec, dtype)
    on_host = {name: part.eval().requires_grad_(False) for name, part in components.parts.items()}
    encoders = [(t, on_host[name]) for t, name in zip(components.tokenizers, components.encoders, strict=True)]
    inversions = dict(add_inversion(e.token, e.path, encoders) for e in spec.embeddings)
    homes = find_homes(files_of(spec), parameters_of(on_host)) if returns else {}
    # LoRAs go into the weights themselves, which compiled code reads too.
    changeable = {name: on_host[name] for name in ("unet", *components.encoders)}
    loras = LoraSwitch(changeable, {lora.id: read_lora(lora.path, changeable) for lora in spec.loras})
    expect(_bytes(on_host.values()) + loras.most_copied)
    parts = {name: part.to(device) for name, part in on_host.items()}
    version = checked_version(spec)
    compiled = speed_up(parts, spec)
    model = LoadedModel(
        spec=spec,
        tokenizer=components.tokenizers[0],
        tokenizer_2=components.tokenizers[-1] if components.is_xl else None,
        **parts,
        scheduler_config=components.scheduler_config,
        adapters={},
        device=device,
        dtype=dtype,
        version=version,
        loras=loras,
        inversions=inversions,
        zeros_for_empty=components.zeros_for_empty,
        stamp=_stamp(spec),
        compiled=compiled,
    )
    if spec.defaults.scheduler not in schedulers.supported(model.scheduler_config):
        raise ConfigError(f"The model {spec.id}: defaults.scheduler {spec.defaults.scheduler!r} does not fit it.")
    for adapter in spec.adapters:
        model.adapters[adapter.id] = _load_adapter(adapter, model)
    model.reader = load_reader(model)
    model.weight_bytes = _bytes([*parts.values(), *model.adapters.values()]) + loras.most_copied
    model.weights = Weights(parts | {f"adapter {id}": adapter for id, adapter in model.adapters.items()}, homes)
    model.check = load_check(spec.id, spec.safety)
    return model


def _bytes(modules: Iterable[Any]) -> int:
    return sum(tensor.nbytes for module in modules for tensor in module.state_dict().values())


def _stamp(spec: ModelSpec) -> dict[Path, tuple[int, int]]:
    """Sizes and times of the files: while they are the same, hashing gigabytes again would tell nothing new."""
    return {file: (file.stat().st_size, file.stat().st_mtime_ns) for file in files_of(spec)}


def _load_adapter(spec: AdapterSpec, model: LoadedModel) -> SURAdapter:
    folder = spec.path
    try:
        adapter = SURAdapter.load(folder)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    width = sum(encoder.config.hidden_size for _, encoder in model.encoders)
    length = model.tokenizer.model_max_length
    if adapter.config["hidden_size"] != width:
        raise ConfigError(
            f"The adapter in {folder} is {adapter.config['hidden_size']} wide, the text encoder of"
            f" {model.spec.id} {width}: it was trained for another model."
        )
    if adapter.config["layout"] == "sequence" and adapter.config["max_length"] < length:
        raise ConfigError(f"The adapter in {folder} takes fewer tokens than {model.spec.id}'s tokenizer gives.")
    if not spec.any_encoder:
        marks = identify(encoder for _, encoder in model.encoders)
        remedy = "set any_encoder = true in its entry of models.toml"
        check_text_encoder(adapter, marks, f"The adapter in {folder}", f"the model {model.spec.id}", remedy)
    # diffusers' own `to` warns of modules to be kept in float32, of which there are none.
    torch.nn.Module.to(adapter, model.device, model.dtype)
    return adapter.requires_grad_(False)


def _dtype(spec: ModelSpec, device: torch.device) -> torch.dtype:
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    if device.type != "cuda":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
