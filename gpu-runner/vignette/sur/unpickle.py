"""A pickled checkpoint, read so that nothing in it can run."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path

import torch

from vignette.errors import ConfigError

# How torch names what a pickle wants to call; its other complaints are of damage. Protocol 4, which torch.save does not
# write unasked, is not read far enough to know.
FOREIGN = re.compile(r"unsupported global|must be imported|operand 149", re.IGNORECASE)


def unpickle(file: Path) -> object:
    """
    What `torch.save` wrote, now or before PyTorch 1.6, on the CPU.

    Raises:
        ConfigError: No such file, one that is cut off or damaged, or that holds more than tensors.
    """
    if file.is_dir():
        raise ConfigError(f"{file} is a folder; name the checkpoint file in it.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols, which a reader cannot change
            return torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ConfigError(f"There is no file {file}.") from None
    except Exception as error:  # torch's reader raises whatever a damaged byte leads it to
        if isinstance(error, pickle.UnpicklingError) and FOREIGN.search(str(error)) and not _cut_in_name(file, error):
            raise ConfigError(
                f"{file} holds more than tensors, so loading it could run code; convert only a plain state_dict."
            ) from None
        said = isinstance(error, (OSError, RuntimeError, EOFError)) and str(error)
        reason = re.split(r"\.\s|\n", said or type(error).__name__, maxsplit=1)[0]
        raise ConfigError(
            f"{file} cannot be read as a PyTorch checkpoint ({reason}); if it was cut off or damaged, download it again."
        ) from None


def _cut_in_name(file: Path, error: Exception) -> bool:
    """Whether the file ends within the name that `error` speaks of: as much of torch's own names is foreign to it."""
    named = re.search(r"GLOBAL (\S+)", str(error))
    if named is None:
        return False
    with file.open("rb") as stream:
        stream.seek(max(0, file.stat().st_size - 300))
        end = stream.read().replace(b"\n", b".")
    # torch takes the last byte for the line's end.
    return not named[1].strip(".") or end[:-1].rstrip(b".").endswith(b"c" + named[1].rstrip(".").encode())
