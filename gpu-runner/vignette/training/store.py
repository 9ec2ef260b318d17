"""A folder of tensors under content hashes: what was computed once is found again, and nothing else ever is."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from vignette.engine.folders import files_below

SHARD = 256


class Store:
    """
    Entries `{name: tensor}` under a hash of what they were computed from, in safetensors shards that are written under
    another name and then renamed, so a cut never leaves half a shard.

    `recipe` is everything besides the item itself that the numbers depend on (weights, sizes, layers): another recipe
    is another folder, so a stale entry cannot be found.
    """

    def __init__(self, root: Path, kind: str, recipe: Mapping[str, Any]) -> None:
        described = json.dumps(recipe, sort_keys=True)
        self.folder = root / f"{kind}-{hashlib.sha256(described.encode()).hexdigest()[:20]}"
        self.folder.mkdir(parents=True, exist_ok=True)
        about = self.folder / "recipe.json"
        if not about.exists():
            write_text(about, described + "\n")
        self._places: dict[str, Path] = {}
        self._open: dict[Path, Any] = {}
        self.refresh()

    def refresh(self) -> None:
        """Finds what this or another process has written. A shard that cannot be read is removed and computed again."""
        for file in sorted(self.folder.glob("*.safetensors")):
            if file in self._open:
                continue
            try:
                shard = safe_open(str(file), framework="pt")
            except (OSError, SafetensorError):
                file.unlink(missing_ok=True)
                continue
            self._open[file] = shard
            self._places.update((name.rpartition(".")[0], file) for name in shard.keys())  # noqa: SIM118

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def missing(self, keys: Iterable[str]) -> list[str]:
        """Keys that have no entry, each once, in their order."""
        return [key for key in dict.fromkeys(keys) if key not in self._places]

    def put(self, entries: Mapping[str, Mapping[str, torch.Tensor]]) -> None:
        """Writes one shard; its name is the hash of its keys, so processes never write into each other's."""
        flat = {f"{key}.{name}": t.contiguous().cpu() for key, entry in entries.items() for name, t in entry.items()}
        name = hashlib.sha256("".join(sorted(entries)).encode()).hexdigest()[:24]
        partial = self.folder / f".{name}.{os.getpid()}.partial"
        save_file(flat, partial)
        partial.rename(self.folder / f"{name}.safetensors")

    def get(self, key: str, name: str) -> torch.Tensor:
        """One tensor, read from disk; `KeyError` if there is none."""
        return self._open[self._places[key]].get_tensor(f"{key}.{name}")


def text_key(text: str) -> str:
    """The key of something computed from a text alone."""
    return hashlib.sha256(text.encode()).hexdigest()


def hash_files(*roots: Path) -> str:
    """SHA-256 (hex) over the names and bytes of all files under `roots` that a model is loaded from."""
    digest = hashlib.sha256()
    for root in roots:
        files = [root] if root.is_file() else files_below(root)
        for file in files:
            if file.suffix not in (".json", ".txt", ".safetensors", ".model", ".gguf"):
                continue
            digest.update(file.name.encode() + b"\0" + file.stat().st_size.to_bytes(8, "big"))
            with file.open("rb") as stream:
                while block := stream.read(1 << 22):
                    digest.update(block)
    return digest.hexdigest()


def write_text(file: Path, text: str) -> None:
    """Writes under another name, then renames: a reader sees the old text or the new one."""
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.rename(file)
