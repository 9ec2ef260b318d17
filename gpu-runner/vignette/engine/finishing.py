"""From pixels to what is given out: looked at, encoded with their recipe, and signed. Away from the device's thread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vignette.engine.images import CONTENT_TYPES, encode_image
from vignette.engine.loader import LoadedModel
from vignette.engine.request import GenerationRequest
from vignette.errors import DrawingFailed
from vignette.provenance.c2pa import Signer
from vignette.provenance.recipe import recipe


@dataclass(frozen=True)
class FinishedFiles:
    """Files' bytes by name, and for each picture why the safety check flagged it, or None."""

    files: dict[str, bytes]
    flags: list[str | None]


def finish(
    model: LoadedModel, request: GenerationRequest, pictures: Sequence[np.ndarray], signer: Signer | None
) -> FinishedFiles:
    """
    Blocking. `pictures` are `[H, W, 3]` uint8.

    Raises:
        DrawingFailed: `flagged` where the model's policy refuses what the check has found, or `unchecked`.
    """
    flags = [model.check.look(picture) if model.check else None for picture in pictures]
    if model.check is not None and model.check.policy == "refuse":
        for reason in filter(None, flags):
            raise DrawingFailed(
                "flagged",
                f"The picture is not given out: the safety check found {reason}. Change the prompt or the seed.",
            )
    kind, files = request.output_format, {}
    for index, picture in enumerate(pictures):
        made = recipe(request, index, model)
        data = encode_image(picture, kind, made)
        files[f"{index}.{kind}"] = signer.sign(data, CONTENT_TYPES[kind], made) if signer else data
    return FinishedFiles(files, flags)
