"""`vignette inspect FILE…`: what a picture says of its making."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from vignette.provenance.c2pa import manifest_in
from vignette.provenance.xmp import recipe_in, source_type_in


def main(argv: Sequence[str]) -> int:
    """Prints one JSON object a file; 1 when one of them has no recipe, 2 when one is no picture."""
    parser = argparse.ArgumentParser(prog="vignette inspect", description="What a picture says of its making, as JSON.")
    parser.add_argument("files", type=Path, nargs="+", metavar="FILE")
    status = 0
    for file in parser.parse_args(argv).files:
        try:
            found = inspect(file)
        except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
            what = "is no picture" if isinstance(error, UnidentifiedImageError) else f"cannot be read: {error}"
            print(f"vignette: {file} {what}.", file=sys.stderr)
            status = 2
            continue
        print(json.dumps({"file": str(file), **found}, indent=2, ensure_ascii=False))
        if found["recipe"] is None:
            print(f"vignette: {file} carries no recipe of Vignette's.", file=sys.stderr)
            status = max(status, 1)
    return status


def inspect(file: Path) -> dict[str, Any]:
    """`{recipe, digital_source_type, c2pa}`, each None where the file has none. Raises what Pillow raises."""
    with Image.open(file) as image:
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
        kind = Image.MIME.get(image.format or "")
    packet = xmp if isinstance(xmp, str) else xmp.decode("utf-8", "replace")
    return {
        "recipe": recipe_in(packet),
        "digital_source_type": source_type_in(packet),
        "c2pa": manifest_in(file, kind),
    }
