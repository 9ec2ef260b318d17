"""Models by their name on the Hugging Face Hub: one commit of a repository, in the cache of this machine."""

from __future__ import annotations

import re
from pathlib import Path

from vignette.errors import ConfigError

PARTS = ("scheduler", "text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2", "unet", "vae")
# Other people's choices of the same weights, which a repository holds beside the usual ones.
VARIANTS = ("*.fp16.*", "*.fp16-*", "*.bf16.*", "*.bf16-*", "*.non_ema.*", "*.non_ema-*")


def snapshot(name: object, revision: object) -> Path:
    """
    Where `revision`, a commit, of the repository `name` lies in the Hub's cache, whether it is there or not.

    Raises:
        ValueError: One of them is none.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise ValueError("hub must be an owner and a name, as in stabilityai/sdxl-turbo")
    if not isinstance(revision, str) or not re.fullmatch("[0-9a-f]{40}", revision):
        raise ValueError("hub needs a revision, the 40 digits of a commit: what a branch or a tag names can change")
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model") / "snapshots" / revision


def fetch(name: str, revision: str, variant: str | None) -> Path:
    """
    Downloads what is missing of a diffusers repository: configurations, and weights as safetensors, of one variant.

    Raises:
        ConfigError: The Hub cannot be reached, refuses, or does not have it.
    """
    from huggingface_hub import snapshot_download

    kinds = ["json", "txt", *([f"{variant}.safetensors", f"{variant}-*.safetensors"] if variant else ["safetensors"])]
    try:
        # Whatever it raises is the reason: its own classes, httpx's, or the disk's.
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=["model_index.json", *(f"{part}/*.{kind}" for part in PARTS for kind in kinds)],
                ignore_patterns=None if variant else list(VARIANTS),
            )
        )
    except Exception as error:
        raise ConfigError(f"{name} at {revision} cannot be downloaded: {error}") from error
