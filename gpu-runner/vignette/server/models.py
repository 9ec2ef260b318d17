"""Models as Replicate's API lists them, with what Vignette's edge needs under `vignette`."""

from __future__ import annotations

from typing import Any

import diffusers

from vignette import __version__
from vignette.engine import schedulers
from vignette.engine.components import files_of
from vignette.engine.loader import LoadedModel
from vignette.server.prediction import rfc3339
from vignette.server.schema import version_schema

OWNER = "vignette"


def model_to_dict(model: LoadedModel, default: bool, base_url: str) -> dict[str, Any]:
    spec = model.spec
    return {
        "owner": OWNER,
        "name": spec.id,
        "url": f"{base_url}/v1/models/{OWNER}/{spec.id}",
        "description": spec.description,
        "visibility": "private",
        "github_url": None,
        "paper_url": "https://arxiv.org/abs/2305.05189",
        "license_url": None,
        "run_count": 0,
        "cover_image_url": None,
        "default_example": None,
        "latest_version": version_to_dict(model),
        "vignette": {
            "default": default,
            "version": model.version,
            "adapters": [{"id": a.id, "default": a.default, "description": a.description} for a in spec.adapters],
            "loras": [{"id": lora.id, "description": lora.description} for lora in spec.loras],
            "embeddings": [embedding.token for embedding in spec.embeddings],
            "defaults": spec.defaults.model_dump(),
            "limits": spec.limits.model_dump(),
            "schedulers": list(schedulers.supported(model.scheduler_config)),
            "device": str(model.device),
            "software": {"vignette": __version__, "diffusers": diffusers.__version__},
        },
    }


def version_to_dict(model: LoadedModel) -> dict[str, Any]:
    newest = max(file.stat().st_mtime for file in files_of(model.spec))
    return {
        "id": model.version,
        "created_at": rfc3339(newest),
        "cog_version": f"vignette-{__version__}",
        "openapi_schema": version_schema(model.version),
    }
