"""Files that are whole or not there, and pictures in them."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from vignette.errors import ConfigError


def write_atomically(file: Path, content: bytes | str) -> None:
    """Writes beside the target and renames, so that no reader and no crash ever sees half a file."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name[:16]}-", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        os.chmod(name, 0o644)
        os.replace(name, file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def open_picture(file: Path, remedy: str) -> Image.Image:
    """The picture in RGB; raises ConfigError with `remedy` where the file is cut, is no picture, or is too large to unpack."""
    try:
        with Image.open(file) as image:
            return image.convert("RGB")
    except UnidentifiedImageError:
        raise ConfigError(f"{file} is no picture that can be read; {remedy}.") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{file} is no picture that can be read ({error}); {remedy}.") from None
