"""What drew a picture, in the names of the API, so that the same can be asked for again."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from vignette import __version__
from vignette.engine.request import GenerationRequest

if TYPE_CHECKING:
    from vignette.engine.loader import LoadedModel

# A JPEG's segment holds 64 KiB, and a character takes up to twelve bytes in XMP's JSON.
MOST_CHARACTERS = 4500


def recipe(request: GenerationRequest, index: int, model: LoadedModel) -> dict[str, Any]:
    """
    Of picture `index`. Where the model's `provenance.prompts` says `hash`, or prompts are too long for a JPEG's metadata,
    they appear as SHA-256 only.
    """
    import diffusers
    import torch

    prompts = {"prompt": request.prompt, "negative_prompt": request.negative_prompt}
    if model.spec.provenance.prompts == "hash" or sum(map(len, prompts.values())) > MOST_CHARACTERS:
        prompts = {f"{name}_sha256": hashlib.sha256(text.encode()).hexdigest() for name, text in prompts.items()}
    return {
        **prompts,
        "model": request.model,
        "adapter": request.adapter,
        "adapter_scale": request.adapter_scale if request.adapter else None,
        "loras": [{"id": id, "scale": scale} for id, scale in request.loras],
        "width": request.width,
        "height": request.height,
        "num_inference_steps": request.num_inference_steps,
        "guidance_scale": request.guidance_scale,
        "guidance_until": request.guidance_until,
        "cache_interval": request.cache_interval,
        "scheduler": request.scheduler,
        "seed": request.seed + index,
        "deterministic": request.deterministic,
        "model_version": model.version,
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
        "software": {"vignette": __version__, "diffusers": diffusers.__version__, "torch": torch.__version__},
        "ai_generated": True,
    }


def infotext(made: dict[str, Any]) -> str | None:
    """
    The recipe as AUTOMATIC1111's web UI writes it and many programs read it (its `modules/infotext_utils.py`), or None
    for a recipe without prompts.
    """
    if "prompt" not in made:
        return None
    settings = {
        "Steps": made["num_inference_steps"],
        "Sampler": made["scheduler"],
        "CFG scale": made["guidance_scale"],
        "Seed": made["seed"],
        "Size": f"{made['width']}x{made['height']}",
        "Model hash": made["model_version"][:10],
        "Model": made["model"],
        "Version": f"vignette {made['software']['vignette']}",
    }
    negative = f"\nNegative prompt: {made['negative_prompt']}" if made["negative_prompt"] else ""
    return f"{made['prompt']}{negative}\n" + ", ".join(f"{name}: {value}" for name, value in settings.items())
