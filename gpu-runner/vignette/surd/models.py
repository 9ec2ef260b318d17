"""Loading captioners and CLIP models: safetensors only, errors in sentences, and a name that changes with the weights."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from vignette.errors import ConfigError


def identity(model: str, revision: str | None = None) -> str:
    """What a model's results are filed under: hub id and revision, or a folder with its files' sizes and times."""
    folder = Path(model)
    if not folder.is_dir():
        return f"{model}@{revision or 'main'}"
    digest = hashlib.sha256()
    for file in sorted(folder.iterdir()):
        if file.suffix in (".json", ".safetensors", ".txt", ".model"):
            stat = file.stat()
            digest.update(f"{file.name}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return f"{folder.resolve()}@{digest.hexdigest()[:16]}"


EXAMPLES = {
    "--captioner": "Salesforce/blip-image-captioning-large",
    "--clip": "openai/clip-vit-large-patch14",
}


@contextmanager
def sentences(option: str, model: str) -> Iterator[None]:
    """Turns what the loaders raise into a sentence that names the option; a folder's weights that are cut off are named first."""
    from vignette.engine.components import check_weights

    if Path(model).is_dir():
        check_weights(Path(model))
    try:
        yield
    except (OSError, ValueError, KeyError, ImportError, AttributeError, SafetensorError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ConfigError(
            f"{option} {model} cannot be loaded: {first} It must be a Hugging Face id or a folder with config.json and "
            "safetensors weights; without network, download it first (hf download)."
        ) from None


def check(option: str, model: str, revision: str | None) -> str:
    """The model's type. Reads the configuration alone, so that a wrong name is told before anything is fetched or spread."""
    from transformers import AutoConfig

    folder = Path(model)
    if (folder / "config.json").is_file() and not any(folder.glob("*.safetensors")):
        raise ConfigError(
            f"{option} {model} cannot be loaded: it holds no *.safetensors, and pickled weights are not read. Its"
            " `save_pretrained` writes them, or name a model that has them, such as"
            f" {EXAMPLES.get(option, 'one of the hub with a model.safetensors')}."
        )
    with sentences(option, model):
        return str(AutoConfig.from_pretrained(model, revision=revision).model_type)
