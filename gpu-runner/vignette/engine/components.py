"""A model's parts from a diffusers folder or a single safetensors file. Safetensors and local files only."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from vignette.engine.catalogue import ModelSpec
from vignette.engine.fit import check_tokenizer, check_unet
from vignette.engine.folders import files_below, load_part, read_json
from vignette.errors import ConfigError
from vignette.pickles import PICKLES, is_pickle, refuse_pickle

KINDS = {"StableDiffusionPipeline": False, "StableDiffusionXLPipeline": True}


@dataclass
class Components:
    """diffusers' and transformers' objects by their folder names, still on the CPU, and what the pipeline says of them."""

    parts: dict[str, Any]
    tokenizers: list[Any]
    scheduler_config: dict[str, Any]
    zeros_for_empty: bool
    is_xl: bool
    # Text encoders in the order in which their states stand side by side.
    encoders: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.encoders = ("text_encoder", "text_encoder_2") if self.is_xl else ("text_encoder",)


def load_components(spec: ModelSpec, dtype: torch.dtype) -> Components:
    """
    Loads one model's parts.

    Raises:
        ConfigError: A missing, damaged or unsupported folder or file, or pickled weights.
    """
    # Imported here because these two take seconds, and a busy port should be reported before.
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    folder, is_xl = _check(spec)
    index = read_json(folder / "model_index.json")
    kinds = {"text_encoder": CLIPTextModel, "unet": UNet2DConditionModel, "vae": AutoencoderKL}
    if is_xl:
        kinds["text_encoder_2"] = CLIPTextModelWithProjection
    if spec.path.is_file():
        parts = _from_single_file(spec, is_xl, dtype, tuple(kinds))
    else:
        parts = {name: load_part(kind, folder / name, dtype, spec.variant) for name, kind in kinds.items()}
    if is_xl and dtype is torch.float16 and parts["vae"].config.force_upcast:
        parts["vae"] = parts["vae"].to(torch.float32)  # SDXL's own VAE overflows in half precision
    pooled = parts["text_encoder_2"].config.projection_dim if is_xl else None
    check_unet(spec.path, parts["unet"].config, parts["vae"].config, pooled)
    names = ["tokenizer", "tokenizer_2"] if is_xl else ["tokenizer"]
    tokenizers = [CLIPTokenizer.from_pretrained(str(folder / name), local_files_only=True) for name in names]
    if any(t.get_vocab() != tokenizers[0].get_vocab() for t in tokenizers):
        raise ConfigError(f"The model {spec.id}: its two tokenizers have different words, which is not supported.")
    return Components(
        parts,
        tokenizers,
        read_json(folder / "scheduler" / "scheduler_config.json"),
        bool(index.get("force_zeros_for_empty_prompt", False)),
        is_xl,
    )


def files_of(spec: ModelSpec) -> list[Path]:
    """Every configuration and weight file that decides what the model draws, in a fixed order."""
    return [file for _, file in named_files(spec)]


def named_files(spec: ModelSpec) -> list[tuple[str, Path]]:
    """The same with names that do not depend on where the folders lie; the model's own are those in its folder."""
    roots = [
        ("", spec.path),
        *([("config/", spec.config)] if spec.config else []),
        *((f"adapters/{a.id}/", a.path) for a in spec.adapters),
        *((f"loras/{lora.id}/", lora.path) for lora in spec.loras),
        *((f"embeddings/{e.token}/", e.path) for e in spec.embeddings),
    ]
    found: list[tuple[str, Path]] = []
    for prefix, root in roots:
        if root.is_file():
            found.append((prefix + root.name, root))
        else:
            files = [file for file in files_below(root) if file.suffix in (".json", ".txt", ".safetensors")]
            found += [(prefix + file.relative_to(root).as_posix(), file) for file in files]
    return found


def check_safetensors(file: Path) -> None:
    """Raises ConfigError when the file's header does not fit its length, as after an interrupted download, or for a pickle."""
    try:
        with safe_open(file, "pt") as weights:
            weights.keys()
    except Exception as error:
        if is_pickle(file):
            raise ConfigError(refuse_pickle(file)) from None
        raise ConfigError(f"{file} is cut off or damaged ({error}); copy or download it again.") from None


def check_weights(folder: Path) -> None:
    """`check_safetensors` for all weights that lie in a folder, before a library reads them and fails in its own way."""
    for file in sorted(folder.glob("*.safetensors")):
        check_safetensors(file)


def require_weights(folder: Path) -> None:
    """`check_weights` of a folder that has to hold some; a pickle that lies there in their place is named."""
    check_weights(folder)
    if not any(folder.glob("*.safetensors")):
        pickle = next((file for file in sorted(folder.glob("*")) if file.suffix in PICKLES), None)
        raise ConfigError(
            refuse_pickle(pickle) if pickle else f"{folder} holds no safetensors; copy or download it again."
        )


def _check(spec: ModelSpec) -> tuple[Path, bool]:
    """The diffusers folder that holds the configurations, and whether it describes SDXL."""
    folder = spec.path
    if folder.is_file():
        if folder.suffix in PICKLES:
            raise ConfigError(refuse_pickle(folder))
        if folder.suffix != ".safetensors":
            raise ConfigError(f"The model {spec.id}: {folder} is neither a diffusers folder nor a .safetensors file.")
        check_safetensors(folder)
        if spec.config is None:
            raise ConfigError(
                f"The model {spec.id}: {folder} is a single file without tokenizers; name a diffusers folder of the same"
                " family, whose weights are not needed, as config."
            )
        folder = spec.config
    if not (folder / "model_index.json").is_file():
        if spec.hub is not None:
            raise ConfigError(
                f"The model {spec.id}: {spec.hub} at {spec.revision} is not in {folder}; `vignette models fetch {spec.id}`"
                " downloads it."
            )
        raise ConfigError(f"The model {spec.id}: {folder} is no diffusers folder (model_index.json is missing).")
    kind = read_json(folder / "model_index.json").get("_class_name")
    if kind not in KINDS:
        raise ConfigError(f"The model {spec.id}: {folder} holds a {kind}; supported are {' and '.join(KINDS)}.")
    if not spec.path.is_file():
        for part in ("text_encoder", "unet", "vae", *(["text_encoder_2"] if KINDS[kind] else [])):
            require_weights(folder / part)
    for name in ("tokenizer", *(["tokenizer_2"] if KINDS[kind] else [])):
        check_tokenizer(folder / name)
    return folder, KINDS[kind]


def _from_single_file(spec: ModelSpec, is_xl: bool, dtype: torch.dtype, names: tuple[str, ...]) -> dict[str, Any]:
    import diffusers

    kind = diffusers.StableDiffusionXLPipeline if is_xl else diffusers.StableDiffusionPipeline
    try:
        pipeline = kind.from_single_file(str(spec.path), config=str(spec.config), local_files_only=True, dtype=dtype)
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise ConfigError(f"{spec.path} cannot be loaded as {kind.__name__} with {spec.config}: {error}") from error
    parts = {name: getattr(pipeline, name) for name in names}
    for name, part in parts.items():
        if any(parameter.is_meta for parameter in part.parameters()):
            raise ConfigError(f"{spec.path}: it lacks weights of the {name}.")
    return parts
