"""The data set on disk: `images/`, `metadata.jsonl`, provenance, report and card, each written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vignette.surd.clean import Facts
from vignette.surd.store import Store

SUFFIX = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}


def write_rows(output: Path, store: Store, rows: Iterable[Facts]) -> int:
    """Places the pictures and the two tables; what an earlier build kept and this one does not is removed.

    `metadata.jsonl` has exactly `file_name, text, prompt` in this order, since the published training script takes the
    first column for the picture and the second for the caption. `provenance.jsonl` has the rest, line by line the same.

    Returns:
        The number of rows.
    """
    (output / "images").mkdir(exist_ok=True)
    names: set[str] = set()
    with replacing(output / "metadata.jsonl") as metadata, replacing(output / "provenance.jsonl") as provenance:
        for facts in rows:
            name = _place(output, store, facts)
            names.add(name)
            _line(metadata, {"file_name": name, "text": facts.text, "prompt": facts.prompt})
            _line(provenance, {"file_name": name, **_provenance(facts)})
    for path in (output / "images").iterdir():
        if f"images/{path.name}" not in names:
            path.unlink()
    return len(names)


@contextmanager
def replacing(path: Path) -> Iterator[IO[str]]:
    """A text file that takes `path`'s place once it is complete."""
    partial = path.with_name(f".{path.name}.part")
    with open(partial, "w", encoding="utf-8", newline="\n") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def _place(output: Path, store: Store, facts: Facts) -> str:
    if facts.blob is None or facts.measured is None:
        raise ValueError(f"row {facts.id} has no picture")  # cleaning lets none of these through
    name = f"images/{facts.blob[:32]}.{SUFFIX[facts.measured['format']]}"
    target = output / name
    if not target.exists():
        partial = target.with_suffix(".part")
        partial.unlink(missing_ok=True)
        try:
            os.link(store.blob_path(facts.blob), partial)
        except OSError:
            shutil.copyfile(store.blob_path(facts.blob), partial)
        os.replace(partial, target)
    return name


def _provenance(facts: Facts) -> dict[str, Any]:
    candidate, parsed = facts.candidate, facts.parsed or {}
    return {
        "source": facts.source.partition(":")[0],
        "key": candidate["key"],
        "origin": candidate["origin"],
        "license": candidate["licence"],
        "nsfw": candidate["nsfw"],
        "nudity": facts.nudity,
        "raw_prompt": candidate["prompt"],
        "negative_prompt": candidate["negative_prompt"],
        "weights": parsed.get("weights", []),
        "networks": parsed.get("networks", []),
        "embeddings": parsed.get("embeddings", []),
        "parameters": candidate["parameters"],
        "captioned": bool(facts.caption),
        "clip_text": facts.clip_text,
        "clip_prompt": facts.clip_prompt,
    }


def _line(file: IO[str], row: dict[str, Any]) -> None:
    file.write(json.dumps(row, ensure_ascii=False) + "\n")
