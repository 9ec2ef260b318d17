"""Pixels to files that say where they come from. Runs away from the device's thread."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vignette.provenance.recipe import infotext
from vignette.provenance.xmp import packet

CONTENT_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}
EXIF_IFD, USER_COMMENT = 0x8769, 0x9286
LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 92, "method": 4},
}


def data_url(picture: np.ndarray) -> str:
    """`[H, W, 3]` uint8 as a `data:` URL of a PNG."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def encode_image(picture: np.ndarray, output_format: str, recipe: dict[str, Any]) -> bytes:
    """
    `[H, W, 3]` uint8 to a PNG, JPEG or WebP file with its recipe in XMP, and as the text that other programs read: the
    PNG chunk `parameters`, or EXIF's UserComment.
    """
    image, stream = Image.fromarray(picture), io.BytesIO()
    text, xmp = infotext(recipe), packet(recipe)
    if output_format == "png":
        info = PngInfo()
        if text is not None:
            info.add_itxt("parameters", text)
        info.add_itxt("XML:com.adobe.xmp", xmp)
        image.save(stream, "PNG", pnginfo=info)
        return stream.getvalue()
    exif = Image.Exif()
    if text is not None:
        exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"UNICODE\0" + text.encode("utf-16-be")
    kind = output_format.upper()
    image.save(stream, kind, exif=exif, xmp=xmp.encode(), **LOSSY[kind])
    return stream.getvalue()
