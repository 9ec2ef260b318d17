"""Training data: triples of narrative, keyword prompt and picture, checked whole before training starts."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from vignette.errors import ConfigError
from vignette.surd.stages import MAX_PIXELS, open_upright

NAMED = 5  # problems spelled out before the rest is only counted


@dataclass(frozen=True)
class Example:
    """`name` says where a person finds it; `read` gives the picture file's bytes, `digest` is their SHA-256 in hex."""

    name: str
    narrative: str
    keywords: str
    read: Callable[[], bytes]
    digest: str = ""


class Problems:
    """Collects what is wrong with the data, so that one run names more than the first row."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._found: list[str] = []

    def add(self, problem: str) -> None:
        self._found.append(problem)

    def raise_if_any(self) -> None:
        if not self._found:
            return
        shown = "\n  ".join(self._found[:NAMED])
        more = f"\n  and {len(self._found) - NAMED} more" if len(self._found) > NAMED else ""
        raise ConfigError(f"{self._source} cannot be trained on:\n  {shown}{more}")


def read_examples(source: Path) -> list[Example]:
    """
    Reads an imagefolder with `metadata.jsonl` (`file_name`, `text` = narrative, `prompt` = keywords), `*.parquet` or
    WebDataset shards `*.tar`; pictures are opened once to see that they are pictures, and whole.

    Raises:
        ConfigError: Nothing there, rows without a narrative, prompt or picture; each is named by file and row.
    """
    problems = Problems(source)
    checked = [_checked(example, problems) for example in _reader(source)(source, problems)]
    examples = [example for example in checked if example is not None]
    problems.raise_if_any()
    if not examples:
        raise ConfigError(f"{source} has no rows to train on.")
    return examples


def text_fields(row: Any, name: str, problems: Problems) -> tuple[str, str] | None:
    """A row's `text` and `prompt`, both sentences, or a problem with the field's name."""
    if not isinstance(row, dict):
        problems.add(f"{name}: not an object with text and prompt.")
        return None
    for field in ("text", "prompt"):
        value = row.get(field)
        if not isinstance(value, str) or not value.strip():
            problems.add(f"{name}: {'no' if value is None else 'an empty'} `{field}`.")
            return None
        if any("\ud800" <= character <= "\udfff" for character in value):
            problems.add(f"{name}: `{field}` holds half a character, a surrogate without its other half.")
            return None
    return row["text"].strip(), row["prompt"].strip()


def decode(example: Example) -> Image.Image:
    """The whole picture as the SURD builder shows it to captioners; raises ConfigError naming it when its file is cut or is none."""
    try:
        with Image.open(io.BytesIO(example.read())) as image:
            return open_upright(image)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise ConfigError(f"{example.name}: the picture cannot be read ({error}). Remove or replace it.") from None


def _reader(source: Path) -> Callable[[Path, Problems], Iterator[Example]]:
    from vignette.training.shards import read_parquet, read_webdataset

    if source.suffix == ".parquet" or (source.is_dir() and any(source.glob("*.parquet"))):
        return read_parquet
    if source.suffix == ".tar" or (source.is_dir() and any(source.glob("*.tar"))):
        return read_webdataset
    if _metadata(source):
        return _read_imagefolder
    if not source.exists():
        raise ConfigError(f"There is no training data at {source}.")
    raise ConfigError(
        f"{source} holds no training data: a folder with metadata.jsonl (file_name, text, prompt), *.parquet or"
        " uncompressed WebDataset *.tar is needed. `vignette surd build` makes one."
    )


def _metadata(source: Path) -> Path | None:
    places = (source, source / "metadata.jsonl", source / "train" / "metadata.jsonl")
    return next((p for p in places if p.name == "metadata.jsonl" and p.is_file()), None)


def _read_imagefolder(source: Path, problems: Problems) -> Iterator[Example]:
    file = _metadata(source)
    if file is None:
        return
    root = file.parent.resolve()
    with file.open("rb") as lines:
        for number, raw in enumerate(lines, 1):
            name = f"{file.name}, line {number}"
            if b"\0" in raw:  # no JSON in UTF-8 has one, and every line to come would be one more problem
                problems.add(f"{name}: zero bytes, as UTF-16 has them; save the file as UTF-8.")
                return
            try:
                # What Windows' editors put before UTF-8 is no part of the first row.
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                problems.add(f"{name}: not UTF-8 ({error.reason}); save the file as UTF-8.")
                continue
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                problems.add(f"{name}: not JSON.")
                continue
            texts = text_fields(row, name, problems)
            if texts is None:
                continue
            if not isinstance(row.get("file_name"), str) or not row["file_name"]:
                problems.add(f"{name}: no `file_name`.")
                continue
            picture = _picture(root, row["file_name"], name, problems)
            if picture is not None:
                yield Example(f"{name} ({row['file_name']})", *texts, picture.read_bytes)


def _picture(root: Path, given: str, name: str, problems: Problems) -> Path | None:
    """The picture that a row names, or a problem; names are shown by their first 80 characters."""
    try:
        picture = (root / given).resolve()
        there = picture.is_file()
    except (OSError, ValueError) as error:  # too long, a zero byte, half a character
        reason = error.strerror if isinstance(error, OSError) else error
        problems.add(f"{name}: file_name {given[:80]!r} is no name of a file ({reason}).")
        return None
    if root not in picture.parents:
        problems.add(f"{name}: file_name {given[:80]!r} leaves the folder.")
    elif not there:
        problems.add(f"{name}: there is no picture {given[:80]!r}.")
    else:
        return picture
    return None


def _checked(example: Example, problems: Problems) -> Example | None:
    try:
        raw = example.read()
        with Image.open(io.BytesIO(raw)) as image:
            too_large = image.width * image.height > MAX_PIXELS
            if image.format in ("PNG", "WEBP"):
                image.verify()
            elif not too_large:
                # Without checksums or lengths only decoding shows a cut file: for JPEG, at an eighth of its size, that
                # takes half the time, a few ms, and much less than what is encoded of a picture afterwards.
                image.draft("L", (1, 1))
                image.load()
    except Exception as error:  # Pillow's decoders raise whatever their format's parser raises
        if "truncated" in str(error).lower():
            problems.add(f"{example.name}: the picture is cut off; copy it again, or remove the row.")
        else:
            problems.add(f"{example.name}: not a picture that can be read ({type(error).__name__}).")
        return None
    if too_large:
        problems.add(f"{example.name}: a picture of more than {MAX_PIXELS // 1_000_000} megapixels.")
        return None
    return replace(example, digest=hashlib.sha256(raw).hexdigest())
