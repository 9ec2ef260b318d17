"""Pixels to files that say where they come from. Runs away from the device's thread."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vignette import __version__
from vignette.engine.request import GenerationRequest

CONTENT_TYPES = {"png": "image/png", "jpeg": "image/jpeg", "webp": "image/webp"}

# The IPTC term for pictures made by a trained model, https://cv.iptc.org/newscodes/digitalsourcetype/
XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>'
    '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
IMAGE_DESCRIPTION = 0x010E  # EXIF tag


def recipe(request: GenerationRequest, index: int, model_version: str) -> dict[str, Any]:
    """What drew picture `index`. Prompts appear as hashes only: pictures get shared, and prompts can be private."""
    return {
        "software": f"vignette {__version__}",
        "ai_generated": True,
        "model": request.model,
        "model_version": model_version,
        "adapter": request.adapter,
        "adapter_scale": request.adapter_scale if request.adapter else None,
        "loras": [{"id": id, "scale": scale} for id, scale in request.loras],
        "prompt_sha256": hashlib.sha256(request.prompt.encode()).hexdigest(),
        "negative_prompt_sha256": hashlib.sha256(request.negative_prompt.encode()).hexdigest(),
        "width": request.width,
        "height": request.height,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
        "scheduler": request.scheduler,
        "deterministic": request.deterministic,
        "seed": request.seed + index,
    }


def data_url(picture: np.ndarray) -> str:
    """`[H, W, 3]` uint8 as a `data:` URL of a PNG."""
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def encode_image(picture: np.ndarray, output_format: str, provenance: dict[str, Any]) -> bytes:
    """`[H, W, 3]` uint8 to a PNG, JPEG or WebP file with its recipe (PNG text chunk or EXIF) and the IPTC mark."""
    image, stream, text = Image.fromarray(picture), io.BytesIO(), json.dumps(provenance)
    if output_format == "png":
        info = PngInfo()
        info.add_text("vignette", text)
        info.add_itxt("XML:com.adobe.xmp", XMP)
        image.save(stream, "PNG", pnginfo=info)
        return stream.getvalue()
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = text
    lossy = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"quality": 92, "method": 4}}
    kind = output_format.upper()
    image.save(stream, kind, exif=exif, xmp=XMP.encode(), **lossy[kind])
    return stream.getvalue()
