"""From a model's folder to its parts on the device. Safetensors and local files only."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from vignette.engine import schedulers
from vignette.engine.catalogue import ModelSpec
from vignette.engine.text import TextCache
from vignette.errors import ConfigError
from vignette.reading.reader import Reader, load_reader
from vignette.sur import SURAdapter

PARTS = ("text_encoder", "unet", "vae")
PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")


@dataclass
class LoadedModel:
    """A model ready to draw: diffusers' components and their adapters, all in `eval()` on one device."""

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
    reader: Reader | None = None
    text_cache: TextCache = field(default_factory=TextCache)

    @property
    def pixels_per_latent(self) -> int:
        return 2 ** (len(self.vae.config.block_out_channels) - 1)


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


def load_model(spec: ModelSpec, device: torch.device) -> LoadedModel:
    """
    Loads the tokenizer, text encoder, UNet, VAE, scheduler configuration and adapters of one model.

    Raises:
        ConfigError: A missing or unsupported folder, pickled weights, or an adapter that does not fit.
    """
    # Imported here because these two take seconds, and a busy port should be reported before.
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTokenizer

    folder = spec.path
    _check_folder(spec)
    dtype = _dtype(spec, device)
    parts = {
        name: _load_part(kind, folder / name, dtype, spec.variant)
        for name, kind in zip(PARTS, (CLIPTextModel, UNet2DConditionModel, AutoencoderKL), strict=True)
    }
    if parts["unet"].config.time_cond_proj_dim is not None or parts["unet"].config.addition_embed_type is not None:
        raise ConfigError(f"{folder}: this UNet wants conditioning beyond text and timestep, which is not supported.")
    tokenizer = CLIPTokenizer.from_pretrained(str(folder / "tokenizer"), local_files_only=True)
    model = LoadedModel(
        spec=spec,
        tokenizer=tokenizer,
        **{name: part.to(device).eval().requires_grad_(False) for name, part in parts.items()},
        scheduler_config=_read_json(folder / "scheduler" / "scheduler_config.json"),
        adapters={},
        device=device,
        dtype=dtype,
        version=fingerprint(spec),
    )
    if spec.defaults.scheduler not in schedulers.supported(model.scheduler_config):
        raise ConfigError(f"The model {spec.id}: defaults.scheduler {spec.defaults.scheduler!r} does not fit it.")
    for adapter in spec.adapters:
        model.adapters[adapter.id] = _load_adapter(adapter.path, model)
    model.reader = load_reader(model)
    return model


def fingerprint(spec: ModelSpec) -> str:
    """SHA-256 (hex) over every configuration and weight file of the model and its adapters: other bytes, other id."""
    digest = hashlib.sha256()
    for root in (spec.path, *(a.path for a in spec.adapters)):
        for file in sorted(p for p in root.rglob("*") if p.suffix in (".json", ".txt", ".safetensors")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            digest.update(file.stat().st_size.to_bytes(8, "big"))
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _check_folder(spec: ModelSpec) -> None:
    folder = spec.path
    if folder.is_file():
        if folder.suffix in PICKLES:
            raise ConfigError(_refuse_pickle(folder))
        raise ConfigError(f"The model {spec.id}: {folder} is a file; give the folder of a diffusers model.")
    if not (folder / "model_index.json").is_file():
        raise ConfigError(f"The model {spec.id}: {folder} is no diffusers folder (model_index.json is missing).")
    kind = _read_json(folder / "model_index.json").get("_class_name")
    if kind != "StableDiffusionPipeline":
        raise ConfigError(f"The model {spec.id}: {folder} holds a {kind}; only StableDiffusionPipeline is supported.")
    for part in PARTS:
        if not any((folder / part).glob("*.safetensors")):
            pickle = next((f for f in (folder / part).glob("*") if f.suffix in PICKLES), None)
            raise ConfigError(_refuse_pickle(pickle) if pickle else f"{folder / part} holds no safetensors.")


def _refuse_pickle(file: Path) -> str:
    return (
        f"{file} is a pickle, which can run any code when it is loaded; only safetensors are accepted. Rewrite a model"
        " with diffusers' save_pretrained(..., safe_serialization=True), a SUR-adapter with `vignette adapter convert`."
    )


def _load_part(kind: Any, folder: Path, dtype: torch.dtype, variant: str | None) -> Any:
    try:
        part, info = kind.from_pretrained(
            str(folder),
            use_safetensors=True,
            local_files_only=True,
            dtype=dtype,
            variant=variant,
            output_loading_info=True,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{folder} cannot be loaded: {error}") from error
    if info["missing_keys"]:
        raise ConfigError(f"{folder}: the weights lack {sorted(info['missing_keys'])[:3]} and perhaps more.")
    return part


def _load_adapter(folder: Path, model: LoadedModel) -> SURAdapter:
    try:
        adapter = SURAdapter.load(folder)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    width, length = model.text_encoder.config.hidden_size, model.tokenizer.model_max_length
    if adapter.config["hidden_size"] != width:
        raise ConfigError(
            f"The adapter in {folder} is {adapter.config['hidden_size']} wide, the text encoder of {model.spec.id} "
            f"{width}: it was trained for another model."
        )
    if adapter.config["layout"] == "sequence" and adapter.config["max_length"] < length:
        raise ConfigError(f"The adapter in {folder} takes fewer tokens than {model.spec.id}'s tokenizer gives.")
    # diffusers' own `to` warns of modules to be kept in float32, of which there are none.
    torch.nn.Module.to(adapter, model.device, model.dtype)
    return adapter.requires_grad_(False)


def _dtype(spec: ModelSpec, device: torch.device) -> torch.dtype:
    if spec.dtype != "auto":
        return getattr(torch, spec.dtype)
    return torch.float16 if device.type == "cuda" else torch.float32


def _read_json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{file} cannot be read: {error}.") from None
