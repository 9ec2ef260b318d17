"""Pickled weights: known by their first bytes, whatever their name, and refused."""

from __future__ import annotations

from pathlib import Path

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")


def is_pickle(file: Path) -> bool:
    """A zip archive (`torch.save` since 1.6), or protocol 2 to 5 where safetensors has its header's length and `{`."""
    try:
        with file.open("rb") as stream:
            start = stream.read(9)
    except OSError:
        return False
    return start.startswith(b"PK\x03\x04") or (start[:1] == b"\x80" and start[1:2] in b"\2\3\4\5" and start[8:] != b"{")


def refuse_pickle(file: Path) -> str:
    """The sentence that names the converter."""
    kind = "a pickle under the name of safetensors" if file.suffix == ".safetensors" else "a pickle"
    return (
        f"{file} is {kind}, which can run any code when it is loaded; only safetensors are accepted. Rewrite a model with"
        " save_pretrained of diffusers (safe_serialization=True) or transformers, a SUR-adapter with `vignette adapter"
        " convert`."
    )
