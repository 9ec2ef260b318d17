"""The stages' work, free of any engine: a batch of plain dictionaries in, one result per input out, in order.

A stage is named by a key that holds all its result depends on (model, prompt, version), so that a change of options
asks for new results and never reads old ones.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from vignette.errors import PIP_INSTALL, ConfigError
from vignette.surd.syntax import parse_prompt

Row = dict[str, Any]
Work = Callable[[list[Row]], list[Row]]
# Decoding refuses what would take more memory than any training picture does.
MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Stage:
    """
    Attributes:
        name (`str`): the key below which results are kept.
        make: builds the work once per worker, loading what it needs; called with `arguments`.
        batch_size (`int`): rows per call.
        device (`bool`): the work wants a GPU if there is one.
    """

    name: str
    make: Callable[..., Work]
    arguments: dict[str, Any] = field(default_factory=dict)
    batch_size: int = 64
    device: bool = False


def check_extras() -> None:
    """Raises ConfigError for a library that every build needs and that is not installed, before anything is read."""
    for name in ("imagehash", "py3langid"):
        try:
            import_module(name)
        except ImportError:
            raise ConfigError(
                f"The SURD builder needs {name}: {PIP_INSTALL} -r gpu-runner/requirements-surd.txt."
            ) from None


def parse_stage() -> Stage:
    return Stage("parse/2", make_parse, batch_size=256)


def make_parse() -> Work:
    """`{prompt, text, steps}` -> `{prompt, weights, networks, embeddings, languages}`."""
    from vignette.surd.language import identify

    def parse(rows: list[Row]) -> list[Row]:
        results = []
        for row in rows:
            parsed = parse_prompt(row["prompt"], steps=row.get("steps") or 20).to_dict()
            languages = {"prompt": identify(parsed["prompt"]), "text": identify(row["text"])}
            results.append({**parsed, "languages": languages})
        return results

    return parse


def parse_key(row: Row) -> str:
    return hashlib.sha256(f"{row['prompt']}\0{row['text']}\0{row.get('steps') or 20}".encode()).hexdigest()


def measure_stage() -> Stage:
    return Stage("measure/2", make_measure, batch_size=32)


def make_measure() -> Work:
    """`{path}` -> `{width, height, format, phash}`, or `{error}` for a picture that cannot be read."""
    import imagehash

    def measure(rows: list[Row]) -> list[Row]:
        return [_measure(row["path"], imagehash.phash) for row in rows]

    return measure


def _measure(path: str, phash: Callable[[Any], Any]) -> Row:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            # A phone's JPEG with a second picture behind the first, which readers of JPEG do not see.
            kind = "JPEG" if image.format == "MPO" else image.format
            if kind not in ("PNG", "JPEG", "WEBP"):
                return {"error": f"it is {kind}, not PNG, JPEG or WebP"}
            upright = open_upright(image)
            return {"width": upright.width, "height": upright.height, "format": kind, "phash": str(phash(upright))}
    except UnidentifiedImageError:
        return {"error": "it is not a picture"}
    except Exception as error:  # what a broken picture raises depends on how it is broken
        return {"error": str(error).replace(path, "the file") or type(error).__name__}


def open_upright(image: Any) -> Any:
    """RGB as a viewer shows it: EXIF's orientation applied, transparency on white, 16 bits of grey as 8."""
    import numpy as np
    from PIL import Image, ImageOps

    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"it has more than {MAX_PIXELS // 1_000_000} megapixels")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # Pillow would cut at 255 rather than scale, and nearly all of it became white.
        image = Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def load_upright(path: str) -> Any:
    from PIL import Image

    with Image.open(io.BytesIO(Path(path).read_bytes())) as image:
        return open_upright(image)
