"""Small pictures, sources and models for the SURD builder's tests."""

from __future__ import annotations

import hashlib
import io
import json
import random
from pathlib import Path
from typing import Any

from PIL import Image

from vignette.surd.build import Build
from vignette.surd.clean import Thresholds
from vignette.surd.engines import LocalEngine
from vignette.surd.record import Source
from vignette.surd.stages import Row, Stage, Work


def picture(seed: int, size: tuple[int, int] = (48, 40), kind: str = "PNG", **save: Any) -> bytes:
    """A picture of soft random blotches, so that perceptual hashes of two seeds lie far apart."""
    noise = Image.frombytes("L", (6, 6), random.Random(seed).randbytes(36)).convert("RGB")
    buffer = io.BytesIO()
    noise.resize(size, Image.Resampling.BICUBIC).save(buffer, kind, **save)
    return buffer.getvalue()


def write_folder(folder: Path, count: int = 4, *, text: bool = True) -> Path:
    """Pictures `0.png`, … with JSON sidecars."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{number}.png").write_bytes(picture(number))
        words = {"prompt": f"{number + 1}cat, (sleeping:1.2), beach background", "license": "cc0-1.0"}
        if text:
            words["text"] = f"The {number + 1} cats of my neighbour are asleep on the beach."
        (folder / f"{number}.json").write_text(json.dumps(words))
    return folder


def make_namer(log: str) -> Work:
    """A captioner without a network: names a picture by its bytes, and notes in a file whom it has looked at."""

    def caption(rows: list[Row]) -> list[Row]:
        digests = [hashlib.sha256(Path(row["path"]).read_bytes()).hexdigest()[:8] for row in rows]
        with open(log, "a", encoding="utf-8") as file:
            file.writelines(digest + "\n" for digest in digests)
        return [{"text": f"This is the picture that they call {digest}."} for digest in digests]

    return caption


def namer(log: Path, batch_size: int = 2) -> Stage:
    return Stage("caption/namer", make_namer, {"log": str(log)}, batch_size)


def builder(output: Path, *sources: Source, **options: Any) -> Build:
    """A build whose thresholds let the small pictures through."""
    options.setdefault("thresholds", Thresholds(min_side=16, language="any"))
    options.setdefault("engine", LocalEngine())
    options.setdefault("options", {"language": "any"})
    return Build(output, list(sources), **options)


def table(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text("utf-8").split("\n") if line]


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a data set, its state left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".surd" not in path.parts
    }
