"""A SUR-adapter's folder: config.json and safetensors, read strictly and never left half-written."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from vignette.pickles import is_pickle

if TYPE_CHECKING:
    from vignette.sur.adapter import SURAdapter

CONFIG_NAME = "config.json"
WEIGHTS_NAME = "diffusion_pytorch_model.safetensors"
# In config.json, where diffusers passes over what begins with an underscore.
CHECKSUM = "_weights_sha256"
CONVERT = "`vignette adapter convert FILE --eta 0.1 -o FOLDER` rewrites a published checkpoint."


def read_adapter(kind: type[SURAdapter], folder: Path) -> SURAdapter:
    """
    Builds a `kind` from `folder`, float32, in `eval()` mode. Every weight has to be there, none left over, all finite,
    and the file the one that config.json was written with, where it says so; diffusers' `from_pretrained` would only
    log a warning.

    Raises:
        ValueError: Naming the file and the remedy.
    """
    config = _read_config(kind, folder)
    noted = config.pop(CHECKSUM, None)
    weights = read_safetensors(folder / WEIGHTS_NAME)
    try:
        adapter = kind(**config)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{folder / CONFIG_NAME} describes no SUR-adapter: {error}") from None
    problems = check_fit({name: weight.shape for name, weight in adapter.state_dict().items()}, weights)
    if problems:
        raise ValueError(
            f"The weights in {folder} do not fit its config.json: {problems}. Take both files from the same checkpoint."
        )
    adapter.load_state_dict(weights)
    for name, weight in weights.items():
        if not torch.isfinite(weight).all():
            raise ValueError(
                f"{folder}: the weight {name} holds NaN or infinite values; take an earlier checkpoint of its training."
            )
    if noted is not None and noted != _sha256(folder / WEIGHTS_NAME):
        raise ValueError(
            f"The weights in {folder} are not those that its config.json was written with, as after a write that was cut"
            f" off: train, convert or copy it again. If both belong together, take {CHECKSUM} out of config.json."
        )
    return adapter.eval()


def read_safetensors(file: Path) -> dict[str, torch.Tensor]:
    """The tensors of one safetensors file. Raises ValueError for a missing, cut or pickled one, with the remedy."""
    if not file.is_file():
        raise ValueError(f"{file.parent} has no {file.name}. Only safetensors are loaded; {CONVERT}")
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        if is_pickle(file):
            raise ValueError(
                f"{file} is a pickle under the name of safetensors, and is not loaded; {CONVERT}"
            ) from None
        raise ValueError(
            f"{file} is cut off or damaged ({file.stat().st_size:,} bytes; {error}); copy or download it again."
        ) from None


def write_atomically(save: Callable[[Path], None], folder: Path) -> None:
    """
    Lets `save` write into a new folder beside `folder`, then moves its files over one by one, so that a full disk or a
    crash leaves what was there before, or, between two of them, a folder that `read_adapter` refuses. Other files in
    `folder` stay.
    """
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        save(Path(scratch))
        _note_weights(Path(scratch))
        # The configuration first: beside the weights that were there before, or none, it does not load.
        written = sorted(Path(scratch).iterdir(), key=lambda file: file.name != CONFIG_NAME)
        for file in written:
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
            file.chmod(0o644)  # safetensors writes files that only their owner may read
        folder.mkdir(exist_ok=True)
        for file in written:
            os.replace(file, folder / file.name)


def _note_weights(folder: Path) -> None:
    """Writes into config.json which weights it belongs to."""
    file, weights = folder / CONFIG_NAME, folder / WEIGHTS_NAME
    if file.is_file() and weights.is_file():
        config = json.loads(file.read_text(encoding="utf-8")) | {CHECKSUM: _sha256(weights)}
        file.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _read_config(kind: type[SURAdapter], folder: Path) -> dict[str, Any]:
    """The arguments of `kind`, and CHECKSUM where the folder has one."""
    file = folder / CONFIG_NAME
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder} holds no SUR-adapter: config.json is missing.") from None
    except NotADirectoryError:
        raise ValueError(f"{folder} is a file; name the adapter's folder, {folder.parent}.") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"{file} cannot be read ({error}); copy or download it again.") from None
    if not isinstance(config, dict) or config.get("_class_name") != kind.__name__:
        found = config.get("_class_name") if isinstance(config, dict) else None
        raise ValueError(f"{folder} holds no SUR-adapter: its config.json is of {found or 'something else'}.")
    named = {key: value for key, value in config.items() if not key.startswith("_") or key == CHECKSUM}
    unknown = sorted(named.keys() - inspect.signature(kind.__init__).parameters.keys() - {CHECKSUM})
    if unknown:
        raise ValueError(f"{file} has unknown fields ({', '.join(unknown)}); a newer Vignette may know them.")
    return named


def check_fit(wanted: Mapping[str, Sequence[int]], given: Mapping[str, torch.Tensor]) -> str:
    """What speaks against the tensors `given` having the names and shapes `wanted`, the first three; empty if nothing."""
    problems = [f"{name} is missing" for name in wanted if name not in given]
    problems += [f"{name} belongs to nothing" for name in given if name not in wanted]
    problems += [
        f"{name} is {list(given[name].shape)} instead of {list(shape)}"
        for name, shape in wanted.items()
        if name in given and tuple(given[name].shape) != tuple(shape)
    ]
    return "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
